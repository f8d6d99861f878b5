"""`GET /v1/collections`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from boonart_services.gateway.context import context
from boonart_services.gateway.problems import documented
from boonart_services.gateway.schemas import CollectionsResponse

router = APIRouter(prefix="/v1", tags=["collections"], responses=documented(503))


@router.get("/collections", operation_id="list_collections", response_model=CollectionsResponse)
async def list_collections(request: Request) -> JSONResponse:
    """All collections, by name, and which one is meant where none is named."""
    here = context(request)
    found = await here.wired().index.collections()
    body = {
        "collections": [
            {
                "name": info.name,
                "works": info.count,
                "encoder": info.manifest.encoder_id,
                "reranker": info.manifest.reranker_id,
            }
            for info in found
        ],
        "default": here.default_collection(found),
    }
    return JSONResponse(body)
