"""Ask a service whether it serves: `python -m boonart.rpc.probe grpc://127.0.0.1:50051`, for container health checks.

Exit status 0 where it does, 1 where it does not. An http address is asked with GET and must answer 200. The shared
token and the certificates are those of the environment (`BOONART_TOKEN_FILE`, `BOONART_TLS_CA`, ...).
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from boonart.errors import BoonArtError
from boonart.rpc.addresses import parse_address
from boonart.rpc.channels import Credentials
from boonart.rpc.settings import ProbeSettings

TIMEOUT = 4.0
"""Seconds; less than what a container's health check gets."""


def probe(url: str, credentials: Credentials) -> str:
    """Why the service does not serve, or "" where it does.

    Args:
        url: "grpc://HOST:PORT", "grpcs://HOST:PORT" or "http://HOST:PORT/readyz".

    Raises:
        ConfigurationError: the address is none.
    """
    if url.startswith(("http://", "https://")):
        return _probe_http(url)
    address = parse_address(url)
    options = [("grpc.enable_http_proxy", 0)]
    channel = (
        grpc.secure_channel(address.targets[0], credentials.channel_credentials(), options)
        if address.secure
        else grpc.insecure_channel(address.targets[0], options)
    )
    metadata = (("authorization", f"Bearer {credentials.token}"),) if credentials.token else ()
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=TIMEOUT, metadata=metadata
            )
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _probe_http(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.reason}"
    except OSError as error:
        return str(error)


def main(arguments: Sequence[str]) -> int:
    """Probe the address; the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m boonart.rpc.probe ADDRESS\n")
        return 2
    settings = ProbeSettings()
    try:
        credentials = Credentials.read(
            token_file=settings.token_file,
            authority=settings.tls_ca,
            certificate=settings.tls_client_certificate,
            key=settings.tls_client_key,
        )
        why = probe(arguments[0], credentials)
    except BoonArtError as error:
        why = str(error)
    if why:
        sys.stderr.write(f"{arguments[0]}: {why}\n")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
