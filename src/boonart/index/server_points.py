"""Points to and from a Qdrant server: in messages of a fit size, and over gRPC without a Python object a number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import GrpcToRest

from boonart.index import server_engine as engine
from boonart.index.server_calls import Connection
from boonart.index.server_wire import from_dense, from_multi
from boonart.ports import Features
from boonart.works import IndexedWork, Manifest

UPSERT_BATCH = 64
"""Works in one message: 4 MB over gRPC and 12 MB over REST, of which Qdrant accepts 32 MB."""
RETRIEVE_BATCH = 256
TOKENS = {"image": "regions", "description": "words"}
"""The multivector that belongs to a named vector."""


class Points:
    """Points of physical collections or aliases, `name`; `collection` is what messages call them."""

    def __init__(self, qdrant: Connection) -> None:
        self._qdrant = qdrant

    async def upsert(self, name: str, collection: str, works: Sequence[IndexedWork], manifest: Manifest) -> None:
        """Insert or replace, in messages of `UPSERT_BATCH`; returns once Qdrant has written them."""
        for start in range(0, len(works), UPSERT_BATCH):
            batch = works[start : start + UPSERT_BATCH]
            if self._qdrant.over_grpc:
                await self._upsert_over_grpc(name, collection, batch, manifest)
            else:
                await self._upsert(name, collection, batch, manifest)

    async def retrieve(
        self, name: str, collection: str, ids: Sequence[str], *, payload: Any, vectors: Sequence[str] = ()
    ) -> dict[str, models.Record]:
        """Qdrant's records of these points, by id; unknown ones are left out."""
        found: dict[str, models.Record] = {}
        for start in range(0, len(ids), RETRIEVE_BATCH):
            batch: list[Any] = list(ids[start : start + RETRIEVE_BATCH])

            async def retrieve(client: AsyncQdrantClient, batch: list[Any] = batch) -> list[models.Record]:
                return await client.retrieve(name, batch, with_payload=payload, with_vectors=list(vectors) or False)

            records = await self._qdrant.read(retrieve, collection)
            found.update((str(record.id), record) for record in records)
        return found

    async def features(self, name: str, collection: str, ids: Sequence[str], side: str) -> dict[str, Features]:
        """Features by point id; points without them are left out."""
        payload = ["content_hash"] if side == "image" else ["content_hash", "description_words"]
        if self._qdrant.over_grpc:
            return await self._features_over_grpc(name, collection, ids, side, payload)
        found = await self.retrieve(name, collection, ids, payload=payload, vectors=[side, TOKENS[side]])
        features = {}
        for point, record in found.items():
            vectors: Any = record.vector or {}
            if side in vectors and TOKENS[side] in vectors:
                features[point] = _features(record.payload or {}, vectors[side], vectors[TOKENS[side]])
        return features

    async def scroll(
        self, name: str, collection: str, batch: int, *, payload: Any
    ) -> AsyncIterator[list[models.Record]]:
        """All records in batches, in the order of their ids."""
        offset: Any = None
        while True:

            async def scroll(client: AsyncQdrantClient, offset: Any = offset) -> tuple[list[models.Record], Any]:
                return await client.scroll(name, limit=batch, offset=offset, with_payload=payload)

            records, offset = await self._qdrant.read(scroll, collection)
            if records:
                yield records
            if offset is None:
                return

    async def _upsert(self, name: str, collection: str, works: Sequence[IndexedWork], manifest: Manifest) -> None:
        points = await asyncio.to_thread(lambda: [engine.point(work, collection, manifest) for work in works])
        await self._qdrant.write(lambda client: client.upsert(name, points, wait=True), collection)

    async def _upsert_over_grpc(
        self, name: str, collection: str, works: Sequence[IndexedWork], manifest: Manifest
    ) -> None:
        points = await asyncio.to_thread(lambda: [engine.grpc_point(work, collection, manifest) for work in works])
        message = grpc.UpsertPoints(collection_name=name, wait=True, points=points)

        async def upsert(client: AsyncQdrantClient) -> None:
            await client.grpc_points.Upsert(message)

        await self._qdrant.write(upsert, collection)

    async def _features_over_grpc(
        self, name: str, collection: str, ids: Sequence[str], side: str, payload: Sequence[str]
    ) -> dict[str, Features]:
        features = {}
        for start in range(0, len(ids), RETRIEVE_BATCH):
            message = grpc.GetPoints(
                collection_name=name,
                ids=[grpc.PointId(uuid=point) for point in ids[start : start + RETRIEVE_BATCH]],
                with_payload=grpc.WithPayloadSelector(include=grpc.PayloadIncludeSelector(fields=payload)),
                with_vectors=grpc.WithVectorsSelector(include=grpc.VectorsSelector(names=[side, TOKENS[side]])),
            )

            async def get(client: AsyncQdrantClient, message: Any = message) -> Any:
                return await client.grpc_points.Get(message)

            for record in (await self._qdrant.read(get, collection)).result:
                vectors = record.vectors.vectors.vectors
                if side in vectors and TOKENS[side] in vectors:
                    stored = GrpcToRest.convert_payload(record.payload)
                    matrix = from_multi(vectors[TOKENS[side]].multi_dense)
                    features[record.id.uuid] = _features(stored, from_dense(vectors[side].dense), matrix)
        return features


def _features(payload: Mapping[str, Any], vector: Any, tokens: Any) -> Features:
    return Features(
        content_hash=payload["content_hash"],
        global_vector=np.asarray(vector, dtype=np.float16),
        tokens=np.asarray(tokens, dtype=np.float16),
        words=tuple(payload.get("description_words", ())),
    )
