"""The page that shows where each word looked: complete without JavaScript, and what the script puts into a dialog."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boonart import works
from boonart.errors import BoonArtError
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.routes.page import show
from boonart_services.gateway.views import Asked, View
from boonart_services.gateway.word_maps import Looked, explained

router = APIRouter(include_in_schema=False)


@router.get("/why", response_class=HTMLResponse)
async def why(request: Request, work: str, q: str = "", picture: str = "", collection: str = "") -> Response:
    """Why a work is among the hits: each word's map, over the picture that the words were compared with."""
    here = context(request)
    view = View(Asked(q, picture=picture, collection=collection))
    looked: Looked | None = None
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = await here.collection(collection)
        looked = await _explain(here, view, work)
    except BoonArtError as error:
        status = view.fail(error)
    return show(request, view, status, template="why.html", looked=looked)


async def _explain(here: Context, view: View, work_id: str) -> Looked:
    asked = view.asked
    kept = here.pictures.find(asked.picture) if asked.picture else None
    query = works.Query(
        view.collection,
        text="" if kept else asked.text,
        picture=await here.decode(kept.data) if kept else None,
    )
    hit = await here.explain(query, work_id)
    return explained(hit, asked, view.collection, kept)
