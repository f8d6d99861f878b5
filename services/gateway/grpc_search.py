"""SearchService: what the REST interface offers, for gRPC clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from boonart.encoders.pictures import PictureBudget, decode
from boonart.errors import BoonArtError, InvalidRequest, WorkNotFound
from boonart.keys import Scope
from boonart.ports import THUMBNAIL_HEIGHTS
from boonart.rpc import search_mapping
from boonart.rpc.serving import Server
from boonart.rpc.settings import ServingSettings
from boonart.rpc.v1 import search_pb2, search_pb2_grpc
from boonart_services.gateway import grpc_jobs, holdings, repeats
from boonart_services.gateway.context import Context
from boonart_services.gateway.grpc_access import GrpcAccess
from boonart_services.gateway.limits import limits
from boonart_services.gateway.mapped import map_of, works_of_tag
from boonart_services.gateway.searching import facets_of, search_page

Answer = TypeVar("Answer", bound=Message)
GrpcContext = grpc.aio.ServicerContext[Any, Any]

FULL_NAME = search_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name
_RENDITIONS = {
    search_pb2.RENDITION_UNSPECIFIED: "display",
    search_pb2.RENDITION_DISPLAY: "display",
    search_pb2.RENDITION_THUMBNAIL: "thumbnail",
}


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Messages in, the gateway's own calls, messages out.

    Args:
        here: the gateway's state, shared with REST; while it loads, calls are answered with Unavailable.
        access: who may call; None lets everybody in.
    """

    def __init__(self, here: Context, access: GrpcAccess | None = None) -> None:
        self._here = here
        self._access = access

    def _admit(self, context: GrpcContext, needed: Scope) -> str:
        """Refuse a caller who may not do this, the first thing that every method does; who the caller is, or ""."""
        return self._access.admit(context, needed) if self._access is not None else ""

    async def _once(
        self, request: Message, context: GrpcContext, needed: Scope, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """What `work` answers; with an `idempotency-key` in the metadata it is done once, as over REST."""
        caller = self._admit(context, needed)
        metadata: Any = context.invocation_metadata() or ()
        key = dict(metadata).get(repeats.HEADER, "")
        if not key:
            return await work()
        body = request.SerializeToString(deterministic=True)
        answer, replayed = await self._here.repeats.once((caller, request.DESCRIPTOR.name), key, body, work)
        if replayed:
            context.set_trailing_metadata(((repeats.REPLAYED.lower(), "true"),))
        return answer  # type: ignore[no-any-return]

    async def Search(self, request: search_pb2.SearchRequest, context: GrpcContext) -> search_pb2.SearchResponse:
        """The works, or descriptions, that fit."""
        self._admit(context, Scope.SEARCH)
        budget = PictureBudget(file_bytes=self._here.wired().settings.max_picture_bytes)
        read = partial(search_mapping.from_search_request, request, decode=partial(decode, budget=budget))
        pictured = any(asked.WhichOneof("query") == "picture" for asked in (request, *request.parts))
        # A picture waits for its turn, as over REST: decoding one takes a processor and memory.
        query = await self._here.pictures.in_turn(read) if pictured else read()
        try:
            page = await search_page(self._here, query, request.cursor)
        except BoonArtError as error:
            error.field = _as_in_the_message(error.field)
            raise
        return search_mapping.to_search_response(page.answer, collection=page.collection, next_cursor=page.next_cursor)

    async def GetWork(self, request: search_pb2.GetWorkRequest, context: GrpcContext) -> search_pb2.GetWorkResponse:
        """One work."""
        self._admit(context, Scope.SEARCH)
        found = await self._here.work(await self._here.collection(request.collection), request.work_id)
        return search_pb2.GetWorkResponse(
            work=search_mapping.to_work(found.work),
            picture=search_mapping.to_stored_picture(found.picture),
            version=found.content_hash,
        )

    async def GetPicture(
        self, request: search_pb2.GetPictureRequest, context: GrpcContext
    ) -> search_pb2.GetPictureResponse:
        """A work's picture as it is shown."""
        self._admit(context, Scope.SEARCH)
        rendition = _RENDITIONS.get(request.rendition)
        if rendition is None:
            raise InvalidRequest(
                f"rendition is {request.rendition}, which this version does not know.", field="rendition"
            )
        if request.height and (rendition != "thumbnail" or request.height not in THUMBNAIL_HEIGHTS):
            heights = ", ".join(map(str, THUMBNAIL_HEIGHTS))
            raise InvalidRequest(f"Thumbnails can be had {heights} pixels high, or as stored.", field="height")
        collection = await self._here.collection(request.collection)
        found = await self._here.work(collection, request.work_id)
        if not found.picture.key:
            raise WorkNotFound(f"The work {request.work_id!r} has no stored picture.")
        data, media_type = await self._here.rendition(collection, found.picture.key, rendition, request.height)
        return search_pb2.GetPictureResponse(data=data, media_type=media_type)

    async def ListCollections(
        self, request: search_pb2.ListCollectionsRequest, context: GrpcContext
    ) -> search_pb2.ListCollectionsResponse:
        """All collections, and which one is meant where none is named."""
        self._admit(context, Scope.SEARCH)
        collections = await self._here.wired().index.collections()
        return search_pb2.ListCollectionsResponse(
            collections=[search_mapping.to_collection(info) for info in collections],
            default_collection=self._here.default_collection(collections),
        )

    async def GetCollection(
        self, request: search_pb2.GetCollectionRequest, context: GrpcContext
    ) -> search_pb2.GetCollectionResponse:
        """A collection in full."""
        self._admit(context, Scope.SEARCH)
        found = await holdings.described(self._here.wired(), request.collection)
        return search_pb2.GetCollectionResponse(
            collection=search_mapping.to_collection(found.info), searchable=found.searchable, fields=found.fields
        )

    async def CreateCollection(
        self, request: search_pb2.CreateCollectionRequest, context: GrpcContext
    ) -> search_pb2.CreateCollectionResponse:
        """Make an empty collection."""

        async def work() -> search_pb2.CreateCollectionResponse:
            made = await holdings.create(self._here.wired(), request.collection)
            return search_pb2.CreateCollectionResponse(collection=search_mapping.to_collection(made.info))

        return await self._once(request, context, Scope.ADMIN, work)

    async def DeleteCollection(
        self, request: search_pb2.DeleteCollectionRequest, context: GrpcContext
    ) -> search_pb2.DeleteCollectionResponse:
        """Delete a collection for good."""

        async def work() -> search_pb2.DeleteCollectionResponse:
            await holdings.drop(self._here.wired(), request.collection, request.confirm)
            return search_pb2.DeleteCollectionResponse()

        return await self._once(request, context, Scope.ADMIN, work)

    async def UpsertWorks(
        self, request: search_pb2.UpsertWorksRequest, context: GrpcContext
    ) -> search_pb2.UpsertWorksResponse:
        """Add works or replace those of the same id."""

        async def work() -> search_pb2.UpsertWorksResponse:
            wait = request.wait if request.HasField("wait") else True
            records = grpc_jobs.records(request.works)
            given = ((item.work.id, grpc_jobs.expected_version(item)) for item in request.works)
            expected = holdings.expected_versions(given)
            job = await holdings.upsert(self._here, request.collection, records, expected, wait=wait)
            return search_pb2.UpsertWorksResponse(job=grpc_jobs.to_job(job.snapshot()))

        return await self._once(request, context, Scope.WRITE, work)

    async def DeleteWorks(
        self, request: search_pb2.DeleteWorksRequest, context: GrpcContext
    ) -> search_pb2.DeleteWorksResponse:
        """Delete works by their ids."""

        async def work() -> search_pb2.DeleteWorksResponse:
            ids = grpc_jobs.work_ids(request.work_ids)
            return search_pb2.DeleteWorksResponse(
                deleted=await self._here.wired().index.delete(request.collection, ids)
            )

        return await self._once(request, context, Scope.WRITE, work)

    async def ListJobs(self, request: search_pb2.ListJobsRequest, context: GrpcContext) -> search_pb2.ListJobsResponse:
        """All jobs that are remembered, the newest first."""
        self._admit(context, Scope.WRITE)
        return search_pb2.ListJobsResponse(jobs=[grpc_jobs.to_job(job.snapshot()) for job in self._here.jobs.all()])

    async def GetJob(self, request: search_pb2.GetJobRequest, context: GrpcContext) -> search_pb2.GetJobResponse:
        """A job, as it stands."""
        self._admit(context, Scope.WRITE)
        return search_pb2.GetJobResponse(job=grpc_jobs.to_job(self._here.jobs.find(request.job_id).snapshot()))

    async def CancelJob(
        self, request: search_pb2.CancelJobRequest, context: GrpcContext
    ) -> search_pb2.CancelJobResponse:
        """Stop a job."""

        async def work() -> search_pb2.CancelJobResponse:
            job = await self._here.jobs.cancel(request.job_id)
            return search_pb2.CancelJobResponse(job=grpc_jobs.to_job(job.snapshot()))

        return await self._once(request, context, Scope.WRITE, work)

    async def FollowJob(
        self, request: search_pb2.FollowJobRequest, context: GrpcContext
    ) -> AsyncIterator[search_pb2.FollowJobResponse]:
        """A job's events as they happen, until it is over."""
        self._admit(context, Scope.WRITE)
        async for event in self._here.jobs.find(request.job_id).follow(request.after):
            # Keepalives are the transport's own.
            if event is not None:
                yield search_pb2.FollowJobResponse(seq=event.seq, event=event.name, job=grpc_jobs.to_job(event.data))

    async def GetFacets(
        self, request: search_pb2.GetFacetsRequest, context: GrpcContext
    ) -> search_pb2.GetFacetsResponse:
        """The values of fields, counted without a query."""
        self._admit(context, Scope.SEARCH)
        collection = await self._here.collection(request.collection)
        where = search_mapping.from_filter(request.where) if request.HasField("where") else None
        counted = await facets_of(self._here, collection, request.fields, where)
        return search_pb2.GetFacetsResponse(collection=collection, facets=search_mapping.to_facets(counted))

    async def GetMap(self, request: search_pb2.GetMapRequest, context: GrpcContext) -> search_pb2.GetMapResponse:
        """Where each work of a collection lies."""
        self._admit(context, Scope.SEARCH)
        found, job = await map_of(self._here, await self._here.collection(request.collection))
        answer = search_pb2.GetMapResponse(job=grpc_jobs.to_job(job.snapshot()) if job is not None else None)
        if found is not None:
            answer.tag, answer.count = found.digest, len(found.ids)
            if request.tag != found.digest:
                answer.places, answer.colours = found.packed_places(), found.packed_colours()
        return answer

    async def GetMapWorks(
        self, request: search_pb2.GetMapWorksRequest, context: GrpcContext
    ) -> search_pb2.GetMapWorksResponse:
        """The works at points of the map."""
        self._admit(context, Scope.SEARCH)
        collection = await self._here.collection(request.collection)
        listed = await works_of_tag(self._here, collection, request.tag, request.points)
        return search_pb2.GetMapWorksResponse(
            works=[
                search_pb2.MapWork(
                    point=point,
                    work=search_mapping.to_work(item.work),
                    picture=search_mapping.to_stored_picture(item.picture),
                )
                for point, item in listed
            ]
        )

    async def GetLimits(
        self, request: search_pb2.GetLimitsRequest, context: GrpcContext
    ) -> search_pb2.GetLimitsResponse:
        """How much this server takes at once."""
        self._admit(context, Scope.SEARCH)
        settings = self._here.wired().settings
        # A condition in the innermost group is a level of its own.
        found = limits(settings, request_bytes=settings.max_message_bytes, filter_depth=search_mapping.MAX_DEPTH + 1)
        return search_pb2.GetLimitsResponse(**found.model_dump())


def _as_in_the_message(field: str) -> str:
    """The name that the messages give to a field of `works.Query`."""
    first, dot, rest = field.partition(".")
    return {"query": "parts", "filter": "where"}.get(first, first) + dot + rest


class Door:
    """The gRPC server beside the REST application: opened before the models are loaded, closed once.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """

    def __init__(self, here: Context, settings: ServingSettings, access: GrpcAccess | None = None) -> None:
        self._server = search_server(here, settings, access)
        self._open = False
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> int:
        """Listen, NOT_SERVING as yet; returns the port.

        Raises:
            ConfigurationError: the address is taken or not of this machine.
        """
        port = await self._server.start()
        self._open = True
        return port

    async def set_serving(self, serving: bool) -> None:
        """Answer health checks with SERVING or NOT_SERVING; after `close` it stays at the latter."""
        if self._closing is None:
            await self._server.set_serving(serving)

    async def close(self) -> None:
        """Say NOT_SERVING, finish the calls under way, stop; whoever comes second waits for the first."""
        if not self._open:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._server.stop())
        await asyncio.shield(self._closing)


def search_server(here: Context, settings: ServingSettings, access: GrpcAccess | None = None) -> Server:
    """The gateway's gRPC server: `start` it, `set_serving(True)` once ready, `stop` it before closing the parts.

    Args:
        access: who may call; None lets everybody in.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """
    servicer = SearchServicer(here, access)

    def register(server: grpc.aio.Server) -> None:
        search_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)

    return Server(settings, [FULL_NAME], register, metrics=here.metrics)
