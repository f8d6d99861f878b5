"""Settings of the gateway's process."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from boonart.rpc.settings import ServingSettings
from boonart.settings import Settings


class GatewaySettings(Settings, ServingSettings):
    """The common settings, those of a server, and the gateway's own; environment variables `BOONART_<NAME>`.

    REST and the page listen on `host` and `port`, gRPC on `grpc_host` and `grpc_port`.
    """

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    grpc_port: int = Field(default=50050, ge=0, le=65535)
