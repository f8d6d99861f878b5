"""Settings of the encoder's process."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from boonart.rpc.settings import ServingSettings
from boonart.settings import Settings


class EncoderSettings(Settings, ServingSettings):
    """The common settings, those of a server, and the encoder's own; environment variables `BOONART_<NAME>`.

    Attributes:
        max_items: most texts or pictures in one call.
    """

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    grpc_port: int = Field(default=50051, ge=0, le=65535)
    max_items: int = Field(default=1024, ge=1)
