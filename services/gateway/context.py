"""What the routes share: the wired parts, the choice of a collection, and whether they work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request

from boonart.bootstrap import Parts
from boonart.errors import BoonArtError, CollectionNotFound, DeadlineExceeded, Unavailable, WorkNotFound
from boonart.ports import CollectionInfo
from boonart.works import Answer, Candidate, Hit, Picture, Query
from boonart_services.gateway.query_pictures import QueryPictures

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
        ready_at: when encoder and index last answered, on the monotonic clock; 0 for never.
    """

    parts: Parts | None = None
    pictures: QueryPictures = field(default_factory=QueryPictures)
    ready_at: float = 0.0
    _checking: asyncio.Lock = field(default_factory=asyncio.Lock)
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
        async with _deadline(parts):
            answer = await parts.search.run(query)
        return answer, 1000 * (time.perf_counter() - start)

    async def explain(self, query: Query, work_id: str) -> Hit:
        """Why a work fits a query, within the deadline.

        Raises:
            DeadlineExceeded: it took too long.
            BoonArtError: as `boonart.search.Search.explain`.
        """
        parts = self.wired()
        async with _deadline(parts):
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

    async def check_ready(self) -> None:
        """A real inference and a real index query, at most every few seconds.

        Raises:
            Unavailable: one of them failed, or the models are still being loaded.
            BoonArtError: as the index says.
        """
        parts = self.wired()
        async with self._checking:
            if self.ready_at and time.monotonic() - self.ready_at < READY_SECONDS:
                return
            self.ready_at = 0.0
            try:
                async with asyncio.timeout(parts.settings.request_deadline):
                    await _try_parts(parts, self.default_collection(await parts.index.collections()))
            except TimeoutError as error:
                raise Unavailable("Encoder and index do not answer in time.", retry_after=READY_SECONDS) from error
            self.ready_at = time.monotonic()


@asynccontextmanager
async def _deadline(parts: Parts) -> AsyncIterator[None]:
    """Stop the body after the settings' deadline.

    Raises:
        DeadlineExceeded: it took too long.
    """
    seconds = parts.settings.request_deadline
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"There was no answer within {seconds:g} s.",
            hint="Ask for fewer candidates, or try again later.",
            retry_after=2.0,
        ) from error


async def _try_parts(parts: Parts, collection: str) -> None:
    encoded = (await parts.encoder.encode_texts(["a painting"]))[0]
    if isinstance(encoded, BoonArtError):
        raise Unavailable(f"The encoder fails: {encoded.message}", retry_after=READY_SECONDS)
    for info in await parts.index.collections():
        # Without a default any collection will do that these models can search.
        if info.name == collection or (not collection and info.manifest.global_size == len(encoded.global_vector)):
            await parts.index.search(info.name, encoded.global_vector, name="image", limit=1)
            return


def context(request: Request) -> Context:
    """The gateway's state, for routes."""
    found: Context = request.app.state.context
    return found
