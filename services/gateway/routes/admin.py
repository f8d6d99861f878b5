"""The page for the person who runs the server. Who may see it and do what is on it is for `access` to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, File, Form, Header, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from boonart.errors import BoonArtError, Forbidden, InvalidRequest
from boonart.index.schema import check_collection_name
from boonart.records import IngestReport, Progress, Rejected
from boonart_services.gateway import holdings
from boonart_services.gateway.admin_views import AdminView, seen
from boonart_services.gateway.asked import Asked
from boonart_services.gateway.context import context
from boonart_services.gateway.routes.jobs import follow_job
from boonart_services.gateway.routes.page import show
from boonart_services.gateway.uploads import ingest_folder, unpack
from boonart_services.gateway.views import View


def from_here(request: Request) -> None:
    """Refuse a form that another site's page sends: a browser would send what it knows of the key along.

    Raises:
        Forbidden: it comes from elsewhere.
    """
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    elsewhere = bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")
    if site not in {"", "same-origin", "none"} or (elsewhere and site != "same-origin"):
        raise Forbidden("This form comes from another site.", hint="Open the page itself and send it from there.")


router = APIRouter(prefix="/admin", include_in_schema=False)
FORM = [Depends(from_here)]
BACK = "/admin"


@router.get("", response_class=HTMLResponse)
async def admin(request: Request) -> Response:
    """Collections, jobs, what was put aside, models, health."""
    here = context(request)
    view = View(Asked())
    found: AdminView | None = None
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = here.default_collection(view.collections)
        found = await seen(here)
    except BoonArtError as error:
        status = view.fail(error)
    response = show(request, view, status, template="admin.html", admin=found, looked=None)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/collections", dependencies=FORM)
async def create(request: Request, name: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Make an empty collection for the models that this server runs."""
    check_collection_name(name.strip())
    await holdings.create(context(request).wired(), name.strip())
    return RedirectResponse(f"{BACK}#collections", status_code=303)


@router.post("/collections/{name}/delete", dependencies=FORM)
async def delete(request: Request, name: str, confirm: Annotated[str, Form()] = "") -> Response:
    """Delete a collection whose name was typed once more."""
    await holdings.drop(context(request).wired(), name, confirm)
    return RedirectResponse(f"{BACK}#collections", status_code=303)


@router.post("/collections/{name}/works", dependencies=FORM)
async def add_works(
    request: Request,
    name: str,
    records: Annotated[UploadFile | None, File()] = None,
    pictures: Annotated[list[UploadFile] | None, File()] = None,
) -> Response:
    """Ingest a works.jsonl and its pictures in a job."""
    here = context(request)
    parts = here.wired()
    await parts.index.describe(name)
    if records is None or not records.size:
        raise InvalidRequest("No works.jsonl was chosen.", hint="Choose the file with the records.", field="records")
    folder = await asyncio.to_thread(unpack, records, pictures or [])

    async def run(progress: Callable[[Progress], None], reject: Callable[[Rejected], None]) -> IngestReport:
        return await ingest_folder(parts, folder, name, here.turn(name), progress, reject)

    await here.jobs.start("upload", name, run)
    return RedirectResponse(f"{BACK}#jobs", status_code=303)


@router.post("/jobs/{job_id}/cancel", dependencies=FORM)
async def cancel(request: Request, job_id: str) -> Response:
    """Stop a job."""
    await context(request).jobs.cancel(job_id)
    return RedirectResponse(f"{BACK}#jobs", status_code=303)


@router.get("/jobs/{job_id}/events")
async def events(request: Request, job_id: str, last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
    """A job's events, at an address to which the browser sends the key of this page."""
    return await follow_job(request, job_id, last_event_id)
