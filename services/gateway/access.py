"""Who may do what: keys with scopes, and how often."""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections import OrderedDict

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boonart.errors import ConfigurationError
from boonart.keys import KeyFile
from boonart.keys import Scope as KeyScope
from boonart.settings import Settings
from boonart_services.gateway import problems

WINDOW = 60.0
"""Seconds over which requests are counted."""
IDENTITIES = 10_000
"""Callers that are remembered; the one seen longest ago is forgotten first."""
OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/static/")
"""What needs no key."""
_WRITES = re.compile(r"/v1/(?:collections/[^/]+/works(?:/delete)?|jobs(?:/.*)?)")


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own and reaches no further."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def anonymous_scope(settings: Settings) -> KeyScope | None:
    """What may be done without a key: on loopback everything, elsewhere what the settings say."""
    if settings.anonymous == "auto":
        return KeyScope.ADMIN if is_loopback(settings.host) else None
    return {"none": None, "search": KeyScope.SEARCH, "all": KeyScope.ADMIN}[settings.anonymous]


def check_public(settings: Settings, keys: KeyFile) -> None:
    """Refuse to listen on a public address where nobody could be let in, or everybody would be by accident.

    Raises:
        ConfigurationError: the address is public, there is no key, and nothing says that none is needed.
    """
    public = settings.anonymous == "auto" and not is_loopback(settings.host)
    if public and not any(key.valid() for key in keys.all()):
        raise ConfigurationError(
            f"{settings.host} can be reached from outside, and there are no API keys.",
            hint="Make one with `boonart keys create NAME`, or say with BOONART_ANONYMOUS=search (or all) that none "
            "is needed.",
            field="host",
        )


class Access:
    """Lets requests through whose key, or address, allows them, as often as is allowed.

    Args:
        anonymous: what may be done without a key, or None for nothing.
        per_minute: requests a minute for each key and each address; 0 for any number.
    """

    def __init__(self, app: ASGIApp, keys: KeyFile, anonymous: KeyScope | None, per_minute: int) -> None:
        self._app = app
        self._keys = keys
        self._anonymous = anonymous
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        given = _given(request)
        key = self._keys.find(given) if given else None
        allowed = key.scope if key is not None else self._anonymous
        needed = scope_of(scope["method"], scope["path"])
        if given and key is None:
            detail = "The API key is unknown, revoked or out of date."
            await self._refuse(request, 401, detail, receive, send)
            return
        if allowed is None:
            detail = "An API key is needed: send it as Authorization: Bearer KEY."
            await self._refuse(request, 401, detail, receive, send)
            return
        if not allowed.includes(needed):
            status = 401 if key is None else 403
            detail = f"This needs a key with the scope {needed.value}."
            await self._refuse(request, status, detail, receive, send)
            return
        headers = {}
        if self._per_minute:
            client = request.client
            identity = f"key {key.id}" if key is not None else f"address {client.host if client else ''}"
            granted, left, reset = self._take(identity)
            headers = {
                "RateLimit-Policy": f'"default";q={self._per_minute};w={WINDOW:.0f}',
                "RateLimit": f'"default";r={int(left)};t={math.ceil(reset)}',
            }
            if not granted:
                headers["Retry-After"] = str(max(1, math.ceil(reset)))
                detail = f"More than {self._per_minute} requests a minute."
                await problems.problem(request, problems.HTTP_KINDS[429], detail, headers=headers)(scope, receive, send)
                return

        async def announced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, announced)

    def _take(self, identity: str) -> tuple[bool, float, float]:
        """Take one of the requests that the caller has left: whether there was one, how many remain, and the seconds
        until another comes back. They come back evenly, so that nobody waits for a minute to turn."""
        now, most = time.monotonic(), float(self._per_minute)
        left, then = self._left.pop(identity, (most, now))
        left = min(most, left + (now - then) * most / WINDOW)
        granted = left >= 1
        left -= granted
        self._left[identity] = (left, now)
        while len(self._left) > IDENTITIES:
            self._left.popitem(last=False)
        return granted, left, max(0.0, 1 - left) * WINDOW / most

    @staticmethod
    async def _refuse(request: Request, status: int, detail: str, receive: Receive, send: Send) -> None:
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        response = problems.problem(request, problems.HTTP_KINDS[status], detail, headers=headers)
        await response(request.scope, receive, send)


def scope_of(method: str, path: str) -> KeyScope:
    """What a request needs: everything that changes a collection as a whole is for admins."""
    if _WRITES.fullmatch(path.rstrip("/")):
        return KeyScope.WRITE
    if path.startswith("/v1/collections") and method not in {"GET", "HEAD"}:
        return KeyScope.ADMIN
    return KeyScope.SEARCH


def _given(request: Request) -> str:
    """The key that a request carries, or ""; never out of its address, which ends up in logs."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    return request.headers.get("x-api-key", "").strip()
