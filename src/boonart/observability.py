"""Logs, metrics and traces of a serving process.

Light: OpenTelemetry and Prometheus are used where they are installed and left out where they are not, so that the
inner rooms may open a span without depending on either. Nothing is sent anywhere unless an exporter is set.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from boonart.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

try:
    from opentelemetry import context as otel_context
    from opentelemetry import propagate, trace
except ImportError:
    _TRACES = False
else:
    _TRACES = True

_TRACER = "boonart"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histograms' buckets, in seconds."""
_QUIET = ("httpx", "httpcore", "grpc")


# --- traces ----------------------------------------------------------------------------------------------


@contextmanager
def span(name: str, **attributes: str | int | float | bool) -> Iterator[None]:
    """A span around the body, a child of the current one. An exception marks it as failed."""
    if not _TRACES:
        yield
        return
    with trace.get_tracer(_TRACER).start_as_current_span(name, attributes=attributes):
        yield


@contextmanager
def continued(headers: Mapping[str, str], name: str) -> Iterator[None]:
    """A server's span that continues the trace of the caller's headers (W3C `traceparent`)."""
    if not _TRACES:
        yield
        return
    tracer = trace.get_tracer(_TRACER)
    with tracer.start_as_current_span(name, context=propagate.extract(dict(headers)), kind=trace.SpanKind.SERVER):
        yield


def rename_span(name: str) -> None:
    """Give the current span the name that is known only now, such as that of the route that a request took."""
    if _TRACES:
        trace.get_current_span().update_name(name)


def trace_headers() -> dict[str, str]:
    """Headers that let the called process continue the current trace."""
    headers: dict[str, str] = {}
    if _TRACES:
        propagate.inject(headers)
    return headers


def trace_id() -> str:
    """The current trace's id, 32 hex digits, or "" outside of any."""
    if not _TRACES:
        return ""
    found = trace.get_current_span(otel_context.get_current()).get_span_context()
    return format(found.trace_id, "032x") if found.is_valid else ""


def configure_tracing(service: str, endpoint: str = "") -> Callable[[], None]:
    """Give this process traces; once, at its start.

    Args:
        service: name under which its spans appear.
        endpoint: address of an OTLP gRPC collector ("http://collector:4317"), or "" to send nothing; trace ids are
            then still made, for the logs.

    Returns:
        What to call at the end, so that the last spans are sent.
    """
    if not _TRACES:
        return _nothing
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    if endpoint:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"), timeout=5)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def _nothing() -> None:
    pass


# --- logs ------------------------------------------------------------------------------------------------


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, service, and trace_id and exception where there are any."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
        }
        if found := trace_id():
            line["trace_id"] = found
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(service: str, level: str = "INFO") -> None:
    """Write this process's logs to standard error as JSON lines; once, at its start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


# --- metrics ---------------------------------------------------------------------------------------------


class Metrics:
    """The Prometheus metrics of one process, in a registry of their own. Needs `prometheus_client`.

    All names begin with `boonart_`; times are in seconds.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        self._requests = Counter(
            "boonart_requests", "Calls answered, by method and result.", ["method", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "boonart_request_seconds", "Time to answer a call.", ["method"], buckets=SECONDS, registry=self.registry
        )
        self._running = Gauge("boonart_requests_running", "Calls under way.", registry=self.registry)
        self._stages = Histogram(
            "boonart_stage_seconds", "Time of a search's stage.", ["stage"], buckets=SECONDS, registry=self.registry
        )
        self._degraded = Counter(
            "boonart_degraded", "Answers that were given without a stage.", ["stage"], registry=self.registry
        )

    @contextmanager
    def request(self, method: str | Callable[[], str]) -> Iterator[Callable[[str], None]]:
        """Count and time one call; the body tells its result ("ok", or the code of an error) to what it is given.

        Args:
            method: its name, or what gives it once the call is over.
        """
        start = time.perf_counter()
        code = "cancelled"

        def set_code(value: str) -> None:
            nonlocal code
            code = value

        self._running.inc()
        try:
            yield set_code
        finally:
            self._running.dec()
            name = method if isinstance(method, str) else method()
            self._requests.labels(name, code).inc()
            self._seconds.labels(name).observe(time.perf_counter() - start)

    def answer(self, stages: Mapping[str, float], degraded: Iterable[str]) -> None:
        """Record an answer's stages (milliseconds by name) and what was left out."""
        for stage, milliseconds in stages.items():
            self._stages.labels(stage).observe(milliseconds / 1000)
        for stage in degraded:
            self._degraded.labels(stage).inc()

    def watch(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A gauge `boonart_<name>` that is read when somebody asks, such as a queue's depth."""
        from prometheus_client import Gauge

        Gauge(f"boonart_{name}", meaning, registry=self.registry).set_function(read)

    def text(self) -> str:
        """All metrics in Prometheus's text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry).decode()

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve them over HTTP in a thread; returns what ends it.

        Raises:
            ConfigurationError: the address is taken or not of this machine.
        """
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise ConfigurationError(
                f"The metrics cannot be served on {host}:{port}: {error.strerror or error}.",
                hint="Another process may use the port: set BOONART_METRICS_PORT, or 0 for none.",
                field="metrics_port",
            ) from error

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
