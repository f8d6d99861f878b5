"""What the routes share: the wired parts, the choice of a collection, and whether they work."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request

from boonart.bootstrap import Parts
from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    ModelMismatch,
    Unavailable,
    WorkNotFound,
)
from boonart.manifests import check_manifest
from boonart.observability import Metrics
from boonart.ports import CollectionInfo
from boonart.rpc.deadlines import within
from boonart.works import Answer, Candidate, Float32Array, Hit, Picture, Query
from boonart_services.gateway.collection_maps import CollectionMaps
from boonart_services.gateway.jobs import Jobs
from boonart_services.gateway.query_pictures import QueryPictures
from boonart_services.gateway.repeats import Repeats
from boonart_services.gateway.thumbnails import Thumbnails

logger = logging.getLogger(__name__)

READY_SECONDS = 5.0
"""How long a proof of readiness holds, in seconds."""
LISTED_SECONDS = 1.0
"""How long a list of the collections is good enough for a page, or to find the one that is meant."""


@dataclass(slots=True)
class Context:
    """The state of the gateway.

    Attributes:
        parts: None while the models load.
        pictures: the pictures that people search with.
        thumbnails: of the heights that are made when they are first asked for.
        jobs: what goes on in the background.
        repeats: what requests with an `Idempotency-Key` were answered.
        maps: of the collections.
        ready: whether encoder and index answered when they were last asked.
        ready_at: when that was, on the monotonic clock.
        metrics: of this gateway, over REST and gRPC alike.
    """

    parts: Parts | None = None
    pictures: QueryPictures = field(default_factory=QueryPictures)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    jobs: Jobs = field(default_factory=Jobs)
    repeats: Repeats = field(default_factory=Repeats)
    maps: CollectionMaps = field(default_factory=CollectionMaps)
    ready: bool = False
    ready_at: float = 0.0
    metrics: Metrics = field(default_factory=Metrics)
    _proven: bool = False
    _left_out: Mapping[str, str] = field(default_factory=dict)
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    _listed: list[CollectionInfo] = field(default_factory=list)
    _listed_at: float = float("-inf")

    def wired(self) -> Parts:
        """The parts.

        Raises:
            Unavailable: they are still being loaded.
        """
        if self.parts is None:
            raise Unavailable("The models are being loaded.", hint="Try again in a few seconds.", retry_after=2.0)
        return self.parts

    def turn(self, collection: str) -> asyncio.Lock:
        """Held while works are put into a collection."""
        return self._turns.setdefault(collection, asyncio.Lock())

    async def collections(self) -> list[CollectionInfo]:
        """All collections, as they were at most `LISTED_SECONDS` ago: the index reads the disk to tell."""
        if time.monotonic() - self._listed_at > LISTED_SECONDS:
            self._listed = await self.wired().index.collections()
            self._listed_at = time.monotonic()
        return self._listed

    async def collection(self, name: str) -> str:
        """The collection meant: as named, the default, or the only one.

        Raises:
            CollectionNotFound: none is named and there is not exactly one.
        """
        if name:
            return name
        found = await self.collections()
        if default := self.default_collection(found):
            return default
        if not found:
            raise CollectionNotFound(
                "There is no collection yet.", hint="Make one with `boonart ingest SOURCE --collection NAME`."
            )
        names = ", ".join(info.name for info in found)
        raise CollectionNotFound(
            "The request does not say which collection to search.", hint=f"Name one of: {names}.", field="collection"
        )

    def default_collection(self, found: list[CollectionInfo]) -> str:
        """The collection that is meant where none is named, or ""."""
        names = [info.name for info in found]
        default = self.wired().settings.default_collection
        if default in names:
            return default
        return names[0] if len(names) == 1 else ""

    async def decode(self, data: bytes) -> Picture:
        """Decode a picture to search with.

        Raises:
            PictureError: bytes that are no usable picture.
            Overloaded: too many others wait.
        """
        return await self.pictures.decode(data, self.wired().settings.max_picture_bytes)

    async def search(self, query: Query) -> tuple[Answer, float]:
        """Answer a query within the deadline; the answer and its milliseconds.

        Raises:
            DeadlineExceeded: it took too long.
            BoonArtError: as `boonart.search.Search.run`.
        """
        parts = self.wired()
        start = time.perf_counter()
        async with within(parts.settings.request_deadline):
            answer = await parts.search.run(query)
        self.metrics.answer(answer.stages, answer.degraded)
        return answer, 1000 * (time.perf_counter() - start)

    async def explain(self, query: Query, work_id: str) -> Hit:
        """Why a work fits a query, within the deadline.

        Raises:
            DeadlineExceeded: it took too long.
            BoonArtError: as `boonart.search.Search.explain`.
        """
        parts = self.wired()
        async with within(parts.settings.request_deadline):
            return await parts.search.explain(query, work_id)

    async def work(self, collection: str, work_id: str) -> Candidate:
        """A stored work.

        Raises:
            CollectionNotFound: no such collection.
            WorkNotFound: there is none of this id.
        """
        found = await self.wired().index.get(collection, [work_id])
        if not found:
            raise WorkNotFound(f"There is no work {work_id[:80]!r} in {collection!r}.")
        return found[0]

    async def rendition(self, collection: str, key: str, form: str, height: int = 0) -> tuple[bytes, str]:
        """Bytes and media type of a stored picture.

        Args:
            form: "display" or "thumbnail".
            height: of a thumbnail other than the one stored at ingest, one of `THUMBNAIL_HEIGHTS`.

        Raises:
            WorkNotFound: nothing under this key.
            PictureError: the stored picture cannot be read.
            Overloaded: too many others wait.
        """
        store = self.wired().pictures
        if height:
            return await self.thumbnails.read(store, collection, key, height)
        return await asyncio.to_thread(store.read, collection, key, form)

    async def check_models(self) -> None:
        """Refuse the collection that is meant where none is named if other models made it; warn of the others.

        Raises:
            ModelMismatch: with the command that mends it.
            BoonArtError: as the index says.
        """
        parts = self.wired()
        reranker = None
        if parts.reranker is not None:
            with contextlib.suppress(Unavailable):
                reranker = parts.reranker.card
        found = await parts.index.collections()
        default = self.default_collection(found)
        for info in found:
            try:
                check_manifest(info.manifest, parts.encoder.card, reranker, collection=info.name)
            except ModelMismatch as error:
                if info.name == default:
                    raise
                logger.warning("searches in %s will be refused: %s", info.name, error)

    async def check_ready(self) -> Mapping[str, str]:
        """A real inference and a real index query, at most every few seconds.

        Once an inference has succeeded, an encoder that goes away later does not make the gateway unready: it still
        answers by keywords, which it could not if a balancer took it out.

        Returns:
            What is left out meanwhile, by stage, with the reason.

        Raises:
            Unavailable: one of them failed, or the models are still being loaded.
            BoonArtError: as the index says.
        """
        parts = self.wired()
        async with self._checking:
            if self.ready and time.monotonic() - self.ready_at < READY_SECONDS:
                return self._left_out
            self.ready = False
            async with within(parts.settings.request_deadline):
                collection = self.default_collection(await parts.index.collections())
                self._left_out = await _try_parts(parts, collection, proven=self._proven)
            self.ready = self._proven = True
            self.ready_at = time.monotonic()
            return self._left_out


async def _try_parts(parts: Parts, collection: str, *, proven: bool) -> dict[str, str]:
    vector, reason = await _try_encoder(parts)
    if vector is None and not proven:
        raise Unavailable(f"The encoder fails: {reason}", retry_after=READY_SECONDS)
    for info in await parts.index.collections():
        # Without a default any collection will do that these models can search.
        fits = vector is None or info.manifest.global_size == len(vector)
        if info.name != collection and (collection or not fits):
            continue
        if vector is None:
            await parts.index.search_keywords(info.name, "painting", limit=1)
        else:
            await parts.index.search(info.name, vector, name="image", limit=1)
        break
    return {} if vector is not None else {"encode": reason}


async def _try_encoder(parts: Parts) -> tuple[Float32Array | None, str]:
    """The vector of a text, or None and why there is none. An encoder whose queue is full works."""
    try:
        async with within(parts.settings.request_deadline / 2):
            encoded = (await parts.encoder.encode_texts(["a painting"]))[0]
    except Unavailable as error:
        return None, error.message
    return (None, encoded.message) if isinstance(encoded, BoonArtError) else (encoded.global_vector, "")


def context(request: Request) -> Context:
    """The gateway's state, for routes."""
    found: Context = request.app.state.context
    return found
