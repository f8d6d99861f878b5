"""What every request passes through: an id, a limit on its body, and headers that keep browsers safe."""

from __future__ import annotations

import logging
import re
import uuid

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boonart_services.gateway import problems

logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
REQUEST_ID = "X-Request-Id"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """Gives each request an id, stops bodies that grow too large, adds the security headers, and answers bugs.

    HEAD is answered as GET without the body (RFC 9110, 9.3.2): FastAPI has no routes for it.

    Args:
        most: largest body in bytes, counted while it arrives, so that chunked bodies are stopped too.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        request.state.request_id = request_id
        declared = request.headers.get("content-length", "")
        arrived = int(declared) if declared.isdigit() and int(declared) > self._most else 0
        started = False
        head = scope["method"] == "HEAD"
        # The server looks at the method in its own scope to know that no body will come.
        routed = {**scope, "method": "GET"} if head else scope

        async def counted() -> Message:
            nonlocal arrived
            if arrived <= self._most:
                message = await receive()
                arrived += len(message.get("body", b""))
            if arrived > self._most:
                # Raised where the route reads its body, so that it is answered like every other error.
                raise HTTPException(
                    413, f"The body has more than {self._most / 1e6:,.0f} MB.", headers={"Connection": "close"}
                )
            return message

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update({**HEADERS, REQUEST_ID: request_id})
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(routed, counted, guarded)
            if "route" in routed:
                # What counts the requests around here names them by their route.
                scope["route"] = routed["route"]
        except Exception:
            logger.exception("unexpected error in %s %s", scope["method"], scope["path"])
            if started:
                raise
            detail = "An error that nobody foresaw; the server's log has its details under this request_id."
            response = problems.problem(request, problems.INTERNAL, detail)
            await response(scope, receive, guarded)
