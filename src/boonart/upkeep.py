"""The use case of tidying up: a collection goes with everything that belongs to it."""

from __future__ import annotations

import asyncio

from boonart.ports import PictureStore, WorkIndex


async def drop_collection(collection: str, index: WorkIndex, pictures: PictureStore) -> None:
    """Delete a collection with all its versions and its pictures.

    The works go first: pictures without a work are lost room, a work without its picture is a broken answer.

    Raises:
        CollectionNotFound: no such collection.
        IndexLocked: another process owns it.
    """
    await index.drop(collection)
    await asyncio.to_thread(pictures.drop, collection)
