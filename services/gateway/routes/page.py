"""The page: server-rendered, complete without JavaScript."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.types import Scope

from boonart import works
from boonart.errors import BoonArtError, InvalidQuery
from boonart.search.queries import MAX_COLLECTIONS
from boonart_services.gateway.asked import EVERYWHERE, Asked, compiled
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.examples import Openings, directions_by_chance
from boonart_services.gateway.page_facets import Facet, facets_of, fields_of
from boonart_services.gateway.problems import Kind
from boonart_services.gateway.texts import COOKIE, COOKIE_SECONDS, MIRRORED, chosen, languages
from boonart_services.gateway.views import View, to_results, to_tiles, usual_mode

logger = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

KEYWORD_WEIGHT = 0.3
"""What words count on the page beside meaning: enough for titles and names, too little to push a picture that shows
what is asked for out of the candidates."""
WEB = Path(__file__).parents[1] / "web"
PASSING = (429, 503, 504)
"""Statuses after which the same request may succeed in a while."""
_NEAR_CHANCE = 20
"""Works near a random direction, of which one is taken: alone the nearest would come again and again."""


class Assets(StaticFiles):
    """The page's own files: cached for good under the address that names their version, else asked for anew."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            digest.update(path.read_bytes() if path.is_file() else b"")
        self.version = digest.hexdigest()[:12]

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        response = await super().get_response(path, scope)
        current = scope["query_string"] == f"v={self.version}".encode()
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-cache"
        return response


def install(app: FastAPI) -> None:
    """Serve the page's files from `app`, and show its errors to people as a page."""
    assets = Assets(WEB / "static")
    app.mount("/static", assets, name="static")
    templates = Jinja2Templates(WEB / "templates")
    templates.env.trim_blocks = templates.env.lstrip_blocks = True
    templates.env.globals["static"] = lambda name: f"/static/{name}?v={assets.version}"
    app.state.templates = templates
    app.state.error_page = error_page
    app.state.openings = Openings()


@router.get("/", response_class=HTMLResponse)
async def index(
    request: Request,
    more: Annotated[int, Query(ge=0, le=100)] = 0,
    min_relevance: Annotated[float, Query(ge=0, le=1)] = 0.0,
    only: str = "",
) -> Response:
    """The search field and, where something is asked, its results.

    Args:
        only: "new" for the tiles alone that the list gained when it was last made longer.
    """
    here = context(request)
    asked = replace(Asked.read(request.query_params.multi_items()), more=more, min_relevance=min_relevance)
    if "join" in request.query_params:
        return RedirectResponse(asked.address(), status_code=303)
    view = View(asked)
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = asked.collection or here.default_collection(view.collections)
        view.has_reranker = here.wired().reranker is not None
        if asked:
            await search(here, view, facets=only != "new")
        else:
            await _open(request, view)
    except BoonArtError as error:
        status = view.fail(error)
        if view.collection not in [info.name for info in view.collections]:
            view.collection = here.default_collection(view.collections) if view.collections else ""
    template = "_more.html" if only == "new" and view.results else "index.html"
    return show(request, view, status, template=template)


@router.post("/")
async def upload(
    request: Request,
    picture: Annotated[UploadFile | None, File()] = None,
    photograph: Annotated[UploadFile | None, File()] = None,
    collection: Annotated[str, Form(max_length=200)] = "",
    state: Annotated[str, Form(max_length=8000)] = "",
    q: Annotated[str | None, Form(max_length=4000)] = None,
) -> Response:
    """Take a picture and lead to its results, so that they have an address and going back works.

    Args:
        photograph: the same, from the camera.
        state: address of the search that the picture joins; an earlier picture or work gives way to it.
        q: what stands in the search field by now.
    """
    here = context(request)
    data = b""
    for file in (picture, photograph):
        data = data or (await file.read() if file is not None else b"")
    if not data:
        raise InvalidQuery("No picture was chosen.", hint="Choose a picture file, then search with it.")
    token = await here.pictures.keep(data, here.wired().settings.max_picture_bytes)
    asked = replace(Asked.at(state), picture=token, picture_weight=1.0, like="", target="", more=0)
    if q is not None:
        asked = replace(asked, text=q.strip())
    if collection and not asked.collection:
        asked = replace(asked, collection=collection)
    return RedirectResponse(asked.address(), status_code=303)


@router.get("/surprise")
async def surprise(request: Request, collection: str = "") -> Response:
    """Lead to the works that look like one found by chance."""
    here = context(request)
    index = here.wired().index
    found = await here.collections()
    names = [info for info in found if info.count and (not collection or collection in (info.name, EVERYWHERE))]
    if not names:
        await here.collection(collection)
        raise InvalidQuery("There is no work to begin with.", hint="Put works into the collection first.")
    info = secrets.choice(names)
    (direction,) = directions_by_chance(np.random.default_rng(), 1, info)
    near = await index.search(info.name, direction, name="image", limit=_NEAR_CHANCE)
    work = secrets.choice(near).work
    address = Asked(like=work.id, collection=info.name).address()
    return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})


@router.get("/queries/{token}")
async def query_picture(request: Request, token: str) -> Response:
    """An uploaded picture, to be shown beside its results."""
    kept = context(request).pictures.find(token)
    return Response(
        kept.thumbnail, media_type=kept.media_type, headers={"Cache-Control": "private, max-age=3600, immutable"}
    )


@router.get("/away", response_class=HTMLResponse)
async def away(request: Request) -> Response:
    """What the service worker shows while the server cannot be reached."""
    return show(request, View(Asked()), 200, template="away.html")


@router.get("/service-worker.js")
async def service_worker() -> Response:
    """The script that shows `away` then; it stands here because it watches over what lies below its address."""
    source = await asyncio.to_thread((WEB / "static" / "service-worker.js").read_bytes)
    return Response(source, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


def error_page(request: Request, kind: Kind, detail: str) -> Response:
    """An error that has no page of its own."""
    return show(request, View(Asked(), error=detail or kind.title, kind=kind.code), kind.status)


async def _open(request: Request, view: View) -> None:
    """Put what the first view offers into the view: of the collection meant, or of the largest."""
    named = [info for info in view.collections if info.name == view.collection]
    info = max(named or view.collections, key=lambda info: info.count, default=None)
    opening = await request.app.state.openings.of(context(request).wired().index, info)
    view.examples = opening.examples
    if info is not None:
        view.paintings = to_tiles(opening.paintings, info.name)


async def search(here: Context, view: View, *, facets: bool = True) -> None:
    """Put the answer into the view, and the facets beside it.

    Raises:
        BoonArtError: as `boonart.search.Search.run`.
    """
    asked = view.asked
    names = await _collections(here, view)
    index = here.wired().index
    kinds = await fields_of(index, names) if asked.chosen or facets else {}
    query = await _query(here, view, names, compiled(asked, kinds))
    counting = asyncio.create_task(_facets(here, names, asked, kinds)) if facets else None
    try:
        answer, took = await here.search(query)
        view.results = to_results(answer, asked, view.collection, took)
        if counting is not None:
            view.facets = await counting
    finally:
        if counting is not None:
            counting.cancel()


async def _facets(here: Context, names: Sequence[str], asked: Asked, kinds: Mapping[str, str]) -> list[Facet]:
    """The facets; what goes wrong with them must not hide the results."""
    try:
        return await facets_of(here.wired().index, names, asked, kinds)
    except BoonArtError as error:
        logger.warning("no facets: %s", error)
        return []


async def _collections(here: Context, view: View) -> list[str]:
    """The collections that are searched; puts the name of the one, or `EVERYWHERE`, into the view."""
    asked = view.asked
    if asked.collection != EVERYWHERE or asked.like:
        view.collection = await here.collection("" if asked.collection == EVERYWHERE else asked.collection)
        return [view.collection]
    view.collection = EVERYWHERE
    encoder = here.wired().encoder.card.id
    found = view.collections or await here.collections()
    names = [info.name for info in found if info.manifest.encoder_id == encoder]
    return names[:MAX_COLLECTIONS] or [await here.collection("")]


async def _query(here: Context, view: View, names: Sequence[str], where: works.Filter | None) -> works.Query:
    asked, parts = view.asked, view.asked.parts
    picture = await here.decode(here.pictures.find(asked.picture).data) if asked.picture else None
    if asked.like:
        view.liked = (await here.work(view.collection, asked.like)).work
    worded = any(part.kind == "text" and not part.unwanted for part in parts)
    mode = works.Mode(asked.mode) if asked.mode and worded else usual_mode(asked)
    query = works.Query(
        names[0] if len(names) == 1 else "",
        collections=tuple(names) if len(names) > 1 else (),
        limit=asked.shown,
        min_relevance=asked.min_relevance,
        mode=mode,
        keyword_weight=KEYWORD_WEIGHT,
        where=where,
        target=works.Target(asked.target) if asked.target else None,
        rerank=works.Ranker(asked.ranker) if asked.ranker else works.Ranker.DEFAULT,
    )
    if len(parts) == 1 and not parts[0].unwanted:
        return replace(query, text=asked.text, picture=picture, work_id=asked.like)
    made = {
        "text": lambda part: works.QueryPart(text=part.value, weight=part.weight),
        "picture": lambda part: works.QueryPart(picture=picture, weight=part.weight),
        "like": lambda part: works.QueryPart(work_id=part.value, weight=part.weight),
    }
    return replace(query, parts=tuple(made[part.kind](part) for part in parts))


def show(request: Request, view: View, status: int, *, template: str = "index.html", **values: object) -> Response:
    """A page from its template, in the visitor's language: templates say `t("VIEW.KEY", name=value)`, see `texts`."""
    templates: Jinja2Templates = request.app.state.templates
    t = chosen(request)
    switches = [
        (texts, f"{request.url.path}?{request.url.include_query_params(lang=tag).query}")
        for tag, texts in languages().items()
        if tag != t.language
    ]
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    shared = {"view": view, "t": t, "switches": switches, "retry": here if status in PASSING else ""}
    response = templates.TemplateResponse(request, template, {**shared, **values}, status_code=status)
    response.headers["Content-Language"] = t.language
    response.headers["Vary"] = "Accept-Language, Cookie"
    if request.query_params.get("lang") == t.language != MIRRORED:
        response.set_cookie(COOKIE, t.language, max_age=COOKIE_SECONDS, samesite="lax", httponly=True)
    return response
