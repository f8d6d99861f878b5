"""The gRPC interface of Qdrant's double."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc as grpc_core
from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, payload_to_grpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, snapshots_service_pb2_grpc

from tests.support.qdrant_engine import Engine, status_of


def grpc_server(engine: Engine, api_key: str, address: str) -> grpc_core.aio.Server:
    """The gRPC interface, not started."""
    server = grpc_core.aio.server(
        interceptors=[Guard(api_key)],
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(Collections(engine), server)
    points_service_pb2_grpc.add_PointsServicer_to_server(Points(engine), server)
    snapshots_service_pb2_grpc.add_SnapshotsServicer_to_server(Snapshots(engine), server)
    server.add_insecure_port(address)
    return server


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
            shard_number=request.shard_number or None,
            replication_factor=request.replication_factor or None,
            write_consistency_factor=request.write_consistency_factor or None,
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
