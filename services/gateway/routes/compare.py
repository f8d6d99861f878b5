"""Two rankers side by side over the same query: complete without JavaScript."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from boonart import works
from boonart.errors import BoonArtError
from boonart.works import Mode, Ranker
from boonart_services.gateway.asked import Asked
from boonart_services.gateway.compare_views import SHOWN, Compared, compared
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.routes.page import show
from boonart_services.gateway.views import View

router = APIRouter(include_in_schema=False)


@router.get("/compare", response_class=HTMLResponse)
async def compare(
    request: Request,
    q: str = "",
    collection: str = "",
    first: Annotated[Ranker, Query(alias="a")] = Ranker.NONE,
    second: Annotated[Ranker, Query(alias="b")] = Ranker.DEFAULT,
) -> Response:
    """The same candidates in the order of two rankers, with what each moved and the time that it took."""
    here = context(request)
    view = View(Asked(q, collection=collection))
    seen: Compared | None = None
    status = 200
    try:
        view.collections = await here.collections()
        view.collection = collection or here.default_collection(view.collections)
        if q.strip():
            view.collection = await here.collection(collection)
            seen = await _compared(here, view, first, second)
    except BoonArtError as error:
        status = view.fail(error)
    rankers = list(Ranker)
    return show(
        request, view, status, template="compare.html", seen=seen, looked=None, chosen=(first, second), rankers=rankers
    )


async def _compared(here: Context, view: View, first: Ranker, second: Ranker) -> Compared:
    # One after the other: at the same time each would slow the other down, and the times would mean nothing.
    answers = []
    for ranker in (first, second):
        query = works.Query(
            view.collection, text=view.asked.text, limit=SHOWN, candidates=100, rerank=ranker, mode=Mode.VECTOR
        )
        answers.append(await here.search(query))
    return compared(view.collection, view.asked, (first, second), answers)
