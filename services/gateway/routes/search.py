"""`POST /v1/search` and `POST /v1/search/image`."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from boonart.errors import InvalidFilter, InvalidQuery, PictureError, WorkNotFound
from boonart.search.filter_text import parse_filter
from boonart.search.queries import naming
from boonart.works import Picture, Query, QueryPart
from boonart_services.gateway.answers import answer_json
from boonart_services.gateway.context import Context, context
from boonart_services.gateway.filters import FilterTree
from boonart_services.gateway.problems import documented, pointer
from boonart_services.gateway.schemas import (
    ImageSearchForm,
    QueryPartBody,
    SearchOptions,
    SearchRequest,
    SearchResponse,
)
from boonart_services.gateway.searching import search_page

router = APIRouter(
    prefix="/v1",
    tags=["search"],
    responses={
        200: {
            "headers": {
                "Server-Timing": {"description": "Milliseconds by stage.", "schema": {"type": "string"}},
            }
        },
        **documented(400, 404, 409, 413, 415, 422, 429, 503, 504),
    },
)


@router.post("/search", operation_id="search", response_model=SearchResponse)
async def search(request: Request, body: SearchRequest) -> JSONResponse:
    """Find works, or descriptions, by a text, a picture, an existing work, or several of them with weights."""
    given = body.given
    if len(given) > 1:
        raise InvalidQuery(f"The query has {' and '.join(given)}.", hint="Give exactly one of them.", field=given[1])
    empty = not given or not body.query if given == ["query"] else not given or not getattr(body, given[0]).strip()
    if empty:
        raise InvalidQuery("The query is empty.", hint="Give a text, an image or a work to be like.", field="text")
    start = time.perf_counter()
    here = context(request)
    parts = tuple([await _part(here, part, number) for number, part in enumerate(body.query)])
    asked = Query(
        collection="",
        text=body.text,
        picture=await _picture(here, body.image, "image") if body.image else None,
        work_id=body.like,
        parts=parts,
        collections=tuple(body.collections),
        facets=tuple(body.facets),
    )
    pictured = bool(body.image) or any(part.picture is not None for part in parts)
    return await _answer(request, body, asked, body.filter, start, pictured)


@router.post("/search/image", operation_id="search_by_image", response_model=SearchResponse)
async def search_by_image(
    request: Request, form: Annotated[ImageSearchForm, Form(media_type="multipart/form-data")]
) -> JSONResponse:
    """Find descriptions, or works that look alike, by an uploaded picture."""
    data = await form.image.read()
    if not data:
        raise InvalidQuery("The picture is empty.", hint="Send the file's bytes in the field image.", field="image")
    start = time.perf_counter()
    facets = tuple(name.strip() for name in form.facets.split(",") if name.strip())
    with naming("image", PictureError):
        picture = await context(request).decode(data)
    asked = Query(collection="", picture=picture, facets=facets)
    return await _answer(request, form, asked, filter_from_text(form.filter), start, True)


async def _part(here: Context, part: QueryPartBody, number: int) -> QueryPart:
    picture = await _picture(here, part.image, f"query.{number}.image") if part.image else None
    return QueryPart(part.text, picture, part.like, part.weight)


async def _picture(here: Context, text: str, field: str) -> Picture:
    """The picture that a field holds in base64.

    Raises:
        InvalidQuery: it is not base64.
        PictureError: it is no usable picture.
        Overloaded: too many others wait.
    """
    with naming(field, PictureError):
        return await here.decode(_from_base64(text, field))


async def _answer(
    request: Request, options: SearchOptions, asked: Query, tree: FilterTree | None, start: float, pictured: bool
) -> JSONResponse:
    """Answer what is asked, with the options, from the cursor's place on."""
    decoded = time.perf_counter()
    query = replace(
        asked,
        collection=options.collection,
        target=options.target,
        limit=options.limit,
        candidates=options.candidates,
        rerank=options.rerank,
        where=tree.compiled() if tree else None,
        min_relevance=options.min_relevance,
        explain=options.explain,
        mode=options.mode,
        keyword_weight=options.keyword_weight,
        diversity=options.diversity,
        per_artist=options.per_artist,
        facet_scope=options.facet_scope,
    )
    try:
        page = await search_page(context(request), query, options.cursor)
    except InvalidFilter as error:
        raise _placed(error, tree) from error
    except (InvalidQuery, WorkNotFound) as error:
        error.field = _as_written(error.field)
        raise
    stages = {**({"decode": 1000 * (decoded - start)} if pictured else {}), **page.answer.stages}
    took = 1000 * (time.perf_counter() - start)
    timing = ", ".join(f"{name};dur={value:.1f}" for name, value in [*stages.items(), ("total", took)])
    body = answer_json(page.answer, page.collection, stages, took, page.next_cursor)
    return JSONResponse(body, headers={"Server-Timing": timing})


def _as_written(field: str) -> str:
    """The name that this API gives to a field of `works.Query`."""
    place, dot, name = field.rpartition(".")
    return place + dot + {"picture": "image", "work_id": "like"}.get(name, name)


def _placed(error: InvalidFilter, tree: FilterTree | None) -> InvalidFilter:
    """The index's complaint about a field, with the place where the body names it."""
    name = error.field.removeprefix("filter.")
    for field, place in tree.places() if tree else ():
        if field == name:
            return InvalidFilter(error.message, hint=error.hint, field=pointer(*place))
    return error


def filter_from_text(text: str) -> FilterTree | None:
    """The filter of a form's field or of an address: a tree in JSON, or its short form.

    Raises:
        InvalidFilter: it is neither, or no filter.
    """
    if not text:
        return None
    try:
        if text.lstrip().startswith("{"):
            return FilterTree.model_validate_json(text)
        return FilterTree.model_validate(parse_filter(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InvalidFilter(
            f"The filter cannot be used: {first['msg'].removeprefix('Value error, ')}.",
            field=pointer("filter", *first["loc"]),
        ) from error


def _from_base64(text: str, field: str) -> bytes:
    """The bytes of a base64 text.

    Raises:
        InvalidQuery: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidQuery(
            f"image is not base64: {error}.", hint="Encode the picture file's bytes.", field=field
        ) from error
