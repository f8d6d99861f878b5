"""A BoonArt in this process: the application that a server runs, spoken to without a network.

There is one way to answer, so a client of this process gets what a client of a server gets. It needs the packages of a
server (extras `encoder`, `embedded` and `gateway`), which is why it is imported only where it is asked for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from boonart.bootstrap import build
from boonart.settings import Settings, read_settings

Result = TypeVar("Result")

PATIENCE = 600.0
"""Seconds that a search may take: there is one caller, and it knows why it waits."""


def own_settings(home: Path | str | None = None, **given: object) -> Settings:
    """The settings of the environment, without what guards a server against callers from outside."""
    place = None if home is None else Path(home).expanduser().resolve()
    return read_settings(home=place, anonymous="all", rate_limit=0, request_deadline=PATIENCE, **given)


class AsyncEmbedded(httpx.AsyncBaseTransport):
    """Answers requests in this process. Loads the models where it is made, which takes seconds."""

    def __init__(self, settings: Settings) -> None:
        from boonart_services.gateway.main import create_app

        self._parts = build(settings)
        self._app = create_app(self._parts)
        self._asgi = httpx.ASGITransport(self._app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        return await self._asgi.handle_async_request(request)

    async def aclose(self) -> None:
        """Stop the jobs and close the parts."""
        await self._app.state.context.jobs.close()
        await self._parts.close()


class Embedded(httpx.BaseTransport):
    """The same for the synchronous client, on an event loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._inner = AsyncEmbedded(settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="boonart-embedded", daemon=True)
        self._thread.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        request.read()
        return self._run(self._answer(request))

    def close(self) -> None:
        """Stop the jobs, close the parts and end the thread; a second time does nothing."""
        if not self._thread.is_alive():
            return
        self._run(self._inner.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        asked = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        response = await self._inner.handle_async_request(asked)
        # As it came, compressed or not: the client that asked unpacks it.
        body = b"".join([part async for part in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, content=body)
