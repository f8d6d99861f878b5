"""Thumbnails of the heights that are not stored at ingest: made when they are first asked for, then kept."""

from __future__ import annotations

import asyncio
import logging

from boonart.encoders.pictures import thumbnail
from boonart.errors import Overloaded, WorkNotFound
from boonart.ports import PictureStore

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Thumbnails made at the same time; each takes a processor for some hundredths of a second."""
WAITING = 64
"""Those that may wait for their turn: a page of results asks for 48."""

Wanted = tuple[str, str, int]
"""Collection, key, height."""


class Thumbnails:
    """Makes each thumbnail once, a few at a time, however many ask for it."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._making: dict[Wanted, asyncio.Task[tuple[bytes, str]]] = {}

    @property
    def waiting(self) -> int:
        """How many are being made or wait for it."""
        return len(self._making)

    async def read(self, store: PictureStore, collection: str, key: str, height: int) -> tuple[bytes, str]:
        """Bytes and media type of a thumbnail of at most this height.

        Raises:
            WorkNotFound: nothing under this key.
            PictureError: the display form cannot be read.
            Overloaded: too many others wait.
        """
        try:
            return await asyncio.to_thread(store.read, collection, key, f"thumbnail-{height}")
        except WorkNotFound:
            wanted = (collection, key, height)
        making = self._making.get(wanted)
        if making is None:
            if self.waiting >= WAITING:
                raise Overloaded("Too many thumbnails are being made.", hint="Try again in a few seconds.")
            making = self._making[wanted] = asyncio.create_task(self._make(store, *wanted))
            making.add_done_callback(lambda _: self._making.pop(wanted))
        # Whoever leaves does not stop it for the others.
        return await asyncio.shield(making)

    async def _make(self, store: PictureStore, collection: str, key: str, height: int) -> tuple[bytes, str]:
        async with self._turns:
            return await asyncio.to_thread(_made, store, collection, key, height)


def _made(store: PictureStore, collection: str, key: str, height: int) -> tuple[bytes, str]:
    display, _ = store.read(collection, key, "display")
    data, media_type = thumbnail(display, height)
    try:
        store.add(collection, key, f"thumbnail-{height}", data, media_type)
    except OSError as error:
        # A full or read-only disk costs time, not the picture.
        logger.warning("a thumbnail of %s is not kept: %s", collection, error)
    return data, media_type
