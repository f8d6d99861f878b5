"""The gateway: REST and the page over the wired parts; it holds no model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn
from fastapi import FastAPI

from boonart.bootstrap import Parts, build
from boonart.errors import ConfigurationError
from boonart.settings import Settings
from boonart_services.gateway import openapi, problems
from boonart_services.gateway.context import Context
from boonart_services.gateway.middleware import Guard
from boonart_services.gateway.routes import collections, health, page, search, why, works

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 10
"""How long requests under way may go on once the server is told to stop."""
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def create_app(
    parts: Parts | None = None,
    *,
    start: Callable[[], Parts] | None = None,
    on_ready: Callable[[], None] | None = None,
    on_failure: Callable[[BaseException], None] | None = None,
    settings: Settings | None = None,
) -> FastAPI:
    """The application.

    Args:
        parts: the wired parts; whoever passes them closes them.
        start: makes the parts in a thread once the application has started; the application closes these itself.
            Until then every search is answered with 503.
        on_ready: called once the parts from `start` have answered a first query.
        on_failure: called with the error where `start` or that query failed.
        settings: limits, where there are no parts yet to read them from.
    """
    here = Context(parts)
    limits = parts.settings if parts is not None else settings or Settings()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_load(here, start, on_ready, on_failure)) if start else None
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
    )
    app.state.context = here
    problems.install(app)
    for part in (health, search, works, collections, page, why):
        app.include_router(part.router)
    page.install(app)
    # A picture in base64 is a third larger than the file, and the other fields need something too.
    app.add_middleware(Guard, most=limits.max_picture_bytes * 3 // 2)
    openapi.install(app)
    return app


async def _load(
    here: Context,
    start: Callable[[], Parts],
    on_ready: Callable[[], None] | None,
    on_failure: Callable[[BaseException], None] | None,
) -> None:
    """Make the parts and prove that they work."""
    try:
        here.parts = await asyncio.to_thread(start)
        await here.check_ready()
    except Exception as error:
        if on_failure is None:
            raise
        logger.debug("cannot serve", exc_info=True)
        on_failure(error)
        return
    if on_ready is not None:
        on_ready()


def check_port(host: str, port: int) -> None:
    """Refuse a port that is taken, before anything long is done.

    Raises:
        ConfigurationError: the port is taken, or the address is not this machine's.
    """
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # A port on which nobody listens yet can be bound twice.
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"Port {port} on {host} cannot be used: {error.strerror or error}.",
            hint="Choose another with --port (make demo PORT=8001), or stop what listens there.",
            field="port",
        ) from error
    return listener


def address(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    host = _WILDCARDS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Serve until interrupted. The port is taken first, then the models are loaded.

    Args:
        announce: called with the address once searches are answered.

    Raises:
        ConfigurationError: the port is taken.
        BoonArtError: the parts could not be made.
    """
    listener = _listen(settings.host, settings.port)
    url = address(settings.host, settings.port)
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(
        start=lambda: build(settings, server_url=url),
        on_ready=lambda: announce(url),
        on_failure=fail,
        settings=settings,
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS, server_header=False
    )
    server = uvicorn.Server(config)
    # Ctrl-C is how one stops it, so it is no error; uvicorn raises it again after its orderly end.
    with listener, contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if failures:
        raise failures[0]
