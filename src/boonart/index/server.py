"""`ports.WorkIndex` on a Qdrant server or cluster, through `qdrant-client`.

A collection's name is an alias of its published version and is switched to the next in one step; searches go through
the alias, so that they never see half of a version. `server_names` keeps the names, `server_calls` the connection.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from boonart.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidFilter,
    ModelMismatch,
    WorkIndexError,
    WorkNotFound,
)
from boonart.index import server_engine as engine
from boonart.index.filters import compile_filter
from boonart.index.keywords import query_vector
from boonart.index.schema import KEYWORDS, SCHEMA_VERSION, Field, check_vectors, countable, to_candidate
from boonart.index.server_calls import Connection, missing
from boonart.index.server_names import Names
from boonart.index.server_options import ServerOptions
from boonart.index.server_points import TOKENS, Points
from boonart.index.server_snapshots import Snapshot, Snapshots
from boonart.ports import CollectionInfo, Features
from boonart.works import Candidate, Filter, Float32Array, IndexedWork, Manifest, point_id

logger = logging.getLogger(__name__)

_HASH_BATCH = 4_096
_MIN_EF = 256
"""Candidates that a graph search keeps at least; benchmarks/index_recall.py measures what it gives."""
_UNSHOWN = models.PayloadSelectorExclude(exclude=["description_words", "models"])
"""Payload that a candidate does not carry."""


class QdrantServerIndex:
    """Collections on a Qdrant server.

    Args:
        url: "http://HOST:6333", or ":memory:" for the engine in this process, which is for tests.

    Raises:
        ConfigurationError: the address is none.
    """

    def __init__(self, url: str, options: ServerOptions | None = None) -> None:
        self._options = options or ServerOptions()
        self._qdrant = Connection(url, self._options)
        self._names = Names(self._qdrant, self._options)
        self._points = Points(self._qdrant)
        self._snapshots = Snapshots(self._qdrant, self._names)

    # --- collections ---

    async def collections(self) -> list[CollectionInfo]:
        """All published collections, by name; those of other programs are left out."""
        found = []
        for name in sorted(await self._names.published()):
            try:
                known = await self._names.describe(name)
                found.append(CollectionInfo(name, known.version, known.count, known.manifest))
            except (WorkIndexError, CollectionNotFound) as error:
                # The latter: dropped since the list was made.
                logger.warning("%s", error)
        return found

    async def describe(self, collection: str, *, version: int | None = None) -> CollectionInfo:
        """One collection; its count may be a second old where another process writes.

        Raises:
            CollectionNotFound: no such collection.
            IndexCorrupt: not made by BoonArt, or its metadata is damaged.
        """
        known = await self._describe(collection, version)
        return CollectionInfo(collection, known.version, known.count, known.manifest)

    async def create(self, collection: str, manifest: Manifest) -> None:
        """Make and publish an empty collection, version 1.

        Raises:
            CollectionExists: the name is taken.
        """
        self._names.target(collection)
        if collection in await self._names.published():
            raise CollectionExists(f"There is a collection {collection!r} already.")
        await self._names.make(collection, 1, manifest)
        await self._names.publish(collection, 1)

    async def create_version(self, collection: str, manifest: Manifest) -> int:
        """Start the next physical version beside the published one and return its number."""
        published = await self._names.describe(collection, fresh=True)
        number = max([published.version, *await self._names.versions(collection)]) + 1
        await self._names.make(collection, number, manifest)
        return number

    async def publish(self, collection: str, version: int) -> None:
        """Point the name to this version, atomically, and remove the older ones."""
        await self._describe(collection, version)
        await self._names.publish(collection, version)
        for number in await self._names.versions(collection):
            if number != version:
                await self._names.delete(collection, number)

    async def drop(self, collection: str) -> None:
        """Delete the collection with all its versions."""
        versions = await self._names.versions(collection)
        if collection in await self._names.published():
            await self._names.unpublish(collection)
        elif not versions:
            raise missing(collection)
        for number in versions:
            await self._names.delete(collection, number)

    # --- writing ---

    async def upsert(self, collection: str, works: Sequence[IndexedWork], *, version: int | None = None) -> None:
        """Insert or replace points. When it returns, they survive `kill -9` of Qdrant.

        Works go in several messages; a failure in between leaves whole works and can be repeated.
        """
        if not works:
            return
        known = await self._describe(collection, version, patient=True)
        for work in works:
            check_vectors(work, known.manifest)
        if fresh := engine.new_fields(works, known.fields):
            await self._names.add_fields(collection, known.version, fresh)
        name = self._names.target(collection, version)
        await self._points.upsert(name, collection, works, known.manifest)
        self._names.forget(collection, version)

    async def delete(self, collection: str, work_ids: Sequence[str]) -> int:
        """Delete works and return how many there were."""
        ids: list[Any] = list({point_id(collection, work_id) for work_id in work_ids})
        found = await self._retrieve(collection, ids, payload=False)
        if found:
            there: list[Any] = list(found)
            selector = models.PointIdsList(points=there)
            name = self._names.target(collection)
            await self._qdrant.write(lambda client: client.delete(name, selector, wait=True), collection)
            self._names.forget(collection)
        return len(found)

    # --- reading ---

    async def count(self, collection: str, where: Filter | None = None) -> int:
        """How many works hold under the filter, exactly.

        Raises:
            InvalidFilter: a field that no work has, or a value of the wrong type.
        """
        await self._describe(collection)
        condition = await self._compile(collection, where)
        name = self._names.target(collection)
        result = await self._qdrant.read(lambda client: client.count(name, condition, exact=True), collection)
        return result.count

    async def content_hashes(self, collection: str, *, version: int | None = None) -> dict[str, str]:
        """Content hash by work id, for the whole collection."""
        hashes: dict[str, str] = {}
        async for records in self._records(collection, _HASH_BATCH, version, ["id", "content_hash"]):
            payloads = [record.payload or {} for record in records]
            hashes.update((payload["id"], payload["content_hash"]) for payload in payloads)
        return hashes

    async def get(self, collection: str, work_ids: Sequence[str]) -> list[Candidate]:
        """The stored works of these ids, in order, with score 0; unknown ones are left out."""
        ids = [point_id(collection, work_id) for work_id in work_ids]
        found = await self._retrieve(collection, list(set(ids)), payload=_UNSHOWN)
        return [to_candidate(point, found[point].payload or {}) for point in ids if point in found]

    async def vector(self, collection: str, work_id: str, name: str) -> Float32Array:
        """The stored vector "image" or "description" of a work, (D,), of length 1.

        Raises:
            WorkNotFound: no such work, or it has no such vector.
        """
        self._check_name(name)
        point = point_id(collection, work_id)
        found = await self._retrieve(collection, [point], payload=False, vectors=[name])
        if point not in found:
            raise WorkNotFound(f"There is no work {work_id[:80]!r} in {collection!r}.")
        vectors: Any = found[point].vector or {}
        if name not in vectors:
            raise WorkNotFound(f"The work {work_id[:80]!r} in {collection!r} has no {name} vector.")
        return np.asarray(vectors[name], dtype=np.float32)

    async def vectors(self, collection: str, work_ids: Sequence[str], name: str) -> Mapping[str, Float32Array]:
        """The stored vectors "image" or "description" of these works, (D,) each, by work id; missing ones left out."""
        self._check_name(name)
        ids = {point_id(collection, work_id): work_id for work_id in work_ids}
        found = await self._retrieve(collection, list(ids), payload=False, vectors=[name])
        stored: dict[str, Any] = {point: record.vector or {} for point, record in found.items()}
        return {
            ids[point]: np.asarray(vectors[name], dtype=np.float32)
            for point, vectors in stored.items()
            if name in vectors
        }

    async def fields(self, collection: str) -> Mapping[str, str]:
        """What can be filtered on: the kind by the field's name."""
        known = await self._describe(collection)
        return {name: field.kind.value for name, field in known.fields.items()}

    async def facet(
        self, collection: str, field: str, *, limit: int, where: Filter | None = None
    ) -> list[tuple[str | int | bool, int]]:
        """The commonest values of a field, with their exact counts, most first.

        Raises:
            InvalidFilter: no such field, or one whose values are not counted.
            Unavailable: Qdrant is down, slow or full.
        """
        path = countable(field, (await self._describe(collection)).fields).path
        condition = await self._compile(collection, where)
        name = self._names.target(collection)
        result = await self._qdrant.read(
            lambda client: client.facet(name, path, facet_filter=condition, limit=limit, exact=True), collection
        )
        found = [(hit.value, hit.count) for hit in result.hits]
        return sorted(found, key=lambda item: (-item[1], str(item[0])))

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
            Unavailable: Qdrant is down, slow or full.
        """
        self._check_name(name)
        known = await self._describe(collection)
        if vector.shape != (known.manifest.global_size,):
            raise ModelMismatch(
                f"The query's vector has the shape {vector.shape}; the collection {collection!r} holds "
                f"vectors of {known.manifest.global_size}.",
                hint=f"Search with {known.manifest.encoder_id}, or run `boonart reindex {collection}`.",
            )
        condition = await self._compile(collection, where)
        query = np.asarray(vector, dtype=np.float32).tolist()
        # The engine in this process compares with every vector anyway, and warns of parameters.
        params = None
        if not self._qdrant.in_memory:
            params = models.SearchParams(exact=exact, hnsw_ef=max(_MIN_EF, 2 * limit))
        return await self._query(collection, query, using=name, where=condition, limit=limit, params=params)

    async def search_keywords(
        self, collection: str, text: str, *, limit: int, where: Filter | None = None
    ) -> list[Candidate]:
        """The `limit` works that fit the text's words best, by BM25; see `ports.WorkIndex`.

        Raises:
            InvalidFilter: a field that no work has, or a value of the wrong type.
            Unavailable: Qdrant is down, slow or full.
        """
        await self._describe(collection)
        condition = await self._compile(collection, where)
        words = query_vector(text)
        if not words.indices:
            return []
        query = models.SparseVector(indices=list(words.indices), values=list(words.values))
        return await self._query(collection, query, using=KEYWORDS, where=condition, limit=limit)

    async def features(self, collection: str, point_ids: Sequence[str], side: str) -> Mapping[str, Features]:
        """Stored features by point id, `side` "image" or "description"; missing ones are left out."""
        self._check_name(side)
        known = await self._describe(collection)
        if not known.manifest.embed_size or not point_ids:
            return {}
        return await self._points.features(self._names.target(collection), collection, list(set(point_ids)), side)

    async def scroll(
        self, collection: str, *, batch: int = 256, version: int | None = None
    ) -> AsyncIterator[list[Candidate]]:
        """All works in batches, in the order of their point ids, with payload and without vectors."""
        async for records in self._records(collection, batch, version, _UNSHOWN):
            yield [to_candidate(str(record.id), record.payload or {}) for record in records]

    async def close(self) -> None:
        """Close the connections."""
        self._names.forget_all()
        await self._qdrant.close()

    # --- snapshots ---

    async def create_snapshot(self, collection: str) -> Snapshot:
        """Snapshot the published version, on Qdrant's node; takes as long as to copy the collection.

        Raises:
            ConfigurationError: Qdrant has several nodes.
            BoonArtError: Qdrant cannot make one.
        """
        return await self._snapshots.create(collection)

    async def snapshots(self, collection: str) -> list[Snapshot]:
        """The snapshots of the published version, oldest first."""
        await self._describe(collection)
        return await self._snapshots.listed(collection)

    async def restore_snapshot(self, collection: str, location: str) -> int:
        """Restore a snapshot as the next version and publish it; searches go on in the old one meanwhile.

        Args:
            location: as Qdrant sees it: "file:///qdrant/snapshots/..." on the node, or an address to fetch it from.

        Returns:
            The number of the version that is now published.

        Raises:
            ConfigurationError: Qdrant has several nodes.
            BoonArtError: Qdrant cannot restore it.
        """
        number = await self._snapshots.restore(collection, location)
        await self.publish(collection, number)
        return number

    # --- inside ---

    async def _describe(
        self, collection: str, version: int | None = None, *, patient: bool = False
    ) -> engine.Described:
        known = await self._names.describe(collection, version, patient=patient)
        if known.manifest.schema_version != SCHEMA_VERSION:
            raise ModelMismatch(
                f"The collection {collection!r} is stored in form {known.manifest.schema_version}; "
                f"this version of BoonArt reads form {SCHEMA_VERSION}.",
                hint=f"Run `boonart reindex {collection}`.",
            )
        return known

    async def _query(
        self,
        collection: str,
        query: list[float] | models.SparseVector,
        *,
        using: str,
        where: models.Filter | None,
        limit: int,
        params: models.SearchParams | None = None,
    ) -> list[Candidate]:
        result = await self._qdrant.read(
            lambda client: client.query_points(
                self._names.target(collection),
                query=query,
                using=using,
                query_filter=where,
                search_params=params,
                limit=limit,
                with_payload=_UNSHOWN,
            ),
            collection,
        )
        return [to_candidate(str(hit.id), hit.payload or {}, float(hit.score)) for hit in result.points]

    async def _compile(self, collection: str, where: Filter | None) -> models.Filter | None:
        if where is None:
            return None
        known = await self._describe(collection)
        try:
            return _compiled(where, known.fields)
        except InvalidFilter:
            # Another process may have brought the field in the last second.
            fresh = await self._names.describe(collection, fresh=True)
            if fresh.fields == known.fields:
                raise
            return _compiled(where, fresh.fields)

    async def _retrieve(
        self, collection: str, ids: Sequence[str], *, payload: Any, vectors: Sequence[str] = ()
    ) -> dict[str, models.Record]:
        await self._describe(collection)
        name = self._names.target(collection)
        return await self._points.retrieve(name, collection, ids, payload=payload, vectors=vectors)

    async def _records(
        self, collection: str, batch: int, version: int | None, payload: Any
    ) -> AsyncIterator[list[models.Record]]:
        await self._describe(collection, version)
        name = self._names.target(collection, version)
        async for records in self._points.scroll(name, collection, batch, payload=payload):
            yield records

    @staticmethod
    def _check_name(name: str) -> None:
        if name not in TOKENS:
            raise ValueError(f"a named vector is image or description, not {name!r}")


def _compiled(where: Filter, fields: Mapping[str, Field]) -> models.Filter:
    # A bare name reaches an `extra` field too, unless a field of the schema has it.
    short = {name.removeprefix("extra."): field for name, field in fields.items()}
    return compile_filter(where, {**short, **fields}, engine.ServerDialect())
