"""`ports.WorkIndex` on Qdrant Edge: collections as folders, in this process.

`EdgeIndex` finds, opens, publishes and locks; `edge_shard.Shard` is one open version. The engine is synchronous,
so each method runs in a worker thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from boonart.errors import (
    CollectionExists,
    CollectionNotFound,
    IndexLocked,
    ModelMismatch,
    WorkIndexError,
    WorkNotFound,
)
from boonart.index import folders
from boonart.index.edge_shard import Shard
from boonart.index.locks import FolderLock
from boonart.index.schema import check_collection_name, to_candidate
from boonart.ports import CollectionInfo, Features
from boonart.works import Candidate, Filter, Float32Array, IndexedWork, Manifest, point_id

logger = logging.getLogger(__name__)

EXACT_BELOW = 20_000
"""Works up to which search compares with every one of them: a millisecond or two at D = 512, and no graph
that could miss a work."""
SIZE_SECONDS = 30.0
"""How long the size of a collection on disk is taken as known."""
_HASH_BATCH = 4_096
_LOCKS = ".locks"
_SIDES = {"image": "regions", "description": "words"}


@dataclass(slots=True)
class _Opened:
    """A collection that this process owns."""

    lock: FolderLock
    shards: dict[int, Shard] = field(default_factory=dict)


class EdgeIndex:
    """Collections in a folder, each opened when it is first used and locked until `close`.

    Args:
        root: the folder; made when the first collection is.
        server_url: address under which this process serves, told to other processes that find a lock taken.
        exact_below: see `EXACT_BELOW`.
    """

    def __init__(self, root: Path, *, server_url: str = "", exact_below: int = EXACT_BELOW) -> None:
        self._root = root
        self._server_url = server_url
        self._exact_below = exact_below
        self._opened: dict[str, _Opened] = {}
        self._sizes: dict[Path, tuple[float, int]] = {}
        # Guards which collections are open; never held while the engine searches or writes.
        self._guard = threading.RLock()

    def _size(self, folder: Path) -> int:
        """Bytes that a version takes, looked up again after `SIZE_SECONDS`: every search describes its collection,
        and walking the folder would cost more than the search."""
        then, size = self._sizes.get(folder, (-SIZE_SECONDS, 0))
        if time.monotonic() - then >= SIZE_SECONDS:
            size = folders.size_on_disk(folder)
            self._sizes[folder] = (time.monotonic(), size)
        return size

    # --- collections ---

    async def collections(self) -> list[CollectionInfo]:
        """All published collections, by name; damaged ones are left out with a warning."""
        return await asyncio.to_thread(self._collections)

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        """One collection.

        Raises:
            CollectionNotFound: no such collection.
            IndexLocked: another process owns it.
            IndexCorrupt: its folder cannot be opened.
        """

        def describe() -> CollectionInfo:
            number, shard = self._shard(collection, version)
            size = self._size(self._root / collection / f"v{number}")
            return CollectionInfo(collection, number, shard.count_known, shard.manifest, size)

        return await asyncio.to_thread(describe)

    async def create(self, collection: str, manifest: Manifest) -> None:
        """Make and publish an empty collection, version 1.

        Raises:
            CollectionExists: the name is taken.
        """
        await asyncio.to_thread(self._create, collection, manifest)

    async def create_version(self, collection: str, manifest: Manifest) -> int:
        """Start the next physical version beside the published one and return its number."""

        def create_version() -> int:
            with self._guard:
                self._published(collection)
                self._own(collection)
                folder = self._root / collection
                number = max(folders.numbers(folder, "v"), default=0) + 1
                self._make(folder, number, manifest)
                return number

        return await asyncio.to_thread(create_version)

    async def publish(self, collection: str, version: int) -> None:
        """Point the name to this version, atomically, and remove the older ones."""

        def publish() -> None:
            self._shard(collection, version)  # A version that cannot be opened is never published.
            with self._guard:
                opened = self._own(collection)
                folder = self._root / collection
                folders.write_pointer(folder, version)
                for number in folders.numbers(folder, "v"):
                    if number == version:
                        continue
                    if (shard := opened.shards.pop(number, None)) is not None:
                        shard.close()
                    folders.remove_tree(folder / f"v{number}")

        await asyncio.to_thread(publish)

    async def drop(self, collection: str) -> None:
        """Delete the collection with all its versions."""

        def drop() -> None:
            with self._guard:
                # The folder is enough: a damaged collection can be dropped too.
                check_collection_name(collection)
                if not (self._root / collection).is_dir():
                    raise self._missing(collection)
                opened = self._own(collection)
                for shard in opened.shards.values():
                    shard.close()
                folders.remove_tree(self._root / collection)
                del self._opened[collection]
                opened.lock.release()

        await asyncio.to_thread(drop)

    # --- writing ---

    async def upsert(self, collection: str, works: Sequence[IndexedWork], *, version: int | None = None) -> None:
        """Insert or replace points. When it returns, they survive `kill -9`.

        A write that takes the collection well above `EXACT_BELOW` also builds the graph, which can take
        minutes; searches go on meanwhile.
        """
        if works:
            await asyncio.to_thread(lambda: self._shard(collection, version)[1].upsert(works))

    async def delete(self, collection: str, work_ids: Sequence[str]) -> int:
        """Delete works and return how many there were."""
        points = list({point_id(collection, work_id) for work_id in work_ids})
        return await asyncio.to_thread(lambda: self._shard(collection)[1].delete(points))

    async def optimise(self, collection: str) -> bool:
        """Build the search graph now, whatever the size; `upsert` does so by itself when it is worth it."""
        return await asyncio.to_thread(lambda: self._shard(collection)[1].optimise())

    # --- reading ---

    async def count(self, collection: str, where: Filter | None = None) -> int:
        """How many works hold under the filter, exactly.

        Raises:
            InvalidFilter: a field that no work has, or a value of the wrong type.
        """
        return await asyncio.to_thread(lambda: self._shard(collection)[1].count(where))

    async def content_hashes(self, collection: str, *, version: int | None = None) -> dict[str, str]:
        """Content hash by work id, for the whole collection."""

        def content_hashes() -> dict[str, str]:
            _, shard = self._shard(collection, version)
            hashes: dict[str, str] = {}
            offset: Any = None
            while True:
                records, offset = shard.scroll(offset, _HASH_BATCH, payload=["id", "content_hash"])
                hashes.update((record.payload["id"], record.payload["content_hash"]) for record in records)
                if offset is None:
                    return hashes

        return await asyncio.to_thread(content_hashes)

    async def get(self, collection: str, work_ids: Sequence[str]) -> list[Candidate]:
        """The stored works of these ids, in order, with score 0; unknown ones are left out."""
        points = [point_id(collection, work_id) for work_id in work_ids]

        def get() -> list[Candidate]:
            records = self._shard(collection)[1].retrieve(list(set(points)))
            return [to_candidate(point, records[point].payload) for point in points if point in records]

        return await asyncio.to_thread(get)

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        """The stored vector "image" or "description" of a work, (D,), of length 1.

        Raises:
            WorkNotFound: no such work, or it has no such vector.
        """
        self._check_name(name)
        point = point_id(collection, work_id)

        def vector() -> Float32Array:
            records = self._shard(collection)[1].retrieve([point], vectors=[name], payload=[])
            if point not in records:
                raise WorkNotFound(f"There is no work {work_id[:80]!r} in {collection!r}.")
            found = (records[point].vector or {}).get(name)
            if found is None:
                raise WorkNotFound(f"The work {work_id[:80]!r} in {collection!r} has no {name} vector.")
            return np.asarray(found, dtype=np.float32)

        return await asyncio.to_thread(vector)

    async def vectors(self, collection: str, work_ids: Sequence[str], name: str) -> Mapping[str, Float32Array]:
        """The stored vectors "image" or "description" of these works, (D,) each, by work id; missing ones left out."""
        self._check_name(name)
        ids = {point_id(collection, work_id): work_id for work_id in work_ids}

        def vectors() -> dict[str, Float32Array]:
            records = self._shard(collection)[1].retrieve(list(ids), vectors=[name], payload=[])
            return {
                ids[point]: np.asarray(record.vector[name], dtype=np.float32)
                for point, record in records.items()
                if record.vector and name in record.vector
            }

        return await asyncio.to_thread(vectors)

    async def fields(self, collection: str) -> Mapping[str, str]:
        """What can be filtered on: the kind by the field's name."""

        def kinds() -> dict[str, str]:
            return {name: field.kind.value for name, field in self._shard(collection)[1].fields.items()}

        return await asyncio.to_thread(kinds)

    async def facet(
        self, collection: str, field: str, *, limit: int, where: Filter | None = None
    ) -> list[tuple[str | int | bool, int]]:
        """The commonest values of a field, with their exact counts, most first.

        Raises:
            InvalidFilter: no such field, or one whose values are not counted.
        """
        return await asyncio.to_thread(lambda: self._shard(collection)[1].facet(field, limit, where))

    async def search(
        self,
        collection: str,
        vector: Float32Array,
        *,
        name: str,
        limit: int,
        where: Filter | None = None,
        exact: bool = False,
    ) -> list[Candidate]:
        """The `limit` nearest works by cosine against the named vector ("image" or "description").

        Args:
            exact: compare with every vector even where a graph exists.

        Raises:
            InvalidFilter: a field that no work has, or a value of the wrong type.
            ModelMismatch: the vector has another size than the collection's.
        """
        self._check_name(name)

        def search() -> list[Candidate]:
            _, shard = self._shard(collection)
            if vector.shape != (shard.manifest.global_size,):
                raise ModelMismatch(
                    f"The query's vector has the shape {vector.shape}; the collection {collection!r} holds "
                    f"vectors of {shard.manifest.global_size}.",
                    hint=f"Search with {shard.manifest.encoder_id}, or run `boonart reindex {collection}`.",
                )
            query = np.ascontiguousarray(vector, dtype=np.float32)
            return shard.search(query, name, limit, where, exact)

        return await asyncio.to_thread(search)

    async def search_keywords(
        self, collection: str, text: str, *, limit: int, where: Filter | None = None
    ) -> list[Candidate]:
        """The `limit` works that fit the text's words best, by BM25; see `ports.WorkIndex`.

        Raises:
            InvalidFilter: a field that no work has, or a value of the wrong type.
        """
        return await asyncio.to_thread(lambda: self._shard(collection)[1].search_keywords(text, limit, where))

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """Stored features by point id, `side` "image" or "description"; missing ones are left out."""
        self._check_name(side)

        def features() -> dict[str, Features]:
            _, shard = self._shard(collection)
            if not shard.manifest.embed_size:
                return {}
            tokens = _SIDES[side]
            payload = ["content_hash"] if side == "image" else ["content_hash", "description_words"]
            records = shard.retrieve(list(set(point_ids)), vectors=[side, tokens], payload=payload)
            return {
                point: Features(
                    content_hash=record.payload["content_hash"],
                    global_vector=np.asarray(record.vector[side], dtype=np.float16),
                    tokens=np.asarray(record.vector[tokens], dtype=np.float16),
                    words=tuple(record.payload.get("description_words", ())),
                )
                for point, record in records.items()
                if record.vector and side in record.vector and tokens in record.vector
            }

        return await asyncio.to_thread(features)

    async def scroll(
        self, collection: str, *, batch: int = 256, version: int | None = None
    ) -> AsyncIterator[list[Candidate]]:
        """All works in batches, in the order of their point ids, with payload and without vectors."""
        offset: Any = None
        while True:
            _, shard = await asyncio.to_thread(self._shard, collection, version)
            records, offset = await asyncio.to_thread(shard.scroll, offset, batch)
            if records:
                yield [to_candidate(str(record.id), record.payload) for record in records]
            if offset is None:
                return

    async def close(self) -> None:
        """Flush and close every open collection and release its lock."""
        await asyncio.to_thread(self._close)

    # --- opening ---

    def _close(self) -> None:
        with self._guard:
            for opened in self._opened.values():
                for shard in opened.shards.values():
                    shard.close()
                opened.lock.release()
            self._opened.clear()

    def _collections(self) -> list[CollectionInfo]:
        if not self._root.is_dir():
            return []
        found = []
        for folder in sorted(self._root.iterdir()):
            if folder.name.startswith(".") or not (folder / "current").is_file():
                continue
            try:
                found.append(self._listed(folder))
            except WorkIndexError as error:
                logger.warning("%s", error)
        return found

    def _listed(self, folder: Path) -> CollectionInfo:
        """A collection as far as it can be told without keeping it open: a list must not lock it."""
        name = folder.name
        number = self._published(name)
        version = folder / f"v{number}"
        manifest = folders.read_manifest(version)
        state = folders.read_state(version)
        count = state.count
        with self._guard:
            opened = self._opened.get(name)
            if opened is not None and number in opened.shards:
                count = opened.shards[number].count_known
            elif not state.inventory:
                # Not closed cleanly: another process has it open, or a crash left the number behind.
                count = self._count_briefly(name, number, fallback=count)
        return CollectionInfo(name, number, count, manifest, self._size(version))

    def _count_briefly(self, name: str, number: int, *, fallback: int) -> int:
        was_open = name in self._opened
        try:
            count = self._shard(name, number)[1].count_known
        except IndexLocked:
            return fallback
        except ModelMismatch:
            count = fallback
        if not was_open and (opened := self._opened.pop(name, None)) is not None:
            for shard in opened.shards.values():
                shard.close()
            opened.lock.release()
        return count

    def _create(self, collection: str, manifest: Manifest) -> None:
        check_collection_name(collection)
        folder = self._root / collection
        with self._guard:
            if collection not in self._opened and folder.is_dir() and folders.read_pointer(folder) is not None:
                raise CollectionExists(f"There is a collection {collection!r} already.")
            self._own(collection)
            if folders.read_pointer(folder) is not None:
                raise CollectionExists(f"There is a collection {collection!r} already.")
            folder.mkdir(parents=True, exist_ok=True)
            # A version without a pointer to it was left by a process that died while making the collection.
            folders.remove_tree(folder / "v1")
            self._make(folder, 1, manifest)
            folders.write_pointer(folder, 1)

    @staticmethod
    def _make(folder: Path, number: int, manifest: Manifest) -> None:
        """Make an empty version so that its name appears only when it is whole."""
        temporary = folder / f".making-{uuid.uuid4().hex[:8]}"
        try:
            Shard.make(temporary, manifest)
            temporary.replace(folder / f"v{number}")
        finally:
            folders.remove_tree(temporary)
        folders.sync_folder(folder)

    def _published(self, collection: str) -> int:
        check_collection_name(collection)
        number = folders.read_pointer(self._root / collection)
        if number is None:
            raise self._missing(collection)
        return number

    def _own(self, collection: str) -> _Opened:
        """The collection's lock, taken when it is not held yet."""
        opened = self._opened.get(collection)
        if opened is None:
            lock = FolderLock(self._root / _LOCKS, collection, server_url=self._server_url)
            lock.acquire()
            opened = self._opened[collection] = _Opened(lock)
        return opened

    def _shard(self, collection: str, version: int | None = None) -> tuple[int, Shard]:
        """The open shard of a version, the published one by default, and its number."""
        with self._guard:
            number = self._published(collection) if version is None else version
            opened = self._opened.get(collection)
            if opened is not None and number in opened.shards:
                return number, opened.shards[number]
            check_collection_name(collection)
            folder = self._root / collection / f"v{number}"
            if not folder.is_dir():
                if version is None:
                    raise folders.corrupt(folder, "the folder is missing")
                raise CollectionNotFound(f"The collection {collection!r} has no version {version}.")
            was_owned = opened is not None
            opened = self._own(collection)
            try:
                shard = Shard(folder, collection, exact_below=self._exact_below)
            except BaseException:
                if not was_owned:
                    del self._opened[collection]
                    opened.lock.release()
                raise
            opened.shards[number] = shard
            return number, shard

    def _missing(self, collection: str) -> CollectionNotFound:
        names = [folder.parent.name for folder in sorted(self._root.glob("[!.]*/current"))]
        hint = f"There are: {', '.join(names[:20])}." if names else "There is none yet; `boonart ingest` makes one."
        return CollectionNotFound(f"There is no collection {collection!r}.", hint=hint)

    @staticmethod
    def _check_name(name: str) -> None:
        if name not in _SIDES:
            raise ValueError(f"a named vector is image or description, not {name!r}")
