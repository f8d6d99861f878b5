"""`/v1/collections`: list, create, describe, delete; works in and out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from boonart.bootstrap import Parts
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.errors import InvalidRequest, RecordError
from boonart.indexing import ingest
from boonart.manifests import manifest_for
from boonart.ports import CollectionInfo
from boonart.records import IngestReport, PictureTools, Progress, Rejected, SourceRecord
from boonart.upkeep import drop_collection
from boonart.works import Work
from boonart_services.gateway.collection_schemas import (
    COLLECTION_NAME,
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
from boonart_services.gateway.schemas import CollectionsResponse

router = APIRouter(
    prefix="/v1/collections", tags=["collections"], responses=documented(401, 403, 404, 409, 422, 429, 503)
)

Name = Annotated[str, Path(description="The collection's name.", pattern=COLLECTION_NAME)]
JOB_ADDRESS = {"Location": {"description": "Address of the job.", "schema": {"type": "string"}}}
TOOLS = PictureTools(decode, renditions, dominant_colour)


@router.get("", operation_id="list_collections", response_model=CollectionsResponse)
async def list_collections(request: Request) -> JSONResponse:
    """All collections, by name, and which one is meant where none is named."""
    here = context(request)
    found = await here.wired().index.collections()
    return JSONResponse({"collections": [_listed(info) for info in found], "default": here.default_collection(found)})


@router.post("", operation_id="create_collection", status_code=201, response_model=CollectionDescription)
async def create_collection(request: Request, body: NewCollection) -> JSONResponse:
    """Make an empty collection for the models that this server runs."""
    parts = context(request).wired()
    reranker = parts.reranker.card if parts.reranker is not None else None
    await parts.index.create(body.name, manifest_for(parts.encoder.card, reranker))
    made = await _described(parts, body.name)
    return JSONResponse(made, status_code=201, headers={"Location": f"/v1/collections/{body.name}"})


@router.get("/{name}", operation_id="get_collection", response_model=CollectionDescription)
async def get_collection(request: Request, name: Name) -> JSONResponse:
    """A collection: its works, models, size and the fields that can be filtered on."""
    return JSONResponse(await _described(context(request).wired(), name))


@router.delete("/{name}", operation_id="delete_collection", status_code=204, response_class=Response)
async def delete_collection(
    request: Request,
    name: Name,
    confirm: Annotated[str, Query(description="The collection's name once more, so that no slip deletes it.")],
) -> Response:
    """Delete a collection with its works and pictures, for good."""
    parts = context(request).wired()
    await parts.index.describe(name)
    if confirm != name:
        raise InvalidRequest(
            f"Deleting {name!r} cannot be undone.", hint=f"Confirm it with ?confirm={name}.", field="confirm"
        )
    await drop_collection(name, parts.index, parts.pictures)
    return Response(status_code=204)


@router.post(
    "/{name}/works",
    operation_id="upsert_works",
    response_model=JobBody,
    responses={
        200: {"headers": JOB_ADDRESS},
        202: {"model": JobBody, "description": "The job has started; follow it under its id.", "headers": JOB_ADDRESS},
    },
)
async def upsert_works(request: Request, name: Name, body: UpsertRequest) -> JSONResponse:
    """Add works or replace those of the same id; a work that is stored as it is costs nothing.

    The answer waits for the end unless `wait` is false. A work that cannot be used is listed under `errors` of the
    job, and the others are stored all the same.
    """
    here = context(request)
    parts = here.wired()
    await parts.index.describe(name)
    source = _Records(body.works)

    async def run(progress: Callable[[Progress], None], reject: Callable[[Rejected], None]) -> IngestReport:
        return await ingest(
            source,
            name,
            parts.encoder,
            parts.index,
            parts.pictures,
            TOOLS,
            reranker=parts.reranker,
            on_progress=progress,
            on_quarantine=reject,
        )

    job = await here.jobs.start("upsert", name, run)
    job.total = len(source)
    if body.wait:
        async for _ in job.follow():
            pass
    return JSONResponse(job.snapshot(), 200 if body.wait else 202, headers={"Location": f"/v1/jobs/{job.id}"})


@router.post("/{name}/works/delete", operation_id="delete_works", response_model=DeletedResponse)
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


async def _described(parts: Parts, name: str) -> dict[str, Any]:
    info = await parts.index.describe(name)
    return {
        **_listed(info),
        "version": info.version,
        "size_bytes": info.size_bytes,
        "global_size": info.manifest.global_size,
        "embed_size": info.manifest.embed_size,
        "schema_version": info.manifest.schema_version,
        "searchable": info.manifest.encoder_id == parts.encoder.card.id,
        "fields": dict(await parts.index.fields(name)),
    }


class _Records:
    """`records.Source` over the works of a request."""

    def __init__(self, works: Sequence[WorkRecord]) -> None:
        self._works = works

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        for number, work in enumerate(self._works):
            yield _record(work, f"works[{number}]")

    def __len__(self) -> int:
        return len(self._works)


def _record(work: WorkRecord, place: str) -> SourceRecord:
    def read_picture() -> bytes:
        if not work.image:
            raise RecordError("The work has no picture.", hint="Give the picture file as base64 in image.")
        try:
            return base64.b64decode(work.image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise RecordError(f"image is not base64: {error}.") from error

    fields = work.model_dump(exclude={"image", "subjects", "extra"})
    return SourceRecord(Work(**fields, subjects=tuple(work.subjects), extra=dict(work.extra)), read_picture, place)
