"""The gateway: REST and the page over the wired parts; it holds no model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import State
from starlette.middleware.gzip import GZipMiddleware

from boonart.bootstrap import Parts, build
from boonart.errors import BoonArtError, ConfigurationError
from boonart.keys import KeyFile
from boonart.rpc.settings import ServingSettings
from boonart.settings import Settings, local_address
from boonart_services.gateway import openapi, problems
from boonart_services.gateway.access import Access, Rules, anonymous_scope, check_public
from boonart_services.gateway.context import Context
from boonart_services.gateway.grpc_access import GrpcAccess
from boonart_services.gateway.grpc_search import Door
from boonart_services.gateway.limits import body_bytes
from boonart_services.gateway.middleware import Guard
from boonart_services.gateway.observed import Observed
from boonart_services.gateway.origins import Origins
from boonart_services.gateway.routes import (
    admin,
    collections,
    compare,
    facets,
    health,
    jobs,
    limits,
    page,
    search,
    why,
    work_page,
    works,
)
from boonart_services.gateway.routes import map as map_page

logger = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 10
"""How long requests under way may go on once the server is told to stop."""
EXPOSED = (
    "ETag",
    "Idempotency-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "X-Request-Id",
    "Location",
)
"""Headers that pages of other origins may read."""


def create_app(
    parts: Parts | None = None,
    *,
    start: Callable[[], Parts] | None = None,
    on_ready: Callable[[], None] | None = None,
    on_failure: Callable[[BaseException], None] | None = None,
    settings: Settings | None = None,
    serving: ServingSettings | None = None,
) -> FastAPI:
    """The application.

    Args:
        parts: the wired parts; whoever passes them closes them.
        start: makes the parts in a thread once the application has started; the application closes these itself.
            Until then every search is answered with 503.
        on_ready: called once the parts from `start` have answered a first query.
        on_failure: called with the error where `start` or that query failed.
        settings: limits, where there are no parts yet to read them from.
        serving: how to listen for gRPC beside REST; None leaves gRPC out. Needs `start`.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """
    here = Context(parts)
    given = parts.settings if parts is not None else settings or Settings()
    rules = Rules(KeyFile(given.keys_file), given.rate_limit)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        living: asyncio.Task[None] | None = None
        if start is not None:
            access = None
            if serving is not None:
                alone = anonymous_scope(given, serving.grpc_host)
                access = GrpcAccess(rules, alone, has_token=serving.token_file is not None)
            living = asyncio.create_task(_live(here, app.state, start, serving, access, stopping, on_ready, on_failure))
        yield
        stopping.set()
        if living is not None:
            await living

    app = FastAPI(
        title="BoonArt",
        version="1",
        summary="Search paintings by what they show and how the things in them relate.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.context = here
    app.state.door = None
    here.metrics.watch("ready", "1 after a real query has succeeded.", lambda: float(here.ready))
    problems.install(app)
    for part in (
        health,
        search,
        facets,
        works,
        collections,
        jobs,
        limits,
        page,
        why,
        work_page,
        compare,
        map_page,
        admin,
    ):
        app.include_router(part.router)
    app.include_router(map_page.api)
    page.install(app)
    _guard(app, given, rules)
    openapi.install(app)
    return app


def _guard(app: FastAPI, settings: Settings, rules: Rules) -> None:
    """What each request passes on its way in, the last one first, and each answer on its way out."""
    app.add_middleware(Access, rules=rules, anonymous=anonymous_scope(settings))
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        app.add_middleware(
            Origins,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-None-Match",
                "Last-Event-ID",
                "X-API-Key",
                "X-Request-Id",
            ],
            expose_headers=EXPOSED,
        )
    # Pages, answers and scripts shrink to a fifth; pictures are left as they are.
    app.add_middleware(GZipMiddleware, minimum_size=500, compresslevel=3)
    app.add_middleware(Guard, most=body_bytes(settings))
    app.add_middleware(Observed, metrics=app.state.context.metrics)


async def _live(
    here: Context,
    state: State,
    start: Callable[[], Parts],
    serving: ServingSettings | None,
    access: GrpcAccess | None,
    stopping: asyncio.Event,
    on_ready: Callable[[], None] | None,
    on_failure: Callable[[BaseException], None] | None,
) -> None:
    """Open the door, make the parts, prove that they work, stay ready, and close all in the opposite order."""
    try:
        if serving is not None:
            state.door = Door(here, serving, access)
            port = await state.door.open()
            logger.info("gRPC listens on %s:%d, loading", serving.grpc_host, port)
        here.parts = await asyncio.to_thread(start)
        await here.check_models()
        await here.check_ready()
    except Exception as error:
        await _close(here, state)
        if on_failure is None:
            raise
        logger.debug("cannot serve", exc_info=True)
        on_failure(error)
        return
    if on_ready is not None:
        on_ready()
    if serving is not None:
        await _stay_ready(here, state.door, serving.probe_interval, stopping)
    await stopping.wait()
    await _close(here, state)


async def _close(here: Context, state: State) -> None:
    if state.door is not None:
        await state.door.close()
    await here.jobs.close()
    if here.parts is not None:
        await here.parts.close()


async def _stay_ready(here: Context, door: Door, interval: float, stopping: asyncio.Event) -> None:
    """Keep the health status at what a real query says, until the end."""
    ready = False
    while not stopping.is_set():
        try:
            await here.check_ready()
        except BoonArtError as error:
            logger.log(logging.WARNING if ready else logging.DEBUG, "not ready: %s", error)
        except Exception:
            logger.exception("the probing query failed")
        if here.ready != ready:
            ready = here.ready
            await door.set_serving(ready)
            logger.info("ready" if ready else "not ready")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), interval if ready else min(1.0, interval))


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


class GatewayServer(uvicorn.Server):
    """Says NOT_SERVING over gRPC as soon as it is told to stop, so that both doors close at the same time."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish the requests under way."""
        closing = None
        if isinstance(app := self.config.app, FastAPI) and app.state.door is not None:
            closing = asyncio.create_task(app.state.door.close())
        await super().shutdown(sockets)
        if closing is not None:
            await closing


@contextlib.contextmanager
def _metrics(app: FastAPI, serving: ServingSettings | None) -> Iterator[None]:
    """Prometheus's own port, where one is set; `/metrics` is there anyway."""
    if serving is None or not serving.metrics_port:
        yield
        return
    here: Context = app.state.context
    stop = here.metrics.serve(serving.metrics_host, serving.metrics_port)
    try:
        yield
    finally:
        stop()


def serve(settings: Settings, *, announce: Callable[[str], None], serving: ServingSettings | None = None) -> None:
    """Serve until interrupted. The port is taken first, then the models are loaded.

    Args:
        announce: called with the address once searches are answered.
        serving: how to listen for gRPC beside REST, and where Prometheus reads; None leaves both out. The process's
            own logging is then used for all.

    Raises:
        ConfigurationError: a port is taken, or a file of the settings cannot be read.
        BoonArtError: the parts could not be made.
    """
    check_public(settings, KeyFile(settings.keys_file), serving.grpc_host if serving is not None else "")
    listener = _listen(settings.host, settings.port)
    url = local_address(settings.host, settings.port)
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        server.should_exit = True

    app = create_app(
        start=lambda: build(settings, server_url=url),
        on_ready=lambda: announce(url),
        on_failure=fail,
        settings=settings,
        serving=serving,
    )
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS, server_header=False
    )
    if serving is not None:
        # Its messages then go through the root logger, as JSON lines like all others.
        config.log_config = None
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    server = GatewayServer(config)
    # Ctrl-C is how one stops it, so it is no error; uvicorn raises it again after its orderly end.
    with listener, _metrics(app, serving), contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if failures:
        raise failures[0]
