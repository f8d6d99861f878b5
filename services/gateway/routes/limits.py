"""`GET /v1/limits`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from boonart_services.gateway.collection_schemas import LimitsResponse
from boonart_services.gateway.context import context
from boonart_services.gateway.filters import MAX_FILTER_DEPTH
from boonart_services.gateway.limits import body_bytes, limits
from boonart_services.gateway.problems import documented

router = APIRouter(prefix="/v1", tags=["health"], responses=documented(401, 403, 429, 503))


@router.get("/limits", operation_id="get_limits", response_model=LimitsResponse)
async def get_limits(request: Request) -> JSONResponse:
    """How much this server takes at once: texts, pictures, works, requests."""
    settings = context(request).wired().settings
    found = limits(settings, request_bytes=body_bytes(settings), filter_depth=MAX_FILTER_DEPTH)
    return JSONResponse(found.model_dump())
