"""The time that is left for a request, handed on from the caller to everything that it calls.

A server enters `within` with what the caller left it; a client asks `remaining` for the deadline of its own call.
So a search that the gateway must answer in 10 s never asks an encoder for more than what is left of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from boonart.errors import DeadlineExceeded

_ends_at: ContextVar[float | None] = ContextVar("boonart_deadline", default=None)


def remaining() -> float | None:
    """Seconds left, at least 0, or None where no deadline is set. Call it inside a running event loop."""
    end = _ends_at.get()
    return None if end is None else max(0.0, end - asyncio.get_running_loop().time())


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Cancel the body after `seconds`, or earlier where an outer deadline is nearer.

    Raises:
        DeadlineExceeded: the time is over. Also before the body starts, so that expired work is never begun.
    """
    outer = remaining()
    allowed = seconds if outer is None else min(seconds, outer)
    if allowed <= 0:
        raise DeadlineExceeded("The time allowed was over before the work began.")
    token = _ends_at.set(asyncio.get_running_loop().time() + allowed)
    try:
        async with asyncio.timeout(allowed) as scope:
            yield
    except TimeoutError as error:
        if not scope.expired():
            raise
        raise DeadlineExceeded(
            f"No answer within the {allowed:.2g} s allowed.",
            hint="Try again later, or allow more time.",
            retry_after=2.0,
        ) from error
    finally:
        _ends_at.reset(token)
