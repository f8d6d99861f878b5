"""`GET /v1/works/{id}`, with the work's picture."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from boonart.errors import Overloaded, WorkNotFound
from boonart.ports import THUMBNAIL_HEIGHTS
from boonart_services.gateway.answers import PICTURE_VERSION, picture_json, work_json
from boonart_services.gateway.context import context
from boonart_services.gateway.problems import documented
from boonart_services.gateway.schemas import CollectionName, StoredWorkBody, WorkId

router = APIRouter(prefix="/v1/works", tags=["works"], responses=documented(404, 409, 422, 503))

FOREVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"
# Made of what the picture store keeps, which a type checker cannot know.
ThumbnailHeight = IntEnum("ThumbnailHeight", {f"H{height}": height for height in THUMBNAIL_HEIGHTS})  # type: ignore[misc]
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("image/webp", "image/jpeg", "image/png")
        },
    },
    304: {"description": "Unchanged since the given `If-None-Match`."},
}

WorkIdPath = Annotated[WorkId, Path(description="The collection's own id of the work, percent-encoded.")]
CollectionQuery = Annotated[CollectionName, Query()]
Version = Annotated[
    str, Query(description="Start of the picture's key, as in the addresses of hits; makes it cacheable for good.")
]
Height = Annotated[
    ThumbnailHeight | None,
    Query(description="Most pixels of height; left out, 448. Pictures that are lower are not enlarged."),
]


@router.get("/{work_id:path}/image", operation_id="get_image", response_class=Response, responses=_PICTURE)
async def get_image(
    request: Request, work_id: WorkIdPath, collection: CollectionQuery = "", v: Version = ""
) -> Response:
    """The work's picture, for a page: at most 1,600 pixels a side."""
    return await _rendition(request, work_id, collection, "display", v)


@router.get("/{work_id:path}/thumbnail", operation_id="get_thumbnail", response_class=Response, responses=_PICTURE)
async def get_thumbnail(
    request: Request,
    work_id: WorkIdPath,
    collection: CollectionQuery = "",
    v: Version = "",
    height: Height = None,
) -> Response:
    """The work's picture, for a list: as high as asked, or at most 448 pixels high."""
    return await _rendition(request, work_id, collection, "thumbnail", v, height or 0)


@router.get("/{work_id:path}", operation_id="get_work", response_model=StoredWorkBody)
async def get_work(request: Request, work_id: WorkIdPath, collection: CollectionQuery = "") -> JSONResponse:
    """A work with all its fields."""
    here = context(request)
    name = await here.collection(collection)
    found = await here.work(name, work_id)
    body: dict[str, Any] = {"collection": name, **work_json(found.work)}
    if found.content_hash:
        body["version"] = found.content_hash
    if picture := picture_json(name, work_id, found.picture):
        body["picture"] = picture
    return JSONResponse(body)


async def _rendition(
    request: Request, work_id: str, collection: str, form: str, version: str, height: int = 0
) -> Response:
    here = context(request)
    name = await here.collection(collection)
    key = (await here.work(name, work_id)).picture.key
    if not key:
        raise WorkNotFound(f"The work {work_id[:80]!r} has no picture.")
    etag = f'"{key}-{form}-{height}"' if height else f'"{key}-{form}"'
    headers = {"ETag": etag, "Cache-Control": FOREVER if version == key[:PICTURE_VERSION] else BRIEFLY}
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    try:
        data, media_type = await here.rendition(name, key, form, height)
    except Overloaded:
        # The stored one does meanwhile, and is not kept as if it were the one asked for.
        return await _rendition(request, work_id, collection, form, "")
    return Response(data, media_type=media_type, headers=headers)


def _matches(if_none_match: str, etag: str) -> bool:
    """Whether the header's list of tags holds this one; weak ones count (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
