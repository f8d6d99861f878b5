"""The asynchronous client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from boonart.client import protocol
from boonart.client.protocol import Picture
from boonart.client.results import FoundWork, Page, to_facets, to_page


class AsyncClient:
    """A client of a BoonArt server; close it, or use it in an `async with` block.

    Idempotent requests are tried again, with pauses, where the server is away or full.

    Args:
        base_url: where the server is.
        api_key: where it asks for one.
        retries: tries after the first.
        timeout: seconds that one try may take; None for any time.
        transport: instead of the network, for tests.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str = "",
        retries: int = 2,
        timeout: float | None = protocol.TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._pictures_at = "" if self.base_url == protocol.EMBEDDED else self.base_url
        self._retries = retries
        self._http = httpx.AsyncClient(
            base_url=self.base_url, headers=protocol.headers(api_key), timeout=timeout, transport=transport
        )

    @classmethod
    def embedded(cls, home: Path | str | None = None) -> Self:
        """A client that needs no server: requests are answered in this process, by the collections of a folder.

        Loads the models, which takes seconds. Hits have no addresses of pictures; `picture` gives their bytes.

        Args:
            home: the folder, that of `BOONART_HOME` by default.

        Raises:
            IndexLocked: when a collection is used that a running server has open.
            ModelNotAvailable: weights that are not on this machine.
        """
        from boonart.client.embedded import AsyncEmbedded, own_settings

        return cls(protocol.EMBEDDED, retries=0, timeout=None, transport=AsyncEmbedded(own_settings(home)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(
        self,
        text: str = "",
        *,
        image: Picture | None = None,
        like: str = "",
        query: Sequence[Mapping[str, Any]] = (),
        collection: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        **options: Any,
    ) -> Page:
        """One page of hits.

        Args:
            text: what to look for.
            image: a picture to search with: a path, or a file's bytes.
            like: id of a work to find similar ones to.
            query: several of these with weights: `[{"like": "n1"}, {"text": "snow", "weight": 0.5}]`.
            options: any other field of `POST /v1/search`, such as mode, facets, explain, and filter: a tree, or a
                text such as 'artist = "John Constable" and year >= 1800'.

        Raises:
            InvalidQuery: nothing to search with, or what the server refuses.
            Unavailable: the server is away.
        """
        given = {"collection": collection, "limit": limit, "cursor": cursor, **options}
        body = protocol.search_body(text, image, like, query, given)
        return to_page(await self._request("POST", "/v1/search", json=body), self._pictures_at)

    async def search_pages(self, text: str = "", **given: Any) -> AsyncIterator[Page]:
        """The pages of a search, one by one as they are needed; arguments as `search`."""
        cursor: str | None = given.pop("cursor", None)
        while True:
            page = await self.search(text, cursor=cursor, **given)
            yield page
            if not page.next_cursor:
                return
            cursor = page.next_cursor

    async def search_all(self, text: str = "", **given: Any) -> AsyncIterator[FoundWork]:
        """All hits, page by page as they are needed; arguments as `search`."""
        async for page in self.search_pages(text, **given):
            for hit in page:
                yield hit

    async def facets(
        self, *fields: str, collection: str = "", filter: Mapping[str, Any] | str = ""
    ) -> Mapping[str, tuple[tuple[str | int | bool, int], ...]]:
        """The values of fields, with how many of the works that the filter lets pass hold each, most first."""
        asked = {"field": list(fields), **protocol.within(collection), **protocol.narrowed(filter)}
        return to_facets((await self._request("GET", "/v1/facets", params=asked))["facets"])

    async def work(self, work_id: str, *, collection: str = "") -> dict[str, Any]:
        """A work with all its fields."""
        path = f"/v1/works/{quote(work_id, safe='')}"
        found: dict[str, Any] = await self._request("GET", path, params=protocol.within(collection))
        return found

    async def picture(self, work_id: str, *, collection: str = "", thumbnail: bool = False) -> bytes:
        """A work's picture as a file's bytes."""
        form = "thumbnail" if thumbnail else "image"
        response = await self._send(
            "GET", f"/v1/works/{quote(work_id, safe='')}/{form}", params=protocol.within(collection)
        )
        if not response.is_success:
            protocol.read(response)
        return response.content

    async def collections(self) -> list[dict[str, Any]]:
        """All collections."""
        found: list[dict[str, Any]] = (await self._request("GET", "/v1/collections"))["collections"]
        return found

    async def collection(self, name: str) -> dict[str, Any]:
        """A collection in full: works, models, size, fields."""
        found: dict[str, Any] = await self._request("GET", f"/v1/collections/{quote(name, safe='')}")
        return found

    async def limits(self) -> dict[str, int | float]:
        """How much the server takes at once; see `Client.limits`."""
        found: dict[str, int | float] = await self._request("GET", "/v1/limits")
        return found

    async def create_collection(self, name: str) -> dict[str, Any]:
        """Make an empty collection."""
        made: dict[str, Any] = await self._request("POST", "/v1/collections", json={"name": name}, again=False)
        return made

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with its works and pictures, for good."""
        await self._request("DELETE", f"/v1/collections/{quote(name, safe='')}", params={"confirm": name}, again=False)

    async def upsert(
        self, collection: str, works: Iterable[Mapping[str, Any]], *, wait: bool = True
    ) -> AsyncIterator[dict[str, Any]]:
        """Store works, a request for some at a time; the job of each request as it is done.

        Args:
            works: records as `POST /v1/collections/NAME/works` takes them; `image` is a path or a file's bytes. They
                are read as they are needed, so there may be any number.
            wait: False gives each job as it begins, for `follow_job`.
        """
        path = f"/v1/collections/{quote(collection, safe='')}/works"
        for batch in protocol.batches(works):
            waiting = [batch]
            while waiting:
                part = waiting.pop(0)
                response = await self._send("POST", path, json={"works": part, "wait": wait}, timeout=None)
                if response.status_code == protocol.TOO_LARGE and len(part) > 1:
                    # This server takes less at once than most do.
                    waiting[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                job: dict[str, Any] = protocol.read(response)
                yield job

    async def jobs(self) -> list[dict[str, Any]]:
        """The jobs that the server remembers, the newest first."""
        found: list[dict[str, Any]] = (await self._request("GET", "/v1/jobs"))["jobs"]
        return found

    async def job(self, job_id: str) -> dict[str, Any]:
        """A job, as it stands."""
        found: dict[str, Any] = await self._request("GET", f"/v1/jobs/{quote(job_id, safe='')}")
        return found

    async def cancel_job(self, job_id: str) -> dict[str, Any]:
        """Stop a job; works that are stored stay."""
        job: dict[str, Any] = await self._request("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")
        return job

    async def follow_job(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """The job as it stands after each of its events, until it is over. Leaving stops nothing."""
        path, events = f"/v1/jobs/{quote(job_id, safe='')}/events", protocol.JobEvents()
        attempt = 0
        while not events.over:
            try:
                async with self._http.stream("GET", path, headers=events.headers, timeout=None) as response:
                    if not response.is_success:
                        await response.aread()
                        protocol.read(response)
                    async for line in response.aiter_lines():
                        if (job := events.read(line)) is not None:
                            attempt = 0
                            yield job
            except httpx.TransportError as error:
                if attempt == self._retries:
                    raise protocol.unreachable(self.base_url, error) from error
            if not events.over:
                await asyncio.sleep(protocol.wait_before(attempt, None))
                attempt = min(attempt + 1, self._retries)

    async def delete_works(self, collection: str, ids: Sequence[str]) -> int:
        """Delete works; how many of them there were."""
        path = f"/v1/collections/{quote(collection, safe='')}/works/delete"
        return int((await self._request("POST", path, json={"ids": list(ids)}))["deleted"])

    async def _request(self, method: str, path: str, *, again: bool = True, **given: Any) -> Any:
        return protocol.read(await self._send(method, path, again=again, **given))

    async def _send(self, method: str, path: str, *, again: bool = True, **given: Any) -> httpx.Response:
        for attempt in range(self._retries + 1):
            last = attempt == self._retries or not again
            response: httpx.Response | None = None
            try:
                response = await self._http.request(method, path, **given)
                if last or response.status_code not in protocol.RETRIED:
                    return response
            except httpx.TransportError as error:
                if last:
                    raise protocol.unreachable(self.base_url, error) from error
            await asyncio.sleep(protocol.wait_before(attempt, response))
        raise AssertionError("the last try returns or raises")
