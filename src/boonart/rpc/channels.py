"""Calls to the replicas of one service: credentials, balancing, deadlines, retries."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import grpc

from boonart.errors import BoonArtError, ConfigurationError, DeadlineExceeded, Unavailable
from boonart.observability import trace_headers
from boonart.rpc.addresses import Address
from boonart.rpc.deadlines import remaining
from boonart.rpc.status import from_call

CONTRACT_VERSION = 1
CONTRACT_HEADER = "boonart-contract"
MIB = 1024 * 1024
MAX_MESSAGE_BYTES = 72 * MIB
"""Largest message: a picture file of 64 MiB with room for what is around it."""
ATTEMPTS = 4
"""Tries of a call where the peer is away; together their pauses last about half a second."""
FIRST_PAUSE = 0.1

BLOCKING_TRY = 5.0
"""Seconds that one try of a call gets while a process starts."""

Stub = TypeVar("Stub")
Request = TypeVar("Request")
Response = TypeVar("Response")
Request_contra = TypeVar("Request_contra", contravariant=True)
Response_co = TypeVar("Response_co", covariant=True)
Metadata = tuple[tuple[str, str], ...]
Stub_co = TypeVar("Stub_co", covariant=True)


class MakeStub(Protocol[Stub_co]):
    """Makes the stub of a service on an asynchronous channel."""

    def __call__(self, channel: grpc.aio.Channel, /) -> Stub_co:
        """The stub."""


class Method(Protocol[Request_contra, Response_co]):
    """One method of a stub on an asynchronous channel."""

    def __call__(
        self, request: Request_contra, /, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Awaitable[Response_co]:
        """Call it."""


class BlockingMethod(Protocol[Request_contra, Response_co]):
    """One method of a stub on a blocking channel."""

    def __call__(
        self, request: Request_contra, /, *, timeout: float | None = None, metadata: Metadata | None = None
    ) -> Response_co:
        """Call it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows and asks for.

    Attributes:
        token: shared secret, or "".
        authority: PEM of the certificates that the peer's is checked against; None takes the system's.
        certificate, key: PEM of the client's own, for mutual TLS.
    """

    token: str = ""
    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    def __repr__(self) -> str:
        return f"Credentials(token={'***' if self.token else ''!r}, tls={self.certificate is not None})"

    @classmethod
    def read(
        cls,
        *,
        token_file: Path | None = None,
        authority: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> Credentials:
        """From files, each left out where it is None.

        Raises:
            ConfigurationError: a file that cannot be read, or a certificate without its key.
        """
        if (certificate is None) != (key is None):
            raise ConfigurationError(
                "A client's certificate and its key belong together; only one of them is set.",
                hint="Set BOONART_TLS_CLIENT_CERTIFICATE and BOONART_TLS_CLIENT_KEY, or neither.",
            )
        return cls(
            token=read_token(token_file),
            authority=read_secret(authority, "the certificate authority") if authority else None,
            certificate=read_secret(certificate, "the client's certificate") if certificate else None,
            key=read_secret(key, "the client's key") if key else None,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """For a TLS channel."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """How channels behave.

    Attributes:
        max_message_bytes: largest message in either direction.
        keepalive: seconds after which a silent connection is asked whether it lives.
        keepalive_timeout: seconds that it may take to answer.
        max_reconnect_pause: longest pause between tries to connect, in seconds.
    """

    max_message_bytes: int = MAX_MESSAGE_BYTES
    keepalive: float = 15.0
    keepalive_timeout: float = 5.0
    max_reconnect_pause: float = 1.0

    def arguments(self) -> list[tuple[str, int | str]]:
        """As gRPC takes them."""
        pause = round(1000 * self.max_reconnect_pause)
        return [
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", round(1000 * self.keepalive)),
            ("grpc.keepalive_timeout_ms", round(1000 * self.keepalive_timeout)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.initial_reconnect_backoff_ms", min(100, pause)),
            # Also the least time that one try to connect gets; gRPC's own 20 s outlast a restart of the peer.
            ("grpc.min_reconnect_backoff_ms", pause),
            ("grpc.max_reconnect_backoff_ms", pause),
            # A restarted container may have a new address.
            ("grpc.dns_min_time_between_resolutions_ms", pause),
            ("grpc.enable_retries", 0),
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]


class Peer(Generic[Stub]):
    """The replicas of one service. Channels are opened with the first call and belong to its event loop.

    Args:
        kind: what the service is, for messages ("encoder").
        make_stub: the generated stub class.
    """

    def __init__(
        self,
        kind: str,
        address: Address,
        make_stub: MakeStub[Stub],
        *,
        credentials: Credentials | None = None,
        options: ChannelOptions | None = None,
    ) -> None:
        self.name = f"{kind} at {address.text}"
        self._address = address
        self._make_stub = make_stub
        self._credentials = credentials or Credentials()
        self._options = options or ChannelOptions()
        self._channels: list[grpc.aio.Channel] = []
        self._stubs: list[Stub] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = 0

    @property
    def max_message_bytes(self) -> int:
        """Largest message that may be sent."""
        return self._options.max_message_bytes

    async def call(
        self, method: Callable[[Stub], Method[Request, Response]], request: Request, timeout: float
    ) -> Response:
        """Call one replica after the other until one answers or the time is over.

        All methods of the contracts may be repeated: they change nothing.

        Args:
            method: picks the method of a stub.
            timeout: seconds, less where the request's own deadline is nearer.

        Raises:
            Unavailable: no replica can be reached.
            DeadlineExceeded: no answer in time.
            BoonArtError: what the peer answered.
        """
        loop = asyncio.get_running_loop()
        left = remaining()
        end = loop.time() + (timeout if left is None else min(timeout, left))
        stubs = self._open(loop)
        attempt = 0
        while True:
            attempt += 1
            allowed = end - loop.time()
            if allowed <= 0:
                raise DeadlineExceeded(f"The time allowed was over before the {self.name} was asked.")
            self._next = (self._next + 1) % len(stubs)
            try:
                return await method(stubs[self._next])(request, timeout=allowed, metadata=self.metadata())
            except grpc.aio.AioRpcError as error:
                failure = from_call(error, self.name)
                pause = self._pause(attempt, error, failure)
                if pause is None or loop.time() + pause >= end:
                    raise failure from error
            await asyncio.sleep(pause)

    def call_blocking(
        self, method: Callable[[grpc.Channel], BlockingMethod[Request, Response]], request: Request, timeout: float
    ) -> Response:
        """Call from outside of an event loop, waiting for the peer to come up.

        Raises:
            Unavailable: the peer did not come up in time.
            BoonArtError: what the peer answered.
        """
        end = time.monotonic() + timeout
        position = 0
        while True:
            target = self._address.targets[position % len(self._address.targets)]
            position += 1
            try:
                with self._blocking_channel(target) as channel:
                    left = max(0.1, min(end - time.monotonic(), BLOCKING_TRY))
                    return method(channel)(request, timeout=left, metadata=self.metadata())
            except grpc.RpcError as error:
                failure = from_call(error, self.name)
                if not isinstance(failure, Unavailable) or time.monotonic() + 2 * FIRST_PAUSE >= end:
                    raise failure from error
            time.sleep(2 * FIRST_PAUSE)

    def metadata(self) -> Metadata:
        """What goes with every call: contract version, token, trace."""
        headers = {CONTRACT_HEADER: str(CONTRACT_VERSION), **trace_headers()}
        if self._credentials.token:
            headers["authorization"] = f"Bearer {self._credentials.token}"
        return tuple(headers.items())

    async def close(self) -> None:
        """Close the connections."""
        channels, self._channels, self._stubs, self._loop = self._channels, [], [], None
        for channel in channels:
            await channel.close()

    def _open(self, loop: asyncio.AbstractEventLoop) -> list[Stub]:
        if self._loop is not loop:
            # Channels of an earlier loop, which has ended, cannot be used or closed in this one.
            self._channels = [self._channel(target) for target in self._address.targets]
            self._stubs = [self._make_stub(channel) for channel in self._channels]
            self._loop = loop
        return self._stubs

    def _channel(self, target: str) -> grpc.aio.Channel:
        arguments = self._options.arguments()
        if self._address.secure:
            return grpc.aio.secure_channel(target, self._credentials.channel_credentials(), arguments)
        return grpc.aio.insecure_channel(target, arguments)

    def _blocking_channel(self, target: str) -> grpc.Channel:
        arguments = self._options.arguments()
        if self._address.secure:
            return grpc.secure_channel(target, self._credentials.channel_credentials(), arguments)
        return grpc.insecure_channel(target, arguments)

    def _pause(self, attempt: int, error: grpc.aio.AioRpcError, failure: BoonArtError) -> float | None:
        """Seconds before the next try, or None where there is none."""
        if error.code() is not grpc.StatusCode.UNAVAILABLE or not isinstance(failure, Unavailable):
            return None
        others = len(self._address.targets) - 1
        if attempt <= others:
            return 0.0
        if attempt - others >= ATTEMPTS:
            return None
        return FIRST_PAUSE * 2.0 ** (attempt - others - 1) * random.uniform(0.5, 1.0)


def read_secret(path: Path, what: str) -> bytes:
    """Bytes of a file with a secret or a certificate.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The file {path} with {what} cannot be read: {error.strerror}.", hint="Check its path and permissions."
        ) from error


def read_token(path: Path | None) -> str:
    """The shared token in a file, without the line's end, or "" where there is no file.

    Raises:
        ConfigurationError: it cannot be read, is empty, or holds more than visible ASCII.
    """
    if path is None:
        return ""
    token = read_secret(path, "the token").decode("utf-8", "replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigurationError(
            f"The file {path} holds no token of visible ASCII characters.",
            hint="Make one: openssl rand -hex 32 > FILE",
        )
    return token


def software_version() -> str:
    """Version of BoonArt in this process."""
    return version("boonart")


def check_contract(contract: int, software: str, peer: str) -> None:
    """Refuse a peer that speaks another version of the contract.

    Raises:
        ConfigurationError: says who speaks which.
    """
    if contract != CONTRACT_VERSION:
        raise ConfigurationError(
            f"The {peer} speaks version {contract or 'unknown'} of the contract (software {software or 'unknown'}); "
            f"this process speaks version {CONTRACT_VERSION}.",
            hint="Run the same version of BoonArt on both sides.",
        )
