"""`/v1/collections`: list, create, describe, delete; works in and out."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from boonart.errors import RecordError
from boonart.ports import CollectionInfo
from boonart.records import SourceRecord
from boonart_services.gateway import holdings
from boonart_services.gateway.collection_schemas import (
    CollectionDescription,
    DeletedResponse,
    DeleteWorksRequest,
    JobBody,
    NewCollection,
    UpsertRequest,
    WorkRecord,
)
from boonart_services.gateway.context import context
from boonart_services.gateway.problems import documented
from boonart_services.gateway.repeats import REPEATABLE, RepeatableRoute
from boonart_services.gateway.schemas import COLLECTION_NAME, CollectionsResponse

router = APIRouter(
    prefix="/v1/collections",
    tags=["collections"],
    responses=documented(401, 403, 404, 409, 422, 429, 503),
    route_class=RepeatableRoute,
)

Name = Annotated[str, Path(description="The collection's name.", pattern=COLLECTION_NAME)]
JOB_ADDRESS = {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}}


@router.get("", operation_id="list_collections", response_model=CollectionsResponse)
async def list_collections(request: Request) -> JSONResponse:
    """All collections, by name, and which one is meant where none is named."""
    here = context(request)
    found = await here.wired().index.collections()
    return JSONResponse({"collections": [_listed(info) for info in found], "default": here.default_collection(found)})


@router.post(
    "",
    operation_id="create_collection",
    status_code=201,
    response_model=CollectionDescription,
    dependencies=[REPEATABLE],
)
async def create_collection(request: Request, body: NewCollection) -> JSONResponse:
    """Make an empty collection for the models that this server runs."""
    made = await holdings.create(context(request).wired(), body.name)
    return JSONResponse(_described(made), status_code=201, headers={"Location": f"/v1/collections/{body.name}"})


@router.get("/{name}", operation_id="get_collection", response_model=CollectionDescription)
async def get_collection(request: Request, name: Name) -> JSONResponse:
    """A collection: its works, models, size and the fields that can be filtered on."""
    return JSONResponse(_described(await holdings.described(context(request).wired(), name)))


@router.delete(
    "/{name}", operation_id="delete_collection", status_code=204, response_class=Response, dependencies=[REPEATABLE]
)
async def delete_collection(
    request: Request,
    name: Name,
    confirm: Annotated[str, Query(description="The collection's name once more, so that no slip deletes it.")],
) -> Response:
    """Delete a collection with its works and pictures, for good."""
    await holdings.drop(context(request).wired(), name, confirm)
    return Response(status_code=204)


@router.post(
    "/{name}/works",
    operation_id="upsert_works",
    dependencies=[REPEATABLE],
    response_model=JobBody,
    responses={
        200: {"headers": JOB_ADDRESS},
        202: {"model": JobBody, "description": "The job has started; follow it under its id.", "headers": JOB_ADDRESS},
    },
)
async def upsert_works(request: Request, name: Name, body: UpsertRequest) -> JSONResponse:
    """Add works or replace those of the same id; a work that is stored as it is costs nothing.

    The answer waits for the end unless `wait` is false. A work that cannot be used is listed under `errors` of the
    job, and the others are stored all the same. So is one whose `if_version` is not that of the stored work, with the
    code `version-mismatch`.
    """
    records = [_record(work, f"works[{number}]") for number, work in enumerate(body.works)]
    expected = holdings.expected_versions((work.id, work.if_version) for work in body.works)
    job = await holdings.upsert(context(request), name, records, expected, wait=body.wait)
    return JSONResponse(job.snapshot(), 200 if body.wait else 202, headers={"Location": f"/v1/jobs/{job.id}"})


@router.post(
    "/{name}/works/delete", operation_id="delete_works", response_model=DeletedResponse, dependencies=[REPEATABLE]
)
async def delete_works(request: Request, name: Name, body: DeleteWorksRequest) -> JSONResponse:
    """Delete works by their ids; unknown ones are passed over."""
    return JSONResponse({"deleted": await context(request).wired().index.delete(name, body.ids)})


def _listed(info: CollectionInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "works": info.count,
        "encoder": info.manifest.encoder_id,
        "reranker": info.manifest.reranker_id,
    }


def _described(found: holdings.Described) -> dict[str, Any]:
    manifest = found.info.manifest
    return {
        **_listed(found.info),
        "version": found.info.version,
        "size_bytes": found.info.size_bytes,
        "global_size": manifest.global_size,
        "embed_size": manifest.embed_size,
        "schema_version": manifest.schema_version,
        "searchable": found.searchable,
        "fields": dict(found.fields),
    }


def _record(work: WorkRecord, place: str) -> SourceRecord:
    def read_picture() -> bytes:
        if not work.image:
            raise RecordError("The work has no picture.", hint="Give the picture file as base64 in image.")
        try:
            return base64.b64decode(work.image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RecordError(f"image is not base64: {error}.") from error

    return holdings.source_record(work, place, read_picture)
