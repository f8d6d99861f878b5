"""Who may do what: keys with scopes, and how often."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import re
import time
from collections import OrderedDict
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boonart.errors import BoonArtError, ConfigurationError, Forbidden, RateLimited, Unauthenticated
from boonart.keys import ApiKey, KeyFile
from boonart.keys import Scope as KeyScope
from boonart.settings import Settings
from boonart_services.gateway import problems

WINDOW = 60.0
"""Seconds over which requests are counted."""
IDENTITIES = 10_000
"""Callers that are remembered; the one seen longest ago is forgotten first."""
OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/static/")
"""What needs no key."""
ADMIN_PAGE = "/admin"
_WRITES = re.compile(r"/v1/(?:collections/[^/]+/works(?:/delete)?|jobs(?:/.*)?)")


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own and reaches no further."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def anonymous_scope(settings: Settings, host: str = "") -> KeyScope | None:
    """What may be done without a key: on loopback everything, elsewhere what the settings say.

    Args:
        host: where the door listens; REST's by default.
    """
    if settings.anonymous == "auto":
        return KeyScope.ADMIN if is_loopback(host or settings.host) else None
    return {"none": None, "search": KeyScope.SEARCH, "all": KeyScope.ADMIN}[settings.anonymous]


def check_public(settings: Settings, keys: KeyFile, grpc_host: str = "") -> None:
    """Refuse to listen on a public address where nobody could be let in, or everybody would be by accident.

    Args:
        grpc_host: where gRPC listens, or "" where it does not.

    Raises:
        ConfigurationError: an address is public, there is no key, and nothing says that none is needed.
    """
    for name, host in (("host", settings.host), ("grpc_host", grpc_host)):
        public = bool(host) and settings.anonymous == "auto" and not is_loopback(host)
        if public and not any(key.valid() for key in keys.all()):
            raise ConfigurationError(
                f"{host} can be reached from outside, and there are no API keys.",
                hint="Make one with `boonart keys create NAME`, or say with BOONART_ANONYMOUS=search (or all) that "
                "none is needed.",
                field=name,
            )


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left.

    Attributes:
        per_minute: requests a minute; 0 for any number.
        caller: who it is: a key or an address.
        granted: this request is one of them.
        left: how many remain.
        reset: seconds until another comes back.
    """

    per_minute: int
    caller: str = ""
    granted: bool = True
    left: float = 0.0
    reset: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """The same in the words of the draft standard, for HTTP."""
        if not self.per_minute:
            return {}
        return {
            "RateLimit-Policy": f'"default";q={self.per_minute};w={WINDOW:.0f}',
            "RateLimit": f'"default";r={int(self.left)};t={math.ceil(self.reset)}',
        }

    def check(self) -> None:
        """Refuse a request that is one too many.

        Raises:
            RateLimited: with the seconds to wait.
        """
        if not self.granted:
            raise RateLimited(f"More than {self.per_minute} requests a minute.", retry_after=math.ceil(self.reset))


class Rules:
    """Which keys there are and what they allow, for every door alike.

    Args:
        per_minute: requests a minute for each key and each address, over all doors; 0 for any number.
    """

    def __init__(self, keys: KeyFile, per_minute: int) -> None:
        self._keys = keys
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, given: str, needed: KeyScope, anonymous: KeyScope | None, address: str) -> Allowance:
        """Look at the key of a request and take the request from what its caller has left.

        Raises:
            Unauthenticated, Forbidden: as `check`.
            RateLimited: not allowed, and too often: who tries out keys is counted by address.
        """
        try:
            key = self.check(given, needed, anonymous)
        except (Unauthenticated, Forbidden):
            self.take(None, address).check()
            raise
        if key is not None:
            self._keys.note_use(key.id)
        return self.take(key, address)

    def check(self, given: str, needed: KeyScope, anonymous: KeyScope | None) -> ApiKey | None:
        """The key of a request, None where there is none and none is needed.

        Args:
            given: the key that the request carries, or "".
            anonymous: what may be done without a key, or None for nothing.

        Raises:
            Unauthenticated: no key, or one that is not valid.
            Forbidden: the key does not have the scope that is needed.
        """
        key = self._keys.find(given) if given else None
        if given and key is None:
            raise Unauthenticated("The API key is unknown, revoked or out of date.")
        allowed = key.scope if key is not None else anonymous
        if allowed is None:
            raise Unauthenticated("An API key is needed: send it as Authorization: Bearer KEY.")
        if not allowed.includes(needed):
            kind = Unauthenticated if key is None else Forbidden
            raise kind(f"This needs a key with the scope {needed.value}.")
        return key

    def take(self, key: ApiKey | None, address: str) -> Allowance:
        """Take one of the requests that the caller has left. They come back evenly, so that nobody waits for a minute
        to turn."""
        identity = f"key {key.id}" if key is not None else f"address {address}"
        if not self._per_minute:
            return Allowance(0, identity)
        now, most = time.monotonic(), float(self._per_minute)
        left, then = self._left.pop(identity, (most, now))
        left = min(most, left + (now - then) * most / WINDOW)
        granted = left >= 1
        left -= granted
        self._left[identity] = (left, now)
        while len(self._left) > IDENTITIES:
            self._left.popitem(last=False)
        return Allowance(self._per_minute, identity, granted, left, max(0.0, 1 - left) * WINDOW / most)


class Access:
    """Lets HTTP requests through whose key, or address, allows them, as often as is allowed.

    Args:
        anonymous: what may be done without a key, or None for nothing.
    """

    def __init__(self, app: ASGIApp, rules: Rules, anonymous: KeyScope | None) -> None:
        self._app = app
        self._rules = rules
        self._anonymous = anonymous

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN) or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        headers: dict[str, str] = {}
        # A browser asks its user for a name and a password where it is told to, and sends the password as the key.
        for_people = is_admin_page(scope["path"])
        try:
            given = _given(request, basic=for_people)
            address = request.client.host if request.client else ""
            needed = scope_of(scope["method"], scope["path"])
            allowance = self._rules.admit(given, needed, self._anonymous, address)
            headers = allowance.headers
            request.state.caller = allowance.caller
            allowance.check()
        except BoonArtError as error:
            response = problems.from_error(request, error, headers=headers)
            if for_people and isinstance(error, Unauthenticated):
                response.headers["WWW-Authenticate"] = 'Basic realm="BoonArt", charset="UTF-8"'
            await response(scope, receive, send)
            return

        async def announced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, announced)


def is_admin_page(path: str) -> bool:
    """Whether it is the page for the person who runs the server, or something on it."""
    return path == ADMIN_PAGE or path.startswith(f"{ADMIN_PAGE}/")


def scope_of(method: str, path: str) -> KeyScope:
    """What a request needs: everything that changes a collection as a whole is for admins."""
    if _WRITES.fullmatch(path.rstrip("/")):
        return KeyScope.WRITE
    if is_admin_page(path):
        return KeyScope.ADMIN
    if path.startswith("/v1/collections") and method not in {"GET", "HEAD"}:
        return KeyScope.ADMIN
    return KeyScope.SEARCH


def bearer(authorization: str) -> str:
    """The key in an `Authorization` header, or ""; a key is never in an address, which ends up in logs."""
    kind, _, value = authorization.partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def _given(request: Request, *, basic: bool) -> str:
    """The key that a request carries, or "".

    Args:
        basic: it may be the password of HTTP Basic (RFC 7617), whatever the name beside it.
    """
    authorization = request.headers.get("authorization", "")
    kind, _, value = authorization.partition(" ")
    if basic and kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            # Given, and certainly no key.
            return value.strip() or "-"
    return bearer(authorization) or request.headers.get("x-api-key", "").strip()
