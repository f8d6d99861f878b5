"""`GET /healthz` and `GET /readyz`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

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
    """A real inference and a real index query have succeeded within the last seconds."""
    await context(request).check_ready()
    return JSONResponse({"status": "ready"}, headers=FRESH)
