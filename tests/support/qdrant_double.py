"""A small server that answers the part of Qdrant's API that BoonArt uses: python -m tests.support.qdrant_double.

It stands in for Qdrant where none can be had. Behind it is the engine that `qdrant-client` carries for its local mode,
so answers are computed by Qdrant's own client library and not made up here; speed, graphs, clusters and crash safety
of the real server are not shown by it. REST and gRPC listen on one event loop, so calls are served one after the other.

With `--path` the points lie on the disk and are there again after a `kill -9` and a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc as grpc_core
import uvicorn
from fastapi import Body, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, PlainTextResponse
from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, payload_to_grpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, snapshots_service_pb2_grpc

OPEN = ("/", "/healthz", "/livez", "/readyz")
"""Addresses that need no API key, as on the real server."""


@dataclass
class Taken:
    """A snapshot: how a collection was made and what lay in it."""

    config: models.CollectionInfo
    points: list[models.PointStruct]


@dataclass
class Engine:
    """The local engine, and what it does not keep itself.

    Attributes:
        indexed: kind of the payload index by path, by collection.
        snapshots: by collection and name.
    """

    client: AsyncQdrantClient
    indexed: dict[str, dict[str, str]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, Taken]] = field(default_factory=dict)

    async def physical(self, name: str) -> str:
        aliases = {item.alias_name: item.collection_name for item in (await self.client.get_aliases()).aliases}
        return aliases.get(name, name)

    async def info(self, name: str) -> models.CollectionInfo:
        info = await self.client.get_collection(name)
        kinds = self.indexed.get(await self.physical(name), {})
        info.payload_schema = {
            path: models.PayloadIndexInfo(data_type=models.PayloadSchemaType(kind), points=0)
            for path, kind in kinds.items()
        }
        return info

    async def create(self, name: str, request: models.CreateCollection) -> bool:
        if request.replication_factor not in (None, 1):
            raise ValueError("this server has one node")
        return await self.client.create_collection(
            name,
            vectors_config=request.vectors,
            sparse_vectors_config=request.sparse_vectors,
            metadata=request.metadata,
        )

    async def drop(self, name: str) -> bool:
        self.indexed.pop(name, None)
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
            with_payload=_or(request.with_payload, False),
            with_vectors=_or(request.with_vector, False),
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

    async def recover(self, name: str, location: str) -> bool:
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
        if taken.points:
            await self.client.upsert(name, taken.points)
        return True


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def status_of(error: ValueError) -> tuple[int, grpc_core.StatusCode]:
    """The statuses that the real server gives for what the engine says in words."""
    text = str(error).lower()
    if "already exists" in text:
        return 409, grpc_core.StatusCode.ALREADY_EXISTS
    if "not found" in text:
        return 404, grpc_core.StatusCode.NOT_FOUND
    return 400, grpc_core.StatusCode.INVALID_ARGUMENT


# --- REST ------------------------------------------------------------------------------------------------


def rest_app(engine: Engine, api_key: str) -> FastAPI:
    """The REST interface."""
    app = FastAPI()
    client = engine.client
    route = app.api_route

    def answer(result: Any) -> JSONResponse:
        return JSONResponse({"result": jsonable_encoder(result), "status": "ok", "time": 0.0})

    @app.middleware("http")
    async def guard(request: Request, following: Callable[[Request], Awaitable[Any]]) -> Any:
        if api_key and request.url.path not in OPEN and request.headers.get("api-key") != api_key:
            return PlainTextResponse("Must provide an API key or an Authorization bearer token", 401)
        try:
            return await following(request)
        except ValueError as error:
            return JSONResponse({"status": {"error": str(error)}, "time": 0.0}, status_of(error)[0])

    @route("/", methods=["GET"])
    async def version() -> dict[str, str]:
        return {"title": "qdrant double", "version": "1.20.0"}

    @route("/readyz", methods=["GET"])
    @route("/healthz", methods=["GET"])
    async def ready() -> PlainTextResponse:
        return PlainTextResponse("all shards are ready")

    @route("/cluster", methods=["GET"])
    async def cluster() -> JSONResponse:
        return answer({"status": "disabled"})

    @route("/collections", methods=["GET"])
    async def collections() -> JSONResponse:
        return answer(await client.get_collections())

    @route("/aliases", methods=["GET"])
    async def aliases() -> JSONResponse:
        return answer(await client.get_aliases())

    @route("/collections/aliases", methods=["POST"])
    async def change_aliases(request: models.ChangeAliasesOperation) -> JSONResponse:
        return answer(await client.update_collection_aliases(request.actions))

    @route("/collections/{name}", methods=["GET"])
    async def collection(name: str) -> JSONResponse:
        return answer(await engine.info(name))

    @route("/collections/{name}", methods=["PUT"])
    async def create(name: str, request: models.CreateCollection) -> JSONResponse:
        return answer(await engine.create(name, request))

    @route("/collections/{name}", methods=["PATCH"])
    async def update(name: str, request: models.UpdateCollection) -> JSONResponse:
        return answer(await client.update_collection(name, metadata=request.metadata))

    @route("/collections/{name}", methods=["DELETE"])
    async def drop(name: str) -> JSONResponse:
        return answer(await engine.drop(name))

    @route("/collections/{name}/index", methods=["PUT"])
    async def index(name: str, request: models.CreateFieldIndex) -> JSONResponse:
        return answer(await engine.index(name, request.field_name, str(getattr(request.field_schema, "value", ""))))

    @route("/collections/{name}/points", methods=["PUT"])
    async def upsert(name: str, request: models.PointsList) -> JSONResponse:
        return answer(await client.upsert(name, request.points))

    @route("/collections/{name}/points", methods=["POST"])
    async def retrieve(name: str, request: models.PointRequest) -> JSONResponse:
        payload, vectors = _or(request.with_payload, True), _or(request.with_vector, False)
        return answer(await client.retrieve(name, request.ids, with_payload=payload, with_vectors=vectors))

    @route("/collections/{name}/points/delete", methods=["POST"])
    async def delete(name: str, request: models.PointIdsList) -> JSONResponse:
        return answer(await client.delete(name, request))

    @route("/collections/{name}/points/scroll", methods=["POST"])
    async def scroll(name: str, request: models.ScrollRequest) -> JSONResponse:
        payload = _or(request.with_payload, True)
        points, following = await client.scroll(
            name, request.filter, limit=request.limit or 10, offset=request.offset, with_payload=payload
        )
        return answer({"points": points, "next_page_offset": following})

    @route("/collections/{name}/points/count", methods=["POST"])
    async def count(name: str, request: models.CountRequest) -> JSONResponse:
        return answer(await client.count(name, request.filter, exact=bool(request.exact)))

    @route("/collections/{name}/facet", methods=["POST"])
    async def facet(name: str, request: models.FacetRequest) -> JSONResponse:
        return answer(await client.facet(name, request.key, request.filter, limit=request.limit or 10))

    @route("/collections/{name}/points/query", methods=["POST"])
    async def query(name: str, request: models.QueryRequest) -> JSONResponse:
        return answer(await engine.query(name, request))

    @route("/collections/{name}/snapshots", methods=["GET"])
    async def snapshots(name: str) -> JSONResponse:
        return answer(engine.described(await engine.physical(name)))

    @route("/collections/{name}/snapshots", methods=["POST"])
    async def take(name: str) -> JSONResponse:
        return answer(await engine.take(name))

    @route("/collections/{name}/snapshots/recover", methods=["PUT"])
    async def recover(name: str, location: str = Body(embed=True)) -> JSONResponse:
        return answer(await engine.recover(name, location))

    return app


# --- gRPC ------------------------------------------------------------------------------------------------


class Guard(grpc_core.aio.ServerInterceptor):
    """Asks for the API key."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        if not self._api_key or dict(details.invocation_metadata).get("api-key") == self._api_key:
            return await continuation(details)

        async def refuse(request: Any, context: Any) -> None:
            await context.abort(grpc_core.StatusCode.UNAUTHENTICATED, "Must provide an API key")

        return grpc_core.unary_unary_rpc_method_handler(refuse)


def answered(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Give the engine's errors as statuses."""

    async def call(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request)
        except ValueError as error:
            await context.abort(status_of(error)[1], str(error))

    return call


@dataclass
class Collections(collections_service_pb2_grpc.CollectionsServicer):
    engine: Engine

    @answered
    async def Get(self, request: Any) -> Any:
        info = await self.engine.info(request.collection_name)
        return grpc.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    @answered
    async def List(self, request: Any) -> Any:
        found = (await self.engine.client.get_collections()).collections
        return grpc.ListCollectionsResponse(collections=[grpc.CollectionDescription(name=item.name) for item in found])

    @answered
    async def Create(self, request: Any) -> Any:
        made = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors=GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
            replication_factor=request.replication_factor or None,
        )
        return grpc.CollectionOperationResponse(result=await self.engine.create(request.collection_name, made))

    @answered
    async def Update(self, request: Any) -> Any:
        merged = GrpcToRest.convert_payload(request.metadata)
        done = await self.engine.client.update_collection(request.collection_name, metadata=merged)
        return grpc.CollectionOperationResponse(result=done)

    @answered
    async def Delete(self, request: Any) -> Any:
        return grpc.CollectionOperationResponse(result=await self.engine.drop(request.collection_name))

    @answered
    async def UpdateAliases(self, request: Any) -> Any:
        actions = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        return grpc.CollectionOperationResponse(result=await self.engine.client.update_collection_aliases(actions))

    @answered
    async def ListAliases(self, request: Any) -> Any:
        found = (await self.engine.client.get_aliases()).aliases
        return grpc.ListAliasesResponse(aliases=[RestToGrpc.convert_alias_description(item) for item in found])


@dataclass
class Points(points_service_pb2_grpc.PointsServicer):
    engine: Engine

    @answered
    async def Upsert(self, request: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        await self.engine.client.upsert(request.collection_name, points)
        return _completed()

    @answered
    async def Delete(self, request: Any) -> Any:
        selector = models.PointIdsList(points=[GrpcToRest.convert_point_id(i) for i in request.points.points.ids])
        await self.engine.client.delete(request.collection_name, selector)
        return _completed()

    @answered
    async def Get(self, request: Any) -> Any:
        records = await self.engine.client.retrieve(
            request.collection_name,
            [GrpcToRest.convert_point_id(point) for point in request.ids],
            with_payload=_payload(request),
            with_vectors=_vectors(request),
        )
        return grpc.GetResponse(result=[_record(record) for record in records])

    @answered
    async def Scroll(self, request: Any) -> Any:
        records, following = await self.engine.client.scroll(
            request.collection_name,
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=_payload(request),
        )
        next_page = RestToGrpc.convert_extended_point_id(following) if following is not None else None
        found = [_record(record) for record in records]
        return grpc.ScrollResponse(result=found, next_page_offset=next_page)

    @answered
    async def Count(self, request: Any) -> Any:
        found = await self.engine.client.count(request.collection_name, _filter(request), exact=request.exact)
        return grpc.CountResponse(result=grpc.CountResult(count=found.count))

    @answered
    async def Facet(self, request: Any) -> Any:
        client, name = self.engine.client, request.collection_name
        found = await client.facet(name, request.key, _filter(request), limit=request.limit)
        values = [
            grpc.FacetValue(**{"integer_value" if isinstance(hit.value, int) else "string_value": hit.value})
            for hit in found.hits
        ]
        hits = [grpc.FacetHit(value=value, count=hit.count) for value, hit in zip(values, found.hits, strict=True)]
        return grpc.FacetResponse(hits=hits)

    @answered
    async def Query(self, request: Any) -> Any:
        asked = models.QueryRequest(
            query=GrpcToRest.convert_query(request.query),
            using=request.using,
            filter=_filter(request),
            limit=request.limit,
            with_payload=_payload(request),
        )
        found = await self.engine.query(request.collection_name, asked)
        return grpc.QueryResponse(
            result=[
                grpc.ScoredPoint(
                    id=RestToGrpc.convert_extended_point_id(hit.id),
                    payload=payload_to_grpc(hit.payload or {}),
                    score=hit.score,
                )
                for hit in found.points
            ]
        )

    @answered
    async def CreateFieldIndex(self, request: Any) -> Any:
        kind = grpc.FieldType.Name(request.field_type).removeprefix("FieldType").lower()
        await self.engine.index(request.collection_name, request.field_name, kind)
        return _completed()


@dataclass
class Snapshots(snapshots_service_pb2_grpc.SnapshotsServicer):
    engine: Engine

    @answered
    async def Create(self, request: Any) -> Any:
        made = await self.engine.take(request.collection_name)
        return grpc.CreateSnapshotResponse(snapshot_description=RestToGrpc.convert_snapshot_description(made))

    @answered
    async def List(self, request: Any) -> Any:
        found = self.engine.described(await self.engine.physical(request.collection_name))
        described = [RestToGrpc.convert_snapshot_description(item) for item in found]
        return grpc.ListSnapshotsResponse(snapshot_descriptions=described)


def _completed() -> Any:
    return grpc.PointsOperationResponse(
        result=grpc.UpdateResult(operation_id=0, status=grpc.UpdateStatus.Completed), time=0.0
    )


def _record(record: models.Record) -> Any:
    record.payload = record.payload or {}
    return RestToGrpc.convert_retrieved_point(record)


def _filter(request: Any) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _payload(request: Any) -> Any:
    return GrpcToRest.convert_with_payload_selector(request.with_payload)


def _vectors(request: Any) -> Any:
    return GrpcToRest.convert_with_vectors_selector(request.with_vectors)


# --- the process -----------------------------------------------------------------------------------------


async def serve(port: int, grpc_port: int, path: str, api_key: str, host: str = "127.0.0.1") -> None:
    """Serve until interrupted."""
    client = AsyncQdrantClient(path=path) if path else AsyncQdrantClient(location=":memory:")
    engine = Engine(client)
    server = grpc_core.aio.server(
        interceptors=[Guard(api_key)],
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(engine), server)
    points_service_pb2_grpc.add_PointsServicer_to_server(Points(engine), server)
    snapshots_service_pb2_grpc.add_SnapshotsServicer_to_server(Snapshots(engine), server)
    server.add_insecure_port(f"{host}:{grpc_port}")
    await server.start()
    config = uvicorn.Config(rest_app(engine, api_key), host=host, port=port, log_level="warning", access_log=False)
    try:
        await uvicorn.Server(config).serve()
    finally:
        await server.stop(None)
        await client.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6333)
    parser.add_argument("--grpc-port", type=int, default=6334)
    parser.add_argument("--path", default="", help="folder that keeps the points; without it they are in memory")
    parser.add_argument("--api-key", default="")
    given = parser.parse_args()
    # The engine warns that a few hundred points are many and that it keeps no payload indexes.
    warnings.simplefilter("ignore")
    asyncio.run(serve(given.port, given.grpc_port, given.path, given.api_key))


if __name__ == "__main__":
    sys.exit(main())
