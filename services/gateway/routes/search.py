"""`POST /v1/search` and `POST /v1/search/image`."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import JSONResponse

from boonart.errors import InvalidQuery
from boonart.works import Picture, Query, Ranker, Target
from boonart_services.gateway.context import context, decoded, hit_pictures
from boonart_services.gateway.schemas import SearchOptions, SearchRequest, SearchResponse, answer_json

router = APIRouter(prefix="/v1", tags=["search"])


@router.post("/search", operation_id="search", response_model=SearchResponse, response_model_exclude_none=True)
async def search(request: Request, body: SearchRequest) -> JSONResponse:
    """Find works by a text, a picture or an existing work; or descriptions by a picture."""
    given = [name for name in ("text", "image", "like") if getattr(body, name).strip()]
    if len(given) > 1:
        raise InvalidQuery(f"The query has {' and '.join(given)}.", hint="Give exactly one of them.", field=given[1])
    picture = await decoded(_from_base64(body.image)) if body.image else None
    return await _answer(request, body, body.text, picture, body.like)


@router.post(
    "/search/image", operation_id="search_by_image", response_model=SearchResponse, response_model_exclude_none=True
)
async def search_by_image(
    request: Request,
    image: Annotated[UploadFile, File(description="The picture file.")],
    collection: Annotated[str, Form()] = "",
    target: Annotated[Target | None, Form()] = None,
    limit: Annotated[int, Form(ge=1, le=1000)] = 20,
    candidates: Annotated[int, Form(ge=1, le=1000)] = 100,
    rerank: Annotated[Ranker, Form()] = Ranker.DEFAULT,
    min_relevance: Annotated[float, Form(ge=0, le=1)] = 0.0,
    explain: Annotated[bool, Form()] = False,
) -> JSONResponse:
    """Find descriptions, or works that look alike, by an uploaded picture."""
    options = SearchOptions(
        collection=collection,
        target=target,
        limit=limit,
        candidates=candidates,
        rerank=rerank,
        min_relevance=min_relevance,
        explain=explain,
    )
    return await _answer(request, options, "", await decoded(await image.read()), "")


async def _answer(
    request: Request, options: SearchOptions, text: str, picture: Picture | None, like: str
) -> JSONResponse:
    here = context(request)
    collection = await here.collection(options.collection)
    query = Query(
        collection=collection,
        text=text,
        picture=picture,
        work_id=like,
        target=options.target,
        limit=options.limit,
        candidates=options.candidates,
        rerank=options.rerank,
        where=options.filter.compiled() if options.filter else None,
        min_relevance=options.min_relevance,
        explain=options.explain,
    )
    answer, took = await here.search(query)
    timing = ", ".join(f"{name};dur={value:.1f}" for name, value in answer.stages.items())
    body = answer_json(answer, collection, hit_pictures(collection, answer.hits), took)
    return JSONResponse(body, headers={"Server-Timing": timing})


def _from_base64(text: str) -> bytes:
    """The bytes of a base64 text.

    Raises:
        InvalidQuery: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidQuery(
            f"image is not base64: {error}.", hint="Encode the picture file's bytes.", field="image"
        ) from error
