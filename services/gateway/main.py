"""The gateway: REST and the page over the wired parts; it holds no model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

from boonart.bootstrap import Parts, build
from boonart.errors import BoonArtError, ConfigurationError
from boonart.settings import Settings
from boonart_services.gateway import problems
from boonart_services.gateway.context import Context
from boonart_services.gateway.middleware import Guard
from boonart_services.gateway.routes import health, page, search, works
from boonart_services.gateway.schemas import Problem

logger = logging.getLogger(__name__)

WEB = Path(__file__).parent / "web"
DEFAULT_BODY = 96 * 1024 * 1024
"""Largest body where no settings say otherwise: a picture of 64 MiB as base64, and something to spare."""


def create_app(
    parts: Parts | None = None,
    *,
    start: Callable[[], Parts] | None = None,
    on_ready: Callable[[], None] | None = None,
    most_bytes: int = DEFAULT_BODY,
) -> FastAPI:
    """The application.

    Args:
        parts: the wired parts; whoever passes them closes them.
        start: makes the parts in the background when the application starts; it closes these itself. Until then
            every search is answered with 503.
        on_ready: called once the parts from `start` have answered.
        most_bytes: largest request body.
    """
    here = Context(parts)
    here.on_ready = on_ready

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(here, start)) if start else None
        yield
        if loading is not None:
            await loading
            if here.parts is not None:
                await here.parts.close()

    app = FastAPI(
        title="BoonArt",
        version="1",
        summary="Search paintings by what they show and how the things in them relate.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={"default": {"model": Problem, "description": "Any error."}},
    )
    app.state.context = here
    problems.install(app)
    for part in (health, search, works, page):
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=WEB / "static"), name="static")
    app.add_middleware(Guard, most=most_bytes)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


async def _load(here: Context, start: Callable[[], Parts]) -> None:
    """Make the parts and prove that they work."""
    try:
        here.parts = await asyncio.to_thread(start)
        await here.check_ready()
    except BoonArtError as error:
        here.failure = error
        logger.error("cannot serve: %s", error)
        return
    if here.on_ready is not None:
        here.on_ready()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, every error a problem document."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            default = operation["responses"].get("default")
            if default is not None:
                default["content"] = {
                    problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
                }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    app.openapi_schema = document
    return document


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, before models are loaded.

    Raises:
        ConfigurationError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} cannot be used: {error.strerror}.",
                hint="Choose another with --port (make demo PORT=8001), or stop what listens there.",
                field="port",
            ) from error


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        announce: called with the address once searches are answered.

    Raises:
        ConfigurationError: the port is taken.
        BoonArtError: the parts could not be made.
    """
    check_port(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"

    def ready() -> None:
        announce(url)

    app = create_app(
        start=lambda: build(settings, server_url=url),
        on_ready=ready,
        most_bytes=settings.max_picture_bytes * 3 // 2,
    )
    server = uvicorn.Server(
        uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning", access_log=False)
    )
    here: Context = app.state.context
    stop_on_failure(here, server)
    server.run()
    if here.failure is not None:
        raise here.failure


def stop_on_failure(here: Context, server: uvicorn.Server) -> None:
    """Let the server end when the parts cannot be made, so that the command can say why."""
    tick = server.on_tick

    async def watching(counter: int) -> bool:
        return here.failure is not None or await tick(counter)

    server.on_tick = watching  # type: ignore[method-assign]
