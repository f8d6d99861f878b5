"""Servers of the contracts: who is let in, deadlines, errors, health, reflection, start and stop."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from boonart.errors import BoonArtError, ConfigurationError, OutOfMemory
from boonart.observability import Metrics, continued, trace_id
from boonart.rpc.channels import CONTRACT_HEADER, CONTRACT_VERSION, read_secret, read_token
from boonart.rpc.deadlines import within
from boonart.rpc.settings import ServingSettings
from boonart.rpc.status import abort

logger = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]

# Orchestrators ask these without a token; they say nothing but whether the process serves.
OPEN = (f"/{health.SERVICE_NAME}/",)


class Guard(grpc.aio.ServerInterceptor):
    """Stands before every method: token, contract version, deadline, trace, metrics and errors.

    Args:
        token: what callers must send, or "" for an open server.
        longest: seconds that any call may take.
        on_out_of_memory: told when the device is full even for the smallest batch.
    """

    def __init__(
        self,
        *,
        token: str = "",
        longest: float,
        metrics: Metrics,
        on_out_of_memory: Callable[[BoonArtError], None] | None = None,
    ) -> None:
        self._token = token
        self._longest = longest
        self._metrics = metrics
        self._on_out_of_memory = on_out_of_memory

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The method's handler inside of this guard."""
        method = handler_call_details.method
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(OPEN):
            return handler
        headers = _headers(handler_call_details.invocation_metadata)
        if (refusal := self._refusal(headers)) is not None:
            return _refusing(*refusal)
        behaviour: Any = handler.unary_unary
        if behaviour is None and handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._guarded_stream(method, headers, handler.unary_stream),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        if behaviour is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            self._guarded(method, headers, behaviour),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _refusal(self, headers: dict[str, str]) -> tuple[BoonArtError, grpc.StatusCode] | None:
        if self._token:
            given = headers.get("authorization", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                error: BoonArtError = ConfigurationError(
                    "The call carries no token, or a wrong one.",
                    hint="Send the metadata `authorization: Bearer TOKEN`, or set BOONART_TOKEN_FILE.",
                )
                return error, grpc.StatusCode.UNAUTHENTICATED
        version = headers.get(CONTRACT_HEADER, str(CONTRACT_VERSION))
        if version != str(CONTRACT_VERSION):
            error = ConfigurationError(
                f"The caller speaks version {version[:20]} of the contract; this server speaks {CONTRACT_VERSION}.",
                hint="Run the same version of BoonArt on both sides.",
            )
            return error, grpc.StatusCode.FAILED_PRECONDITION
        return None

    def _guarded(self, method: str, headers: dict[str, str], behaviour: Behaviour) -> Behaviour:
        name = method.removeprefix("/")

        async def guarded(request: Any, context: Context) -> Any:
            left = context.time_remaining()
            allowed = self._longest if left is None else min(left, self._longest)
            with self._metrics.request(name) as set_code, continued(headers, name):
                try:
                    async with within(allowed):
                        response = await behaviour(request, context)
                    set_code("ok")
                    return response
                except BoonArtError as error:
                    set_code(error.code)
                    if isinstance(error, OutOfMemory) and self._on_out_of_memory is not None:
                        self._on_out_of_memory(error)
                    await abort(context, error)
                except Exception:
                    set_code("internal")
                    logger.exception("%s failed", name)
                    # What went wrong inside is for the log: a trace in the answer would tell too much and too long.
                    hint = f"Its log says why, under trace {trace_id() or 'unknown'}."
                    await abort(context, BoonArtError("The server failed at this call.", hint=hint))

        return guarded

    def _guarded_stream(self, method: str, headers: dict[str, str], behaviour: Any) -> Any:
        """The same for a method that answers with a stream."""
        failed = object()

        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            # Each answer is waited for inside the guard, so that its errors are told like those of any other call.
            answers = behaviour(request, context)

            async def following(_request: Any, _context: Context) -> Any:
                return await anext(answers, failed)

            step = self._guarded(method, headers, following)
            while (answer := await step(request, context)) is not failed:
                yield answer

        return guarded


def _headers(metadata: Sequence[tuple[str, str | bytes]] | None) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _refusing(error: BoonArtError, code: grpc.StatusCode) -> grpc.RpcMethodHandler[Any, Any]:
    async def refuse(_request: Any, context: Context) -> None:
        await abort(context, error, code=code)

    return grpc.unary_unary_rpc_method_handler(refuse)


class Server:
    """One gRPC server with health and reflection, NOT_SERVING until told otherwise.

    Args:
        services: full names of the services that `register` adds ("boonart.v1.EncoderService").
        register: adds the servicers to the server.
        on_out_of_memory: see `Guard`.

    Raises:
        ConfigurationError: a certificate or token file that cannot be read.
    """

    def __init__(
        self,
        settings: ServingSettings,
        services: Sequence[str],
        register: Callable[[grpc.aio.Server], None],
        *,
        metrics: Metrics,
        on_out_of_memory: Callable[[BoonArtError], None] | None = None,
    ) -> None:
        self._settings = settings
        self._services = [*services, ""]
        guard = Guard(
            token=read_token(settings.token_file),
            longest=settings.call_deadline,
            metrics=metrics,
            on_out_of_memory=on_out_of_memory,
        )
        self._server = grpc.aio.server(
            interceptors=[guard],
            options=settings.server_options(),
            maximum_concurrent_rpcs=settings.max_calls,
        )
        register(self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            names = [*services, health.SERVICE_NAME, reflection.SERVICE_NAME]
            reflection.enable_server_reflection(names, self._server)
        self._credentials = _server_credentials(settings)

    async def start(self) -> int:
        """Listen, and return the port.

        Raises:
            ConfigurationError: the address is taken or not of this machine.
        """
        await self.set_serving(False)
        host = self._settings.grpc_host
        address = f"[{host}]:{self._settings.grpc_port}" if ":" in host else f"{host}:{self._settings.grpc_port}"
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise ConfigurationError(
                f"The server cannot listen on {address}.",
                hint="Another process may use the port: set BOONART_GRPC_PORT, and check BOONART_GRPC_HOST.",
            ) from error
        await self._server.start()
        return port

    async def set_serving(self, serving: bool) -> None:
        """Answer health checks with SERVING or NOT_SERVING."""
        kind = health_pb2.HealthCheckResponse
        for name in self._services:
            await self._health.set(name, kind.SERVING if serving else kind.NOT_SERVING)

    async def stop(self) -> None:
        """Say NOT_SERVING, let balancers see it, then finish the calls under way."""
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(self._settings.drain_delay)
        await self._server.stop(self._settings.grace)


def _server_credentials(settings: ServingSettings) -> grpc.ServerCredentials | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    certificate = read_secret(settings.tls_certificate, "the server's certificate")
    key = read_secret(settings.tls_key, "the server's key")
    authority = read_secret(settings.tls_client_ca, "the clients' authority") if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=authority is not None)
