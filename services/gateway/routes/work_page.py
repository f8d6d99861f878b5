"""A work's own view, and a search with a detail of its picture: complete without JavaScript."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from boonart import works
from boonart.errors import BoonArtError, InvalidRequest, WorkNotFound
from boonart.works import Candidate
from boonart_services.gateway.asked import Asked
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.details import PRESETS, Detail, crop
from boonart_services.gateway.page_pictures import page_picture
from boonart_services.gateway.result_lists import Neighbours, list_address, listed, neighbours
from boonart_services.gateway.routes.page import show
from boonart_services.gateway.views import View
from boonart_services.gateway.word_maps import Looked, explained
from boonart_services.gateway.work_views import MORE, Thumbnail, WorkView, by_looks, by_subject

logger = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)


@router.get("/work", response_class=HTMLResponse)
async def work_page(
    request: Request,
    work_id: Annotated[str, Query(alias="id", max_length=512)],
    collection: str = "",
    came_from: Annotated[str, Query(alias="from")] = "",
) -> Response:
    """A work with its picture, its data, why it matched, and more like it."""
    here = context(request)
    origin = list_address(came_from)
    asked = Asked.at(origin) if origin else Asked(collection=collection)
    view = View(asked)
    seen: WorkView | None = None
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = await here.collection(collection)
        seen = await _seen(here, view, work_id, origin)
    except BoonArtError as error:
        status = view.fail(error)
    return show(request, view, status, template="work.html", seen=seen, looked=seen.looked if seen else None)


@router.get("/work/detail")
async def search_with_detail(
    request: Request,
    work_id: Annotated[str, Query(alias="id", max_length=512)],
    collection: str = "",
    place: str = "",
    left: int = 0,
    top: int = 0,
    width: int = 0,
    height: int = 0,
) -> Response:
    """Cut the detail out, keep it like an uploaded picture, and lead to its results."""
    here = context(request)
    name = await here.collection(collection)
    if place and place not in PRESETS:
        raise InvalidRequest(
            f"There is no place {place[:40]!r} in a picture.", hint=f"One of: {', '.join(PRESETS)}.", field="place"
        )
    detail = PRESETS[place] if place else Detail(left, top, width, height)
    picture = (await here.work(name, work_id)).picture
    if not picture.key:
        raise WorkNotFound(f"The work {work_id[:80]!r} has no picture.")
    data, _ = await asyncio.to_thread(here.wired().pictures.read, name, picture.key, "display")
    part = await here.pictures.in_turn(lambda: crop(data, detail))
    token = await here.pictures.keep(part, len(part))
    return RedirectResponse(
        Asked(picture=token, collection=name, target=works.Target.WORKS.value).address(), status_code=303
    )


async def _seen(here: Context, view: View, work_id: str, origin: str) -> WorkView:
    found = await here.work(view.collection, work_id)
    beside, looked, looks, subject = await asyncio.gather(
        _neighbours(here, view, work_id, origin),
        _looked(here, view, work_id),
        _by_looks(here, view.collection, work_id),
        _by_subject(here, view.collection, found),
    )
    return WorkView(
        work=found.work,
        collection=view.collection,
        picture=page_picture(view.collection, found.work.id, found.picture),
        composed=found.description_composed,
        came_from=origin,
        neighbours=beside,
        looked=looked,
        looks=looks,
        subject=subject,
    )


async def _neighbours(here: Context, view: View, work_id: str, origin: str) -> Neighbours:
    """Its place in the list that it was chosen from; what goes wrong with the list must not hide the work."""
    if not origin or not view.asked:
        return Neighbours()
    try:
        beside = await listed(here, view)
    except BoonArtError as error:
        logger.info("no place in the list: %s", error)
        return Neighbours()
    return neighbours(beside, work_id, view.collection)


async def _looked(here: Context, view: View, work_id: str) -> Looked | None:
    """Where each word of the query looked, if the query is one text and the reranker knows."""
    if [part.kind for part in view.asked.parts] != ["text"]:
        return None
    try:
        hit = await here.explain(works.Query(view.collection, text=view.asked.text), work_id)
    except BoonArtError as error:
        logger.info("no explanation: %s", error)
        return None
    return explained(hit, view.asked, view.collection, None)


async def _by_looks(here: Context, collection: str, work_id: str) -> Sequence[Thumbnail]:
    query = works.Query(collection, work_id=work_id, limit=MORE, candidates=MORE, rerank=works.Ranker.NONE)
    try:
        answer, _ = await here.search(query)
    except BoonArtError as error:
        logger.info("nothing that looks alike: %s", error)
        return ()
    return by_looks(collection, answer.hits)


async def _by_subject(here: Context, collection: str, found: Candidate) -> Sequence[Thumbnail]:
    index = here.wired().index
    try:
        vector = await index.vector(collection, found.work.id, "description")
        near = await index.search(collection, vector, name="description", limit=MORE + 1)
    except BoonArtError as error:
        # Most often a work without a description.
        logger.debug("nothing of the same subject: %s", error)
        return ()
    return by_subject(collection, found.work, near)
