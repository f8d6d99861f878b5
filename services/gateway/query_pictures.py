"""Pictures that people search with: decoded a few at a time, and kept a while so that results have an address."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from boonart.encoders.pictures import PictureBudget, decode, renditions
from boonart.errors import NotFound, Overloaded
from boonart.works import Picture

AT_ONCE = 2
"""Pictures decoded at the same time: a large scan takes a processor and up to a gigabyte."""
WAITING = 16
"""Pictures that may wait for their turn; more are refused at once, since they would only be answered too late."""
KEPT_BYTES = 64 * 1024 * 1024
"""Memory for the pictures kept for the page."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """An uploaded picture, encoded: what is searched with, and what is shown beside the results.

    Attributes:
        data: a picture file of at most 1,600 pixels a side.
        thumbnail: a small one, of `media_type`.
        size: width and height of the upload in pixels.
    """

    data: bytes
    thumbnail: bytes
    media_type: str
    size: tuple[int, int]


class QueryPictures:
    """Decodes and keeps query pictures of one process.

    Args:
        kept_bytes: memory for kept pictures; the one used longest ago is forgotten first.
    """

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[str, KeptPicture] = OrderedDict()
        self._kept_bytes = kept_bytes
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def decode(self, data: bytes, most_bytes: int) -> Picture:
        """Decode a picture in a worker thread.

        Raises:
            PictureError: bytes that are no usable picture.
            Overloaded: too many others wait.
        """
        budget = PictureBudget(file_bytes=most_bytes)
        return await self.in_turn(lambda: decode(data, budget=budget))

    async def keep(self, data: bytes, most_bytes: int) -> str:
        """Keep an uploaded picture for a while; returns the token under which it can be had.

        Raises:
            PictureError: bytes that are no usable picture.
            Overloaded: too many others wait.
        """
        budget = PictureBudget(file_bytes=most_bytes)

        def prepare() -> KeptPicture:
            picture = decode(data, budget=budget)
            forms = renditions(data, picture)
            return KeptPicture(forms.display, forms.thumbnail, forms.thumbnail_media_type, picture.original_size)

        kept = await self.in_turn(prepare)
        token = secrets.token_urlsafe(12)
        self._kept[token] = kept
        while (
            len(self._kept) > 1 and sum(len(k.data) + len(k.thumbnail) for k in self._kept.values()) > self._kept_bytes
        ):
            self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> KeptPicture:
        """A kept picture.

        Raises:
            NotFound: it was forgotten, or never was.
        """
        if token not in self._kept:
            raise NotFound("That picture is no longer kept.", hint="Choose it again and search once more.")
        self._kept.move_to_end(token)
        return self._kept[token]

    async def in_turn(self, work: Callable[[], Result]) -> Result:
        """Run what decodes a picture in a worker thread, a few at a time.

        Raises:
            Overloaded: too many others wait.
        """
        if self._waiting >= WAITING:
            raise Overloaded("Too many pictures are being searched with.", hint="Try again in a few seconds.")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
