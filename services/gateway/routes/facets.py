"""`GET /v1/facets` and `GET /v1/works/{id}/similar`: searches that an address alone can ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from boonart import works
from boonart.errors import InvalidFilter
from boonart.search import MAX_LIMIT
from boonart.search.queries import MAX_FACETS
from boonart_services.gateway.answers import answer_json, facets_json
from boonart_services.gateway.context import context
from boonart_services.gateway.filters import Encodable
from boonart_services.gateway.problems import documented
from boonart_services.gateway.routes.search import filter_from_text
from boonart_services.gateway.routes.works import CollectionQuery, WorkIdPath
from boonart_services.gateway.schemas import FacetsResponse, SearchResponse
from boonart_services.gateway.searching import facets_of, search_page

router = APIRouter(prefix="/v1", responses=documented(404, 409, 422, 429, 503, 504))

FieldName = Annotated[Encodable, Query(min_length=1, max_length=200)]


@router.get("/facets", operation_id="get_facets", tags=["search"], response_model=FacetsResponse)
async def get_facets(
    request: Request,
    field: Annotated[
        list[FieldName],
        Query(
            min_length=1,
            max_length=MAX_FACETS,
            description="A field whose values are counted; several may be given. `century` counts dates.",
        ),
    ],
    collection: CollectionQuery = "",
    filter: Annotated[
        str,
        Query(
            max_length=8_000,
            description="As in `POST /v1/search`, written as JSON or in short.",
            examples=["artist = Turner and date : 1790..1810"],
        ),
    ] = "",
) -> JSONResponse:
    """The twenty commonest values of fields, with how many of the works that the filter lets pass hold each."""
    here = context(request)
    name = await here.collection(collection)
    tree = filter_from_text(filter)
    try:
        counted = await facets_of(here, name, field, tree.compiled() if tree else None)
    except InvalidFilter as error:
        raise InvalidFilter(error.message, hint=error.hint, field="filter" if tree else "field") from error
    return JSONResponse({"collection": name, "facets": facets_json(counted)})


@router.get("/works/{work_id:path}/similar", operation_id="get_similar", tags=["works"], response_model=SearchResponse)
async def get_similar(
    request: Request,
    work_id: WorkIdPath,
    collection: CollectionQuery = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20,
    cursor: Annotated[str, Query(max_length=1000, description="`next_cursor` of the page before.")] = "",
) -> JSONResponse:
    """The works that look like this one, itself left out: the same as `POST /v1/search` with `like`."""
    page = await search_page(context(request), works.Query(collection, work_id=work_id, limit=limit), cursor)
    stages = dict(page.answer.stages)
    return JSONResponse(answer_json(page.answer, page.collection, stages, sum(stages.values()), page.next_cursor))
