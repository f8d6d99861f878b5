"""What the routes share: the wired parts, the choice of a collection, and the addresses of pictures."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode
from boonart.errors import BoonArtError, CollectionNotFound, DeadlineExceeded, NotFound, Unavailable
from boonart.works import Answer, Candidate, Hit, Picture, Query, StoredPicture

QUERY_PICTURES = 64
"""Uploaded pictures that are kept in memory for the page, so that its results have an address."""
READY_SECONDS = 5.0
QUERY_SIDE = 512
"""Longest side of an uploaded query picture that is kept, in pixels."""


@dataclass(slots=True)
class Context:
    """The state of the gateway.

    Attributes:
        parts: None while the models load.
        failure: why they could not be loaded.
        uploads: query pictures by token, the oldest first.
    """

    parts: Parts | None = None
    failure: BoonArtError | None = None
    uploads: OrderedDict[str, tuple[Picture, bytes]] = field(default_factory=OrderedDict)
    ready_at: float = 0.0
    on_ready: Callable[[], None] | None = None

    def wired(self) -> Parts:
        """The parts.

        Raises:
            Unavailable: they are still being loaded.
        """
        if self.parts is None:
            raise Unavailable("The models are being loaded.", hint="Try again in a few seconds.", retry_after=2.0)
        return self.parts

    async def collection(self, name: str) -> str:
        """The collection meant: as named, the default, or the only one.

        Raises:
            CollectionNotFound: none is named and there is not exactly one.
        """
        if name:
            return name
        parts = self.wired()
        names = [item.name for item in await parts.index.collections()]
        default = parts.settings.default_collection
        if default in names:
            return default
        if len(names) == 1:
            return names[0]
        raise CollectionNotFound(
            f"Say which collection to search; there are: {', '.join(names) or 'none yet'}.",
            hint="Make one with `boonart ingest SOURCE --collection NAME`." if not names else "",
            field="collection",
        )

    async def search(self, query: Query) -> tuple[Answer, float]:
        """Answer a query within the deadline; the answer and its milliseconds."""
        parts = self.wired()
        start = time.perf_counter()
        try:
            async with asyncio.timeout(parts.settings.request_deadline):
                answer = await parts.search.run(query)
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"No answer within {parts.settings.request_deadline:g} s.", retry_after=2.0
            ) from error
        return answer, 1000 * (time.perf_counter() - start)

    async def work(self, collection: str, work_id: str) -> Candidate:
        """A stored work.

        Raises:
            WorkNotFound: there is none of this id.
        """
        from boonart.errors import WorkNotFound

        found = await self.wired().index.get(collection, [work_id])
        if not found:
            raise WorkNotFound(f"There is no work {work_id!r} in {collection}.")
        return found[0]

    async def check_ready(self) -> None:
        """A real inference and a real index query, at most every few seconds.

        Raises:
            Unavailable: one of them failed.
        """
        if time.monotonic() - self.ready_at < READY_SECONDS and self.parts is not None:
            return
        parts = self.wired()
        encoded = (await parts.encoder.encode_texts(["ready"]))[0]
        if isinstance(encoded, BoonArtError):
            raise Unavailable(f"The encoder fails: {encoded.message}")
        for info in (await parts.index.collections())[:1]:
            if info.manifest.global_size == len(encoded.global_vector):
                await parts.index.search(info.name, encoded.global_vector, name="image", limit=1)
        self.ready_at = time.monotonic()

    def keep_upload(self, token: str, picture: Picture, thumbnail: bytes) -> None:
        """Remember an uploaded picture; the oldest is forgotten when there are too many."""
        self.uploads[token] = (picture, thumbnail)
        self.uploads.move_to_end(token)
        while len(self.uploads) > QUERY_PICTURES:
            self.uploads.popitem(last=False)

    def upload(self, token: str) -> tuple[Picture, bytes]:
        """An uploaded picture and its thumbnail.

        Raises:
            NotFound: it was forgotten.
        """
        if token not in self.uploads:
            raise NotFound("That picture is no longer kept.", hint="Upload it again.")
        return self.uploads[token]


def context(request: Request) -> Context:
    """The gateway's state, for routes."""
    found: Context = request.app.state.context
    return found


async def decoded(data: bytes) -> Picture:
    """Decode in a worker thread."""
    return await asyncio.to_thread(decode, data)


def picture_json(collection: str, work_id: str, stored: StoredPicture) -> dict[str, Any] | None:
    """Where a work's picture is served; None where it has none."""
    if not stored.key:
        return None
    base = f"/v1/works/{quote(work_id, safe='')}"
    # The key changes with the picture, so each address may be cached for good.
    query = urlencode({"collection": collection, "v": stored.key[:12]})
    return {
        "thumbnail_url": f"{base}/thumbnail?{query}",
        "image_url": f"{base}/image?{query}",
        "width": stored.size[0],
        "height": stored.size[1],
        "colour": stored.colour,
    }


def hit_pictures(collection: str, hits: tuple[Hit, ...]) -> list[dict[str, Any] | None]:
    """The pictures of an answer's hits."""
    return [picture_json(collection, hit.work.id, hit.picture) for hit in hits]
