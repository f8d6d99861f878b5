"""What both doors of Qdrant's double share: the engine of `qdrant-client`'s local mode, and what it does not keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import grpc as grpc_core
from qdrant_client import AsyncQdrantClient, models


@dataclass
class Taken:
    """A snapshot: how a collection was made and what lay in it."""

    config: models.CollectionInfo
    points: list[models.PointStruct]


@dataclass
class Engine:
    """The local engine, and what it does not keep itself.

    Attributes:
        nodes: how many it says that there are; one alone answers.
        indexed: kind of the payload index by path, by collection.
        layouts: shards and copies that each collection was asked to have.
        snapshots: by collection and name.
    """

    client: AsyncQdrantClient
    nodes: int = 1
    indexed: dict[str, dict[str, str]] = field(default_factory=dict)
    layouts: dict[str, dict[str, int | None]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Taken]] = field(default_factory=dict)

    def cluster(self) -> models.ClusterStatus:
        if self.nodes == 1:
            return models.ClusterStatusOneOf(status="disabled")
        return models.ClusterStatusOneOf1(
            status="enabled",
            peer_id=1,
            peers={str(number): models.PeerInfo(uri=f"http://node-{number}:6335/") for number in range(self.nodes)},
            raft_info=models.RaftInfo(term=1, commit=1, pending_operations=0, is_voter=True),
            consensus_thread_status=models.ConsensusThreadStatusOneOf2(
                consensus_thread_status="stopped_with_err", err=""
            ),
            message_send_failures={},
        )

    async def physical(self, name: str) -> str:
        aliases = {item.alias_name: item.collection_name for item in (await self.client.get_aliases()).aliases}
        return aliases.get(name, name)

    async def info(self, name: str) -> models.CollectionInfo:
        info = await self.client.get_collection(name)
        physical = await self.physical(name)
        kinds = self.indexed.get(physical, {})
        info.payload_schema = {
            path: models.PayloadIndexInfo(data_type=models.PayloadSchemaType(kind), points=0)
            for path, kind in kinds.items()
        }
        for key, value in self.layouts.get(physical, {}).items():
            setattr(info.config.params, key, value)
        return info

    async def create(self, name: str, request: models.CreateCollection) -> bool:
        if (request.replication_factor or 1) > self.nodes:
            raise ValueError(f"this server has no more than {self.nodes} nodes")
        made = await self.client.create_collection(
            name,
            vectors_config=request.vectors,
            sparse_vectors_config=request.sparse_vectors,
            metadata=request.metadata,
        )
        self.layouts[name] = {
            "shard_number": request.shard_number,
            "replication_factor": request.replication_factor,
            "write_consistency_factor": request.write_consistency_factor,
        }
        return made

    async def drop(self, name: str) -> bool:
        self.indexed.pop(name, None)
        self.layouts.pop(name, None)
        return await self.client.delete_collection(name)

    async def index(self, name: str, path: str, kind: str) -> models.UpdateResult:
        await self.client.get_collection(name)
        self.indexed.setdefault(await self.physical(name), {})[path] = kind
        return models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)

    async def query(self, name: str, request: models.QueryRequest) -> models.QueryResponse:
        return await self.client.query_points(
            name,
            query=request.query,
            using=request.using,
            query_filter=request.filter,
            limit=request.limit or 10,
            with_payload=given(request.with_payload, False),
            with_vectors=given(request.with_vector, False),
        )

    async def take(self, name: str) -> models.SnapshotDescription:
        physical = await self.physical(name)
        info = await self.info(physical)
        records, _ = await self.client.scroll(physical, limit=100_000, with_payload=True, with_vectors=True)
        points = [models.PointStruct(id=r.id, vector=r.vector or {}, payload=r.payload) for r in records]
        made = self.snapshots.setdefault(physical, {})
        made[f"{physical}-{len(made) + 1}.snapshot"] = Taken(info, points)
        return self.described(physical)[-1]

    def described(self, physical: str) -> list[models.SnapshotDescription]:
        return [
            models.SnapshotDescription(name=name, size=len(taken.points), creation_time=f"2026-01-01T00:00:{n:02}")
            for n, (name, taken) in enumerate(self.snapshots.get(physical, {}).items())
        ]

    async def recover(self, name: str, location: str, priority: models.SnapshotPriority | None) -> bool:
        wanted = location.rpartition("/")[2]
        found = [taken[wanted] for taken in self.snapshots.values() if wanted in taken]
        if not found:
            raise ValueError(f"Snapshot {location} not found")
        (taken,) = found
        params = taken.config.config.params
        await self.client.create_collection(
            name,
            vectors_config=params.vectors,
            sparse_vectors_config=params.sparse_vectors,
            metadata=taken.config.config.metadata,
        )
        # Otherwise the copies of the new collection win, as in a cluster, and they are empty.
        if taken.points and priority is models.SnapshotPriority.SNAPSHOT:
            await self.client.upsert(name, taken.points)
        return True


def given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def status_of(error: ValueError) -> tuple[int, grpc_core.StatusCode]:
    """The statuses that the real server gives for what the engine says in words."""
    text = str(error).lower()
    if "already exists" in text:
        return 409, grpc_core.StatusCode.ALREADY_EXISTS
    if "not found" in text:
        return 404, grpc_core.StatusCode.NOT_FOUND
    return 400, grpc_core.StatusCode.INVALID_ARGUMENT
