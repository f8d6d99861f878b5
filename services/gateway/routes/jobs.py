"""`/v1/jobs`: list, look at, follow, cancel."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import JSONResponse, StreamingResponse

from boonart_services.gateway.collection_schemas import JobBody, JobsResponse
from boonart_services.gateway.context import context
from boonart_services.gateway.jobs import Job
from boonart_services.gateway.problems import documented
from boonart_services.gateway.repeats import REPEATABLE, RepeatableRoute

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], responses=documented(401, 403, 404, 409, 422, 503), route_class=RepeatableRoute
)

JobId = Annotated[str, Path(max_length=64)]
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("", operation_id="list_jobs", response_model=JobsResponse)
async def list_jobs(request: Request) -> JSONResponse:
    """All jobs that this server remembers, the newest first."""
    return JSONResponse({"jobs": [job.snapshot() for job in context(request).jobs.all()]})


@router.get("/{job_id}", operation_id="get_job", response_model=JobBody)
async def get_job(request: Request, job_id: JobId) -> JSONResponse:
    """A job, as it stands."""
    return JSONResponse(context(request).jobs.find(job_id).snapshot())


@router.post("/{job_id}/cancel", operation_id="cancel_job", response_model=JobBody, dependencies=[REPEATABLE])
async def cancel_job(request: Request, job_id: JobId) -> JSONResponse:
    """Stop a job. Works that are stored stay; a job that is over stays as it is."""
    return JSONResponse((await context(request).jobs.cancel(job_id)).snapshot())


@router.get(
    "/{job_id}/events",
    operation_id="follow_job",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One event after the other; each has this form.",
            "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/JobEvent"}}},
        }
    },
)
async def follow_job(
    request: Request,
    job_id: JobId,
    last_event_id: Annotated[str, Header(description="Id of the last event seen, to go on after it.")] = "",
) -> StreamingResponse:
    """A job's events as they happen, until it is over: state, progress, item_error, done; data is the whole job.

    Whoever leaves stops nothing. Whoever comes back too late for what is remembered gets one event `resync`.
    """
    job = context(request).jobs.find(job_id)
    after = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else 0
    return StreamingResponse(_events(job, after), media_type="text/event-stream", headers=_STREAM)


async def _events(job: Job, after: int) -> AsyncIterator[str]:
    async for event in job.follow(after):
        if event is None:
            yield ": still here\n\n"
        else:
            yield f"id: {event.seq}\nevent: {event.name}\ndata: {json.dumps(event.data)}\n\n"
