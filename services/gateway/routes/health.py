"""`GET /healthz`, `GET /readyz` and `GET /metrics`."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from boonart_services.gateway.context import context
from boonart_services.gateway.problems import documented
from boonart_services.gateway.schemas import Health

router = APIRouter(tags=["health"])
FRESH = {"Cache-Control": "no-store"}


@router.get("/healthz", operation_id="health", response_model=Health)
async def health() -> JSONResponse:
    """The process lives."""
    return JSONResponse({"status": "ok"}, headers=FRESH)


@router.get("/readyz", operation_id="ready", response_model=Health, responses=documented(503))
async def ready(request: Request) -> JSONResponse:
    """A real index query has succeeded within the last seconds, and a real inference too or `degraded` says why not."""
    body: dict[str, Any] = {"status": "ready"}
    if left_out := await context(request).check_ready():
        body["degraded"] = dict(left_out)
    return JSONResponse(body, headers=FRESH)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> PlainTextResponse:
    """Counts and times for Prometheus, in its text format."""
    text = await asyncio.to_thread(context(request).metrics.text)
    return PlainTextResponse(text, headers=FRESH, media_type="text/plain; version=0.0.4")
