"""The page: server-rendered, complete without JavaScript."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from starlette.types import Scope

from boonart import works
from boonart.errors import BoonArtError, InvalidQuery
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.problems import Kind, kind_of
from boonart_services.gateway.texts import COOKIE, COOKIE_SECONDS, MIRRORED, chosen, languages
from boonart_services.gateway.views import Asked, View, to_results

router = APIRouter(include_in_schema=False)

KEYWORD_WEIGHT = 0.3
"""What words count on the page beside meaning: enough for titles and names, too little to push a picture that shows
what is asked for out of the candidates."""
WEB = Path(__file__).parents[1] / "web"


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


@router.get("/", response_class=HTMLResponse)
async def index(
    request: Request,
    q: str = "",
    like: str = "",
    picture: str = "",
    collection: str = "",
    more: Annotated[int, Query(ge=0, le=100)] = 0,
    min_relevance: Annotated[float, Query(ge=0, le=1)] = 0.0,
) -> Response:
    """The search field and, where something is asked, its results."""
    here = context(request)
    view = View(Asked(q, like, picture, collection, more, min_relevance))
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = collection or here.default_collection(view.collections)
        if view.asked:
            view.collection = await here.collection(collection)
            await _search(here, view)
    except BoonArtError as error:
        status = kind_of(error).status
        view.error, view.hint = error.message, error.hint
        if view.collection not in [info.name for info in view.collections]:
            view.collection = here.default_collection(view.collections) if view.collections else ""
    return show(request, view, status)


@router.post("/")
async def upload(
    request: Request,
    picture: Annotated[UploadFile | None, File()] = None,
    collection: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Take a picture and lead to its results, so that they have an address and going back works."""
    here = context(request)
    data = await picture.read() if picture is not None else b""
    if not data:
        raise InvalidQuery("No picture was chosen.", hint="Choose a picture file, then search with it.")
    token = await here.pictures.keep(data, here.wired().settings.max_picture_bytes)
    return RedirectResponse(Asked(picture=token, collection=collection).address(), status_code=303)


@router.get("/queries/{token}")
async def query_picture(request: Request, token: str) -> Response:
    """An uploaded picture, to be shown beside its results."""
    kept = context(request).pictures.find(token)
    return Response(
        kept.thumbnail, media_type=kept.media_type, headers={"Cache-Control": "private, max-age=3600, immutable"}
    )


def error_page(request: Request, kind: Kind, detail: str) -> Response:
    """An error that has no page of its own."""
    return show(request, View(Asked(), error=detail or kind.title), kind.status)


async def _search(here: Context, view: View) -> None:
    """Put the answer into the view."""
    asked = view.asked
    picture = None
    if asked.picture:
        picture = await here.decode(here.pictures.find(asked.picture).data)
    if asked.like and not picture:
        view.liked = (await here.work(view.collection, asked.like)).work
    by_text = picture is None and view.liked is None
    query = works.Query(
        view.collection,
        text=asked.text if by_text else "",
        work_id=asked.like if view.liked is not None else "",
        picture=picture,
        limit=asked.shown,
        min_relevance=asked.min_relevance,
        mode=works.Mode.HYBRID if by_text else works.Mode.VECTOR,
        keyword_weight=KEYWORD_WEIGHT,
    )
    answer, took = await here.search(query)
    view.results = to_results(answer, asked, view.collection, took)


def show(request: Request, view: View, status: int, *, template: str = "index.html", **values: object) -> Response:
    """A page from its template, in the visitor's language: templates say `t("VIEW.KEY", name=value)`, see `texts`."""
    templates: Jinja2Templates = request.app.state.templates
    t = chosen(request)
    switches = [
        (texts, f"{request.url.path}?{request.url.include_query_params(lang=tag).query}")
        for tag, texts in languages().items()
        if tag != t.language
    ]
    response = templates.TemplateResponse(
        request, template, {"view": view, "t": t, "switches": switches, **values}, status_code=status
    )
    response.headers["Content-Language"] = t.language
    response.headers["Vary"] = "Accept-Language, Cookie"
    if request.query_params.get("lang") == t.language != MIRRORED:
        response.set_cookie(COOKIE, t.language, max_age=COOKIE_SECONDS, samesite="lax", httponly=True)
    return response
