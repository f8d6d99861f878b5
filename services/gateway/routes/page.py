"""The page: server-rendered, complete without JavaScript."""

from __future__ import annotations

import asyncio
import colorsys
import secrets
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from boonart.encoders.pictures import renditions
from boonart.errors import BoonArtError, InvalidQuery
from boonart.works import Answer, Hit, Query, Target
from boonart_services.gateway.context import Context, context, decoded, picture_json
from boonart_services.gateway.problems import status_of

router = APIRouter(include_in_schema=False)
templates = Jinja2Templates(Path(__file__).parents[1] / "web" / "templates")

PAGE_SIZE = 24
MOST_SHOWN = 240
WEAK_BELOW = 0.5
"""Relevance under which a match is called weak: more likely wrong than right."""
EXAMPLES = (
    "a man sitting with his dog",
    "a cow in the room",
    "impression painting of sheep in the rain",
    "still life of yellow flower",
    "a boat on a stormy sea",
)


@router.get("/", response_class=HTMLResponse)
async def index(
    request: Request, q: str = "", collection: str = "", like: str = "", picture: str = "", more: int = 0
) -> Response:
    """The search field and, where something is asked, its results."""
    here = context(request)
    shown = min(MOST_SHOWN, PAGE_SIZE * (1 + max(0, more)))
    view: dict[str, Any] = {
        "q": q,
        "like": like,
        "picture": picture,
        "more": more,
        "collection": collection,
        "collections": [],
        "examples": EXAMPLES,
    }
    status = 200
    try:
        view["collections"] = await here.wired().index.collections()
        if q.strip() or like or picture:
            view["collection"] = await here.collection(collection)
            view |= await _results(here, view["collection"], q, like, picture, shown)
            view["can_show_more"] = len(view["items"]) == shown and shown < MOST_SHOWN
    except BoonArtError as error:
        status = status_of(error)[0]
        view["error"] = error
    return templates.TemplateResponse(request, "index.html", view, status_code=status)


@router.post("/")
async def upload(
    request: Request, picture: Annotated[UploadFile, File()], collection: Annotated[str, Form()] = ""
) -> Response:
    """Take a picture and lead to its results, so that they have an address and going back works."""
    here = context(request)
    try:
        data = await picture.read()
        if not data:
            raise InvalidQuery("No picture was chosen.", hint="Choose a file, then search.", field="picture")
        found = await decoded(data)
        forms = await asyncio.to_thread(renditions, data, found)
    except BoonArtError as error:
        view = {"error": error, "collections": [], "collection": collection, "examples": EXAMPLES, "q": ""}
        return templates.TemplateResponse(request, "index.html", view, status_code=status_of(error)[0])
    token = secrets.token_urlsafe(12)
    here.keep_upload(token, found, forms.thumbnail)
    address = request.url_for("index").include_query_params(picture=token, collection=collection)
    return RedirectResponse(str(address.replace(scheme="", netloc="")), status_code=303)


@router.get("/queries/{token}")
async def query_picture(request: Request, token: str) -> Response:
    """An uploaded picture, to be shown beside its results."""
    thumbnail = context(request).upload(token)[1]
    media_type = "image/webp" if thumbnail.startswith(b"RIFF") else "image/jpeg"
    if thumbnail.startswith(b"\x89PNG"):
        media_type = "image/png"
    return Response(thumbnail, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})


async def _results(here: Context, collection: str, text: str, like: str, picture: str, shown: int) -> dict[str, Any]:
    """What the template needs to show the hits."""
    query = Query(
        collection,
        text=text,
        work_id=like,
        picture=here.upload(picture)[0] if picture else None,
        limit=shown,
    )
    answer, took = await here.search(query)
    items = [_item(collection, hit) for hit in answer.hits]
    return {
        "items": items,
        "took": took,
        "degraded": answer.degraded,
        "descriptions": answer.target is Target.DESCRIPTIONS,
        "weak_from": _weak_from(answer),
        "liked": (await here.work(collection, like)).work if like else None,
    }


def _item(collection: str, hit: Hit) -> dict[str, Any]:
    picture = picture_json(collection, hit.work.id, hit.picture)
    return {
        "rank": hit.rank,
        "work": hit.work,
        "picture": picture,
        "colour": colour_class(hit.picture.colour),
        "relevance": hit.relevance,
        "composed": not hit.work.description,
    }


def _weak_from(answer: Answer) -> int:
    """Rank of the first weak match; 0 where there is none or nothing is known of relevance."""
    return next((hit.rank for hit in answer.hits if hit.relevance is not None and hit.relevance < WEAK_BELOW), 0)


def colour_class(colour: str) -> str:
    """The placeholder class of a colour: one of 24, since styles in the page itself are not allowed.

    `g0` to `g5` are greys from dark to light; `h<hue>-<lightness>` are six hues in three lightnesses.
    """
    if len(colour) != 7:
        return "g3"
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < 0.15:
        return f"g{min(5, int(lightness * 6))}"
    return f"h{int(hue * 6 + 0.5) % 6}-{min(2, int(lightness * 3))}"
