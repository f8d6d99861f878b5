"""SearchService: what the REST interface offers, for gRPC clients."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import grpc

from boonart.encoders.pictures import PictureBudget, decode
from boonart.errors import InvalidRequest, WorkNotFound
from boonart.observability import Metrics
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

    def __init__(self, here: Context, metrics: Metrics) -> None:
        self._here = here
        self._metrics = metrics

    async def Search(self, request: search_pb2.SearchRequest, context: GrpcContext) -> search_pb2.SearchResponse:
        """The works, or descriptions, that fit."""
        collection = await self._here.collection(request.collection)
        budget = PictureBudget(file_bytes=self._here.wired().settings.max_picture_bytes)
        read = partial(search_mapping.from_search_request, decode=partial(decode, budget=budget))
        query = await asyncio.to_thread(read, request)
        answer, _ = await self._here.search(replace(query, collection=collection))
        self._metrics.answer(answer.stages, answer.degraded)
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


def search_server(here: Context, settings: ServingSettings, metrics: Metrics) -> Server:
    """The gateway's gRPC server: `start` it, `set_serving(True)` once ready, `stop` it before closing the parts.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """
    servicer = SearchServicer(here, metrics)

    def register(server: grpc.aio.Server) -> None:
        search_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)

    return Server(settings, [FULL_NAME], register, metrics=metrics)
