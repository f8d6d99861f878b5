"""What every HTTP request leaves behind: a span, counts and times, a line in the log."""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boonart.observability import Metrics, continued, rename_span

logger = logging.getLogger(__name__)

UNSEEN = ("/healthz", "/readyz", "/metrics", "/static/")
"""What probes and browsers ask all the time; it would hide the searches in every figure."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_TRACE_HEADERS = ("traceparent", "tracestate")


class Observed:
    """Continues the caller's trace, counts by route and status, and logs each request without what was asked.

    Args:
        metrics: where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(UNSEEN):
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.perf_counter()
        with (
            continued({name: headers[name] for name in _TRACE_HEADERS if name in headers}, method),
            self._metrics.request(lambda: f"{method} {_route(scope)}") as set_code,
        ):
            try:
                await self._app(scope, receive, noted)
            finally:
                if status:
                    set_code(str(status))
                rename_span(f"{method} {_route(scope)}")
                logger.info("%s %s %s in %.0f ms", method, _route(scope), status, 1000 * (time.perf_counter() - start))


def _route(scope: Scope) -> str:
    """The route's template: a name that does not grow with the works that are asked for."""
    return str(getattr(scope.get("route"), "path", "elsewhere"))
