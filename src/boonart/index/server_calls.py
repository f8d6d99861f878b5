"""Calls to a Qdrant server: one client an event loop, tries within a deadline, Qdrant's failures made ours."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    ConfigurationError,
    DeadlineExceeded,
    Overloaded,
    Unavailable,
    WorkIndexError,
)
from boonart.index.server_options import MEMORY, ServerOptions, check_url

logger = logging.getLogger(__name__)

READ_TRIES = 4
"""Tries of a read where Qdrant is away: with their pauses half a second, enough to reach another node."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
COPY_TIMEOUT = 3600.0
"""Seconds for what grows with the collection: 42 GB a million works, read and written once."""
RETRY_AFTER = 2.0
"""Seconds after which a caller may try again once Qdrant is away."""
_MAX_REASON = 300

Result = TypeVar("Result")


class NameTaken(WorkIndexError):
    """Qdrant has a collection or an alias of this name already."""


class Connection:
    """A Qdrant server, or the engine in this process for ":memory:".

    Clients are opened with the first call and belong to its event loop; a later loop gets its own.

    Args:
        url: "http://HOST:6333"; a host with several DNS records is a cluster, and calls are balanced over its nodes.

    Raises:
        ConfigurationError: the address is none, or the authority's certificate cannot be read.
    """

    def __init__(self, url: str, options: ServerOptions) -> None:
        check_url(url)
        self.url = url
        self.in_memory = url == MEMORY
        self.over_grpc = options.prefer_grpc and not self.in_memory
        self._options = options
        self._authority = _read_authority(options)
        self._client: AsyncQdrantClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def read(self, operation: Callable[[AsyncQdrantClient], Awaitable[Result]], collection: str = "") -> Result:
        """Run a call that changes nothing.

        Args:
            operation: gets the client; run again where Qdrant is away.
            collection: what the call is about, for messages.

        Raises:
            Unavailable: Qdrant is down, full or fails.
            DeadlineExceeded: no answer in time.
            CollectionNotFound: no such collection.
            ConfigurationError: Qdrant refuses the API key.
            WorkIndexError: Qdrant refuses the call.
        """
        return await self._call(operation, collection, self._options.timeout, READ_TRIES)

    async def write(self, operation: Callable[[AsyncQdrantClient], Awaitable[Result]], collection: str = "") -> Result:
        """Run a call that changes something and may be repeated; tries on through a restart of Qdrant.

        Raises:
            NameTaken: the name of a new collection is taken, perhaps by an earlier try of this very call.
            BoonArtError: as `read`.
        """
        return await self._call(operation, collection, self._options.write_timeout, tries=0)

    async def copy(self, operation: Callable[[AsyncQdrantClient], Awaitable[Result]], collection: str = "") -> Result:
        """Run a call that copies a whole collection, once: it takes long, and may have been done when it fails.

        Raises:
            BoonArtError: as `read`.
        """
        return await self._call(operation, collection, COPY_TIMEOUT, tries=1)

    async def close(self) -> None:
        """Close the connections of this loop."""
        client, self._client = self._client, None
        if client is not None and (self.in_memory or self._loop is asyncio.get_running_loop()):
            await client.close()

    async def _call(
        self,
        operation: Callable[[AsyncQdrantClient], Awaitable[Result]],
        collection: str,
        timeout: float,
        tries: int,
    ) -> Result:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        pause = FIRST_PAUSE
        attempt = 0
        while True:
            attempt += 1
            try:
                async with asyncio.timeout_at(end):
                    if self.in_memory:
                        # That engine never waits, and others on this loop want to run too.
                        await asyncio.sleep(0)
                    return await operation(self._open())
            except TimeoutError as error:
                raise DeadlineExceeded(
                    f"Qdrant at {self.url} did not answer within {timeout:g} s.", retry_after=RETRY_AFTER
                ) from error
            except BoonArtError:
                raise
            except Exception as error:
                failure = self._translated(error, collection)
                over = attempt == tries or loop.time() + pause >= end
                if not isinstance(failure, Unavailable) or over:
                    raise failure from error
                logger.debug("trying again: %s", failure)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LONGEST_PAUSE)

    def _open(self) -> AsyncQdrantClient:
        loop = asyncio.get_running_loop()
        if self._client is None or (self._loop is not loop and not self.in_memory):
            # A client of an earlier loop, which has ended, can be neither used nor closed in this one.
            self._client = self._make()
            self._loop = loop
        return self._client

    def _make(self) -> AsyncQdrantClient:
        if self.in_memory:
            return AsyncQdrantClient(location=MEMORY)
        # Each call has a deadline of its own, in `_call`; the client's must only not come before it.
        longest = math.ceil(max(self._options.timeout, self._options.write_timeout, COPY_TIMEOUT)) + 1
        rest: dict[str, Any] = {}
        grpc_options = _grpc_options()
        if self._authority is not None:
            rest["verify"] = ssl.create_default_context(cadata=self._authority.decode())
            grpc_options["root_certificates"] = self._authority
        # As a header: given as `api_key`, the client would warn of each connection inside a private network.
        headers = {"api-key": self._options.api_key} if self._options.api_key else None
        return AsyncQdrantClient(
            url=self.url,
            grpc_port=self._options.grpc_port,
            prefer_grpc=self._options.prefer_grpc,
            timeout=longest,
            headers=headers,
            grpc_options=grpc_options,
            pool_size=1 if self._options.prefer_grpc else None,
            check_compatibility=False,
            **rest,
        )

    def _translated(self, error: Exception, collection: str) -> BoonArtError:
        if isinstance(error, grpc.aio.AioRpcError):
            return self._from_status(error.code(), error.details() or "", collection)
        if isinstance(error, UnexpectedResponse):
            return self._from_http(error.status_code or 0, _reason(error), collection)
        if isinstance(error, ResourceExhaustedResponse):
            return Overloaded(f"Qdrant at {self.url} is full: {error}.", retry_after=float(error.retry_after_s))
        if isinstance(error, ResponseHandlingException):
            return self._away(str(error.source) or type(error.source).__name__)
        if isinstance(error, ValueError | NotImplementedError):
            # The engine in this process; over a network the same comes back as a status.
            return self._from_text(str(error), collection)
        return WorkIndexError(f"The call to Qdrant at {self.url} failed: {_short(f'{type(error).__name__}: {error}')}.")

    def _from_status(self, code: grpc.StatusCode, details: str, collection: str) -> BoonArtError:
        status = grpc.StatusCode
        if code is status.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"Qdrant at {self.url} did not answer in time.", retry_after=RETRY_AFTER)
        if code is status.RESOURCE_EXHAUSTED:
            return Overloaded(f"Qdrant at {self.url} is full: {_short(details)}.", retry_after=RETRY_AFTER)
        if code in (status.UNAUTHENTICATED, status.PERMISSION_DENIED):
            return self._refused(details)
        if code in (status.UNAVAILABLE, status.INTERNAL, status.ABORTED, status.CANCELLED):
            return self._away(details)
        return self._from_text(details, collection, found=code is not status.NOT_FOUND)

    def _from_http(self, code: int, reason: str, collection: str) -> BoonArtError:
        if code in (401, 403):
            return self._refused(reason)
        if code == 429:
            return Overloaded(f"Qdrant at {self.url} is full: {reason}.", retry_after=RETRY_AFTER)
        if code == 408:
            return DeadlineExceeded(f"Qdrant at {self.url} did not answer in time.", retry_after=RETRY_AFTER)
        if code >= 500:
            return self._away(reason)
        return self._from_text(reason, collection, found=code != 404)

    def _from_text(self, reason: str, collection: str, *, found: bool = True) -> BoonArtError:
        lowered = reason.lower()
        if "already exists" in lowered:
            return NameTaken(f"Qdrant at {self.url} says: {_short(reason)}.")
        # The engine in this process has no status codes, and says so in its own words.
        if not found or ("collection" in lowered and ("not found" in lowered or "doesn't exist" in lowered)):
            return missing(collection or "?")
        return WorkIndexError(f"Qdrant at {self.url} refuses the call: {_short(reason)}.")

    def _away(self, reason: str) -> Unavailable:
        return Unavailable(
            f"Qdrant at {self.url} is not available: {_short(reason)}.",
            hint="Check that it runs, and its log.",
            retry_after=RETRY_AFTER,
        )

    def _refused(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"Qdrant at {self.url} refuses the API key: {_short(reason)}.",
            hint="Set BOONART_QDRANT_API_KEY_FILE to a file with the key that Qdrant was started with.",
            field="qdrant_api_key",
        )


def missing(collection: str) -> CollectionNotFound:
    """The error for a collection that is not there."""
    return CollectionNotFound(
        f"There is no collection {collection!r}.", hint="`boonart ingest SOURCE --collection NAME` makes one."
    )


def _grpc_options() -> dict[str, Any]:
    # The name `qdrant` may stand for several nodes, and a restarted one may have a new address.
    return {
        "grpc.service_config": json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}),
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": 1000,
        "grpc.max_reconnect_backoff_ms": 1000,
        "grpc.dns_min_time_between_resolutions_ms": 1000,
        "grpc.keepalive_time_ms": 20_000,
        "grpc.keepalive_timeout_ms": 5_000,
        "grpc.enable_retries": 0,
        "grpc.enable_http_proxy": 0,
        "grpc.use_local_subchannel_pool": 1,
    }


def _read_authority(options: ServerOptions) -> bytes | None:
    if options.tls_ca is None:
        return None
    try:
        return options.tls_ca.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The file {options.tls_ca} with Qdrant's certificate authority cannot be read: {error.strerror}.",
            hint="Check its path and permissions.",
            field="qdrant_tls_ca",
        ) from error


def _reason(error: UnexpectedResponse) -> str:
    try:
        found = error.structured()["status"]["error"]
    except (ValueError, KeyError, TypeError):
        found = error.content.decode("utf-8", "replace") or error.reason_phrase
    return _short(str(found))


def _short(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + " …"
