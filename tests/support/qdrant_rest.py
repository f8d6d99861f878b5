"""The REST interface of Qdrant's double."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, PlainTextResponse
from qdrant_client import models

from tests.support.qdrant_engine import Engine, given, status_of

OPEN = ("/", "/healthz", "/livez", "/readyz")
"""Addresses that need no API key, as on the real server."""


def rest_app(engine: Engine, api_key: str) -> FastAPI:
    """The REST interface."""
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, following: Callable[[Request], Awaitable[Any]]) -> Any:
        if api_key and request.url.path not in OPEN and request.headers.get("api-key") != api_key:
            return PlainTextResponse("Must provide an API key or an Authorization bearer token", 401)
        try:
            return await following(request)
        except ValueError as error:
            return JSONResponse({"status": {"error": str(error)}, "time": 0.0}, status_of(error)[0])

    for part in (_service, _collections, _points, _snapshots):
        router = APIRouter()
        part(router.api_route, engine)
        app.include_router(router)
    return app


def answer(result: Any) -> JSONResponse:
    """A result as Qdrant wraps it."""
    return JSONResponse({"result": jsonable_encoder(result), "status": "ok", "time": 0.0})


def _service(route: Any, engine: Engine) -> None:
    """What concerns the server as a whole."""

    @route("/", methods=["GET"])
    async def version() -> dict[str, str]:
        return {"title": "qdrant double", "version": "1.20.0"}

    @route("/readyz", methods=["GET"])
    @route("/healthz", methods=["GET"])
    async def ready() -> PlainTextResponse:
        return PlainTextResponse("all shards are ready")

    @route("/cluster", methods=["GET"])
    async def cluster() -> JSONResponse:
        return answer(engine.cluster())


def _collections(route: Any, engine: Engine) -> None:
    """Collections, their aliases and their payload indexes."""
    client = engine.client

    @route("/collections", methods=["GET"])
    async def collections() -> JSONResponse:
        return answer(await client.get_collections())

    @route("/aliases", methods=["GET"])
    async def aliases() -> JSONResponse:
        return answer(await client.get_aliases())

    @route("/collections/aliases", methods=["POST"])
    async def change_aliases(request: models.ChangeAliasesOperation) -> JSONResponse:
        return answer(await client.update_collection_aliases(request.actions))

    @route("/collections/{name}", methods=["GET"])
    async def collection(name: str) -> JSONResponse:
        return answer(await engine.info(name))

    @route("/collections/{name}", methods=["PUT"])
    async def create(name: str, request: models.CreateCollection) -> JSONResponse:
        return answer(await engine.create(name, request))

    @route("/collections/{name}", methods=["PATCH"])
    async def update(name: str, request: models.UpdateCollection) -> JSONResponse:
        return answer(await client.update_collection(name, metadata=request.metadata))

    @route("/collections/{name}", methods=["DELETE"])
    async def drop(name: str) -> JSONResponse:
        return answer(await engine.drop(name))

    @route("/collections/{name}/index", methods=["PUT"])
    async def index(name: str, request: models.CreateFieldIndex) -> JSONResponse:
        return answer(await engine.index(name, request.field_name, str(getattr(request.field_schema, "value", ""))))


def _points(route: Any, engine: Engine) -> None:
    """Points: written, read, counted and searched."""
    client = engine.client

    @route("/collections/{name}/points", methods=["PUT"])
    async def upsert(name: str, request: models.PointsList) -> JSONResponse:
        return answer(await client.upsert(name, request.points))

    @route("/collections/{name}/points", methods=["POST"])
    async def retrieve(name: str, request: models.PointRequest) -> JSONResponse:
        payload, vectors = given(request.with_payload, True), given(request.with_vector, False)
        return answer(await client.retrieve(name, request.ids, with_payload=payload, with_vectors=vectors))

    @route("/collections/{name}/points/delete", methods=["POST"])
    async def delete(name: str, request: models.PointIdsList) -> JSONResponse:
        return answer(await client.delete(name, request))

    @route("/collections/{name}/points/scroll", methods=["POST"])
    async def scroll(name: str, request: models.ScrollRequest) -> JSONResponse:
        payload = given(request.with_payload, True)
        points, following = await client.scroll(
            name, request.filter, limit=request.limit or 10, offset=request.offset, with_payload=payload
        )
        return answer({"points": points, "next_page_offset": following})

    @route("/collections/{name}/points/count", methods=["POST"])
    async def count(name: str, request: models.CountRequest) -> JSONResponse:
        return answer(await client.count(name, request.filter, exact=bool(request.exact)))

    @route("/collections/{name}/facet", methods=["POST"])
    async def facet(name: str, request: models.FacetRequest) -> JSONResponse:
        return answer(await client.facet(name, request.key, request.filter, limit=request.limit or 10))

    @route("/collections/{name}/points/query", methods=["POST"])
    async def query(name: str, request: models.QueryRequest) -> JSONResponse:
        return answer(await engine.query(name, request))


def _snapshots(route: Any, engine: Engine) -> None:
    """Snapshots: made, listed and restored."""

    @route("/collections/{name}/snapshots", methods=["GET"])
    async def snapshots(name: str) -> JSONResponse:
        return answer(engine.described(await engine.physical(name)))

    @route("/collections/{name}/snapshots", methods=["POST"])
    async def take(name: str) -> JSONResponse:
        return answer(await engine.take(name))

    @route("/collections/{name}/snapshots/recover", methods=["PUT"])
    async def recover(name: str, request: models.SnapshotRecover) -> JSONResponse:
        return answer(await engine.recover(name, request.location, request.priority))
