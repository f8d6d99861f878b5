"""Writes that are sent twice and done once: what a request with an `Idempotency-Key` was answered, for a day.

Kept in memory, for this process alone. A failure of this server is not kept, so that the same request may succeed
later.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from boonart.errors import BoonArtError, IdempotencyMismatch, InvalidRequest, RequestInProgress, Unavailable
from boonart_services.gateway import problems

KEPT_SECONDS = 86_400.0
MOST_KEPT = 10_000
"""Answers that are kept; the oldest are forgotten first."""
MAX_KEY = 255
"""Longest key in characters."""
HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
"""Says of an answer that it is the one that was given before."""


@dataclass(slots=True)
class _Kept:
    """A request and how it ended.

    Attributes:
        answer: None while it is under way.
    """

    digest: bytes
    since: float
    answer: object | None = None


class Repeats:
    """The requests with a key that this process remembers."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()

    async def once(
        self, scope: tuple[str, str], key: str, body: bytes, work: Callable[[], Awaitable[Any]]
    ) -> tuple[Any, bool]:
        """The answer of `work`, or the one that the same request was given before; the second value says which.

        Args:
            scope: who asks, and what for; the same key is another one elsewhere.
            body: of the request, with all else that it depends on.

        Raises:
            InvalidRequest: a key that cannot be one.
            IdempotencyMismatch: the key came with another request before.
            RequestInProgress: the same request is being answered.
            BoonArtError: as `work`, or as it did before.
        """
        if not key.isascii() or not key.isprintable() or len(key) > MAX_KEY:
            raise InvalidRequest(f"A key has at most {MAX_KEY} printable ASCII characters.", field="Idempotency-Key")
        place, digest = (*scope, key), hashlib.sha256(body).digest()
        self._forget_old()
        if (known := self._kept.get(place)) is not None:
            return _repeated(known, digest), True
        kept = self._kept[place] = _Kept(digest, time.monotonic())
        try:
            kept.answer = await work()
        except BoonArtError as error:
            if problems.kind_of(error).status >= 500 or isinstance(error, Unavailable):
                self._kept.pop(place, None)
            else:
                kept.answer = error
            raise
        except BaseException:
            self._kept.pop(place, None)
            raise
        return kept.answer, False

    def _forget_old(self) -> None:
        while self._kept:
            place, oldest = next(iter(self._kept.items()))
            if len(self._kept) < MOST_KEPT and time.monotonic() - oldest.since < KEPT_SECONDS:
                return
            del self._kept[place]


def _repeated(known: _Kept, digest: bytes) -> object:
    if known.digest != digest:
        raise IdempotencyMismatch(
            "The key came with another request before.", hint="Take a new key.", field="Idempotency-Key"
        )
    if known.answer is None:
        raise RequestInProgress("The same request is being answered.", hint="Send it again a little later.")
    if isinstance(known.answer, BoonArtError):
        raise known.answer.with_traceback(None)
    return known.answer


@dataclass(frozen=True, slots=True)
class _Answered:
    """An answer as the route gave it; those that it passes on its way write their own headers into it."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class RepeatableRoute(APIRoute):
    """A route whose writes are done once for each `Idempotency-Key`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind what is remembered."""
        answer = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER, "").strip()
            if request.method == "GET" or not key:
                return await answer(request)
            repeats: Repeats = request.app.state.context.repeats
            scope = (getattr(request.state, "caller", ""), f"{request.method} {request.url.path}")
            body = b"\0".join((request.url.query.encode(), await request.body()))

            async def work() -> _Answered:
                given = await answer(request)
                return _Answered(given.status_code, bytes(given.body), tuple(given.raw_headers))

            answered, replayed = await repeats.once(scope, key, body, work)
            response = Response(answered.body, answered.status)
            response.raw_headers = [*answered.headers]
            if replayed:
                response.headers[REPLAYED] = "true"
            return response

        return once


def _described(
    idempotency_key: Annotated[
        str,
        Header(
            max_length=MAX_KEY,
            description="Chosen by the client, such as a UUID: the same request with the same key is done once, within "
            "a day.",
        ),
    ] = "",
) -> None:
    """What `RepeatableRoute` heeds, for the description."""


REPEATABLE = Depends(_described)
