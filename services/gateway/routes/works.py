"""`GET /v1/works/{id}` with its picture, and `GET /v1/collections`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from boonart_services.gateway.context import context, picture_json
from boonart_services.gateway.schemas import CollectionsResponse, WorkBody, work_json

router = APIRouter(prefix="/v1", tags=["works"])

CollectionQuery = Annotated[str, Query(description="Collection; not needed where there is only one.", max_length=200)]
FOREVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"


@router.get("/collections", operation_id="list_collections", response_model=CollectionsResponse, tags=["collections"])
async def list_collections(request: Request) -> JSONResponse:
    """All collections, by name."""
    found = await context(request).wired().index.collections()
    body = [
        {
            "name": info.name,
            "works": info.count,
            "encoder": info.manifest.encoder_id,
            "reranker": info.manifest.reranker_id,
        }
        for info in found
    ]
    return JSONResponse({"collections": body})


@router.get("/works/{work_id:path}/image", operation_id="get_image", response_class=Response)
async def get_image(request: Request, work_id: str, collection: CollectionQuery = "", v: str = "") -> Response:
    """The work's picture, for a page."""
    return await _rendition(request, work_id, collection, "display", v)


@router.get("/works/{work_id:path}/thumbnail", operation_id="get_thumbnail", response_class=Response)
async def get_thumbnail(request: Request, work_id: str, collection: CollectionQuery = "", v: str = "") -> Response:
    """The work's picture, for a list."""
    return await _rendition(request, work_id, collection, "thumbnail", v)


@router.get("/works/{work_id:path}", operation_id="get_work", response_model=WorkBody, response_model_exclude_none=True)
async def get_work(request: Request, work_id: str, collection: CollectionQuery = "") -> JSONResponse:
    """A work with all its fields."""
    here = context(request)
    name = await here.collection(collection)
    found = await here.work(name, work_id)
    body: dict[str, Any] = work_json(found.work)
    picture = picture_json(name, work_id, found.picture)
    if picture:
        body["picture"] = picture
    return JSONResponse(body)


async def _rendition(request: Request, work_id: str, collection: str, form: str, version: str) -> Response:
    here = context(request)
    name = await here.collection(collection)
    key = (await here.work(name, work_id)).picture.key
    etag = f'"{key}-{form}"'
    cache = FOREVER if version and key.startswith(version) else BRIEFLY
    headers = {"ETag": etag, "Cache-Control": cache}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    data, media_type = await asyncio.to_thread(here.wired().pictures.read, name, key, form)
    return Response(data, media_type=media_type, headers=headers)
