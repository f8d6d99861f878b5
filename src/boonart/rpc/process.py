"""The life of a service's process: listen, load, prove that it works, serve, stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Protocol

import grpc

from boonart.errors import BoonArtError, Overloaded
from boonart.observability import Metrics, configure_logging, configure_tracing
from boonart.rpc.serving import Server
from boonart.rpc.settings import ServingSettings

logger = logging.getLogger(__name__)

EXIT_OK, EXIT_FAILED, EXIT_OUT_OF_MEMORY = 0, 1, 70
PROBE_TIMEOUT = 60.0


class Service(Protocol):
    """What a process serves.

    Attributes:
        name: short, for logs and traces ("encoder").
        full_name: of the gRPC service ("boonart.v1.EncoderService").
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def full_name(self) -> str:
        """See above."""

    def register(self, server: grpc.aio.Server, fail: Callable[[BoonArtError], None]) -> None:
        """Add the servicer, which answers Unavailable until `load` is done.

        Args:
            fail: to be told of an error after which the process should be restarted.
        """

    async def load(self, metrics: Metrics) -> None:
        """Load the model.

        Raises:
            BoonArtError: the process cannot serve.
        """

    async def probe(self) -> None:
        """One real inference; raises where it does not succeed."""

    async def close(self) -> None:
        """Release what `load` took."""


def run_process(service: Service, settings: ServingSettings) -> int:
    """Run the service until SIGTERM or SIGINT; the process's exit status.

    Returns:
        0 after a stop that was asked for, 1 where it cannot serve, 70 where the device has no memory left even for the
        smallest batch: whoever supervises the process then starts it again.
    """
    configure_logging(f"boonart-{service.name}", settings.log_level)
    stop_tracing = configure_tracing(f"boonart-{service.name}", settings.otlp_endpoint)
    try:
        return asyncio.run(serve(service, settings))
    except BoonArtError as error:
        logger.error("cannot serve: %s", error)
        return EXIT_FAILED
    except Exception:
        logger.exception("cannot serve")
        return EXIT_FAILED
    finally:
        stop_tracing()


async def serve(service: Service, settings: ServingSettings) -> int:
    """Serve until told to stop; see `run_process`.

    Raises:
        BoonArtError: the service cannot be started.
    """
    metrics = Metrics()
    stopping, failed = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    def fail(error: BoonArtError) -> None:
        logger.error("stops to be restarted: %s", error)
        failed.set()
        stopping.set()

    server = Server(
        settings,
        [service.full_name],
        lambda target: service.register(target, fail),
        metrics=metrics,
        on_out_of_memory=fail,
    )
    port = await server.start()
    logger.info("listens on %s:%d, loading the model", settings.grpc_host, port)
    stop_metrics = metrics.serve(settings.metrics_host, settings.metrics_port) if settings.metrics_port else None
    ready = asyncio.create_task(_become_ready(service, server, metrics, settings.probe_interval))
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([ready, stopped], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
    finally:
        ready.cancel()
        stopped.cancel()
        await asyncio.wait([ready, stopped])
        logger.info("stopping")
        await server.stop()
        await service.close()
        if stop_metrics is not None:
            await asyncio.to_thread(stop_metrics)
    return EXIT_OUT_OF_MEMORY if failed.is_set() else EXIT_OK


async def _become_ready(service: Service, server: Server, metrics: Metrics, interval: float) -> None:
    """Load, then keep the health status at what a real inference says. Ends only with an error of the load."""
    serving = False
    metrics.watch("ready", "1 after a real inference has succeeded.", lambda: float(serving))
    await service.load(metrics)
    while True:
        succeeded = await _probe(service)
        if succeeded != serving:
            serving = succeeded
            await server.set_serving(serving)
            logger.info("ready" if serving else "not ready")
        await asyncio.sleep(interval if serving else min(1.0, interval))


async def _probe(service: Service) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await service.probe()
    except Overloaded:
        # A full queue is a working one.
        return True
    except Exception:
        logger.exception("the probing inference failed")
        return False
    return True
