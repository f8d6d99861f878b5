"""Settings that every server of the contracts has; a service's own settings extend them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from boonart.rpc.channels import MAX_MESSAGE_BYTES, MIB


class ServingSettings(BaseSettings):
    """How a server listens, whom it lets in and how it stops. Each is an environment variable `BOONART_<NAME>`.

    Attributes:
        grpc_host, grpc_port: where it listens; port 0 takes a free one and logs it.
        max_message_bytes: largest request or answer in bytes.
        max_calls: calls under way at once; more are refused with RESOURCE_EXHAUSTED.
        call_deadline: seconds that any call may take, also where the caller set no deadline.
        keepalive: seconds after which a silent connection is asked whether it lives.
        keepalive_timeout: seconds that it may take to answer before it is closed.
        connection_age: seconds after which a connection is renewed, so that clients find new replicas.
        drain_delay: seconds between saying NOT_SERVING and refusing new calls at a stop.
        grace: seconds that calls under way get to finish at a stop.
        probe_interval: seconds between two real inferences that readiness rests on.
        tls_certificate, tls_key: PEM files; set, the server speaks TLS only.
        tls_client_ca: PEM file; set, clients must show a certificate that it signed.
        token_file: file with a shared secret that callers must send.
        metrics_host, metrics_port: where Prometheus reads; port 0 is off.
        otlp_endpoint: address of an OpenTelemetry collector ("http://collector:4317"), or "" for none.
    """

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    max_message_bytes: int = Field(default=MAX_MESSAGE_BYTES, ge=MIB)
    max_calls: int = Field(default=512, ge=1)
    call_deadline: float = Field(default=120.0, gt=0)
    keepalive: float = Field(default=20.0, gt=0)
    keepalive_timeout: float = Field(default=10.0, gt=0)
    connection_age: float = Field(default=300.0, gt=0)
    drain_delay: float = Field(default=0.5, ge=0)
    grace: float = Field(default=8.0, ge=0)
    probe_interval: float = Field(default=15.0, gt=0)
    reflection: bool = True
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    token_file: Path | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    otlp_endpoint: str = ""
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together; only one of them is set")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        return self

    def server_options(self) -> list[tuple[str, int]]:
        """As gRPC takes them."""
        return [
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            ("grpc.keepalive_time_ms", round(1000 * self.keepalive)),
            ("grpc.keepalive_timeout_ms", round(1000 * self.keepalive_timeout)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
            # A client also asks after each call that it gives up; a server that took offence would close the
            # connection, with all other calls on it, just when it is slow and many are given up.
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.max_connection_age_ms", round(1000 * self.connection_age)),
            ("grpc.max_connection_age_grace_ms", round(1000 * self.call_deadline)),
            # Two processes on one port would share its calls unseen.
            ("grpc.so_reuseport", 0),
        ]


class ProbeSettings(BaseSettings):
    """What a probe of a server's health shows and asks for; see `boonart.settings.Settings`."""

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    token_file: Path | None = None
    tls_ca: Path | None = None
    tls_client_certificate: Path | None = None
    tls_client_key: Path | None = None
