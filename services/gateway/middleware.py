"""What every request passes through: an id, a limit on its body, and headers that keep browsers safe."""

from __future__ import annotations

import json
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boonart_services.gateway.problems import MEDIA_TYPE, TYPE_BASE

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
HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class BodyTooLargeError(Exception):
    """More bytes than allowed have arrived."""


class Guard:
    """Gives each request an id, stops bodies that grow too large, and adds the security headers.

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
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        arrived = 0
        started = False

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._most:
                raise BodyTooLargeError
            return message

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], *HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if declared.isdigit() and int(declared) > self._most:
                raise BodyTooLargeError
            await self._app(scope, counted, guarded)
        except BodyTooLargeError:
            if not started:
                await self._refuse(scope, guarded, request_id)

    async def _refuse(self, scope: Scope, send: Send, request_id: str) -> None:
        body = {
            "type": f"{TYPE_BASE}body-too-large",
            "title": "The body is too large",
            "status": 413,
            "detail": f"The body has more than {self._most / 1e6:,.0f} MB.",
            "instance": scope["path"],
            "code": "body-too-large",
            "request_id": request_id,
        }
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})
