"""SearchService: what the REST interface offers, for gRPC clients."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import grpc

from boonart.encoders.pictures import PictureBudget, decode
from boonart.errors import InvalidRequest, WorkNotFound
from boonart.rpc import search_mapping
from boonart.rpc.serving import Server
from boonart.rpc.settings import ServingSettings
from boonart.rpc.v1 import search_pb2, search_pb2_grpc
from boonart_services.gateway.context import Context

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
    """

    def __init__(self, here: Context) -> None:
        self._here = here

    async def Search(self, request: search_pb2.SearchRequest, context: GrpcContext) -> search_pb2.SearchResponse:
        """The works, or descriptions, that fit."""
        collection = "" if request.collections else await self._here.collection(request.collection)
        budget = PictureBudget(file_bytes=self._here.wired().settings.max_picture_bytes)
        read = partial(search_mapping.from_search_request, request, decode=partial(decode, budget=budget))
        # A picture waits for its turn, as over REST: decoding one takes a processor and memory.
        query = await self._here.pictures.in_turn(read) if request.WhichOneof("query") == "picture" else read()
        answer, _ = await self._here.search(replace(query, collection=collection))
        return search_mapping.to_search_response(answer)

    async def GetWork(self, request: search_pb2.GetWorkRequest, context: GrpcContext) -> search_pb2.GetWorkResponse:
        """One work."""
        found = await self._here.work(await self._here.collection(request.collection), request.work_id)
        return search_pb2.GetWorkResponse(
            work=search_mapping.to_work(found.work), picture=search_mapping.to_stored_picture(found.picture)
        )

    async def GetPicture(
        self, request: search_pb2.GetPictureRequest, context: GrpcContext
    ) -> search_pb2.GetPictureResponse:
        """A work's picture as it is shown."""
        rendition = _RENDITIONS.get(request.rendition)
        if rendition is None:
            raise InvalidRequest(
                f"rendition is {request.rendition}, which this version does not know.", field="rendition"
            )
        collection = await self._here.collection(request.collection)
        found = await self._here.work(collection, request.work_id)
        if not found.picture.key:
            raise WorkNotFound(f"The work {request.work_id!r} has no stored picture.")
        pictures = self._here.wired().pictures
        data, media_type = await asyncio.to_thread(pictures.read, collection, found.picture.key, rendition)
        return search_pb2.GetPictureResponse(data=data, media_type=media_type)

    async def ListCollections(
        self, request: search_pb2.ListCollectionsRequest, context: GrpcContext
    ) -> search_pb2.ListCollectionsResponse:
        """All collections."""
        collections = await self._here.wired().index.collections()
        return search_pb2.ListCollectionsResponse(
            collections=[search_mapping.to_collection(info) for info in collections]
        )


class Door:
    """The gRPC server beside the REST application: opened before the models are loaded, closed once.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """

    def __init__(self, here: Context, settings: ServingSettings) -> None:
        self._server = search_server(here, settings)
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


def search_server(here: Context, settings: ServingSettings) -> Server:
    """The gateway's gRPC server: `start` it, `set_serving(True)` once ready, `stop` it before closing the parts.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """
    servicer = SearchServicer(here)

    def register(server: grpc.aio.Server) -> None:
        search_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)

    return Server(settings, [FULL_NAME], register, metrics=here.metrics)
