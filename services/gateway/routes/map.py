"""The map of a collection: its page, its points for scripts, and the picture of it for everybody else."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from boonart import works
from boonart.errors import BoonArtError, NotFound
from boonart.maps import CollectionMap
from boonart.works import Candidate, Mode
from boonart_services.gateway.answers import picture_json
from boonart_services.gateway.asked import EVERYWHERE, Asked, work_address
from boonart_services.gateway.collection_schemas import JobBody, MapWorksResponse
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.map_views import LISTED, MapView, Window, bounds_of, extent_of
from boonart_services.gateway.mapped import MOST_ASKED, map_of, works_at, works_of_tag
from boonart_services.gateway.problems import documented
from boonart_services.gateway.routes.collections import Name
from boonart_services.gateway.routes.page import KEYWORD_WEIGHT, show
from boonart_services.gateway.views import WEAK_BELOW, View, work_title
from boonart_services.gateway.work_views import thumbnail

api = APIRouter(prefix="/v1/collections", tags=["collections"], responses=documented(401, 403, 404, 409, 422, 429, 503))
router = APIRouter(include_in_schema=False)

MARKED = 100
"""Most works that a query marks on the map."""
NEAREST = 24
"""Works that it marks where none is known to fit: those that come nearest."""
_FOREVER = "public, max-age=31536000, immutable"


@api.get(
    "/{name}/map",
    operation_id="get_map",
    response_class=Response,
    responses={
        200: {
            "description": "The map: two little-endian uint16 a work (x and y, from the upper left corner), then three "
            "uint8 a work (the colour of its picture). The tag names the map.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        202: {"model": JobBody, "description": "It is being made; follow the job under its id."},
        304: {"description": "Unchanged since the given `If-None-Match`."},
    },
)
async def get_map(request: Request, name: Name) -> Response:
    """Where each work of a collection lies on its map: works that look alike lie close together.

    It is made when it is first asked for. Where works have come or gone since, the map as it was is given, and a new
    one is being made.
    """
    here = context(request)
    found, job = await map_of(here, name)
    if found is None:
        body = job.snapshot() if job is not None else {}
        return JSONResponse(body, 202, headers={"Location": f"/v1/jobs/{body.get('id', '')}", "Retry-After": "2"})
    headers = {"ETag": f'"{found.digest}"', "Cache-Control": "no-cache"}
    if f'"{found.digest}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.packed(), media_type="application/octet-stream", headers=headers)


@api.get("/{name}/map/works", operation_id="get_map_works", response_model=MapWorksResponse)
async def get_map_works(
    request: Request,
    name: Name,
    points: Annotated[
        str,
        Query(
            description="Numbers of points, from 0, separated by commas; at most 200.",
            pattern=rf"^[0-9]{{1,9}}(,[0-9]{{1,9}}){{0,{MOST_ASKED - 1}}}$",
        ),
    ],
    v: Annotated[str, Query(description="The map's tag, so that no number means another work.")],
) -> JSONResponse:
    """The works at points of the map; those that are there no longer are left out."""
    here = context(request)
    listed = await works_of_tag(here, name, v, [int(point) for point in points.split(",")])
    return JSONResponse({"works": [_work_json(name, point, item) for point, item in listed]})


@router.get("/map/picture")
async def map_picture(request: Request, collection: str, v: str = "") -> Response:
    """The map drawn, for whoever has no script."""
    here = context(request)
    found, _ = await map_of(here, collection)
    if found is None:
        raise NotFound("The map is being made.", hint="Try again in a few seconds.")
    cached = _FOREVER if v == found.digest else "no-cache"
    data = await here.maps.picture(collection, found)
    return Response(data, media_type="image/png", headers={"Cache-Control": cached})


@router.get("/map", response_class=HTMLResponse)
async def map_page(
    request: Request, q: str = "", collection: str = "", x: float = 0.5, y: float = 0.5, side: float = 1.0
) -> Response:
    """The map with the works in view, and those that fit a query marked on it."""
    here = context(request)
    collection = "" if collection == EVERYWHERE else collection
    view = View(Asked(q, collection=collection))
    seen: MapView | None = None
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = await here.collection(collection)
        seen = await _seen(here, view, Window.of(x, y, side))
    except BoonArtError as error:
        status = view.fail(error)
    response = show(request, view, status, template="map.html", seen=seen, looked=None)
    if seen is not None and seen.found is None:
        response.headers["Refresh"] = "3"
    return response


async def _seen(here: Context, view: View, window: Window) -> MapView:
    name, text = view.collection, view.asked.text.strip()
    found, job = await map_of(here, name)
    if found is None:
        return MapView(name, None, window, text, job.id if job is not None else "")
    held = found.inside(*bounds_of(window, extent_of(found)))
    marked = await _marked(here, name, text, found)
    if marked:
        wanted = {point: rank for rank, point in enumerate(marked)}
        # What fits the query comes first in the list, in its order.
        held.sort(key=lambda point: wanted.get(point, len(wanted)))
    listed = await works_at(here, name, found, held[:LISTED])
    return MapView(
        name,
        found,
        window,
        text,
        job.id if job is not None else "",
        marked,
        len(held),
        [thumbnail(name, item.work, item.picture) for _, item in listed],
    )


async def _marked(here: Context, name: str, text: str, found: CollectionMap) -> list[int]:
    if not text:
        return []
    query = works.Query(
        name, text=text, limit=MARKED, candidates=MARKED, mode=Mode.HYBRID, keyword_weight=KEYWORD_WEIGHT
    )
    answer, _ = await here.search(query)
    fitting = [hit for hit in answer.hits if hit.relevance is not None and hit.relevance >= WEAK_BELOW]
    points = {work_id: point for point, work_id in enumerate(found.ids)}
    return [points[hit.work.id] for hit in fitting or answer.hits[:NEAREST] if hit.work.id in points]


def _work_json(collection: str, point: int, item: Candidate) -> dict[str, Any]:
    body: dict[str, Any] = {
        "point": point,
        "id": item.work.id,
        "title": work_title(item.work),
        "artist": item.work.artist,
        "date": item.work.date,
        "page": work_address(item.work.id, collection),
    }
    if picture := picture_json(collection, item.work.id, item.picture):
        body["picture"] = picture
    return body
