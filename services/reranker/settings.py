"""Settings of the reranker's process."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from boonart.rpc.settings import ServingSettings
from boonart.settings import Settings


class RerankerSettings(Settings, ServingSettings):
    """The common settings, those of a server, and the reranker's own; environment variables `BOONART_<NAME>`.

    `encoder_url` is needed: the reranker asks the encoder who it is and loads the weights that belong to it.

    Attributes:
        max_candidates: most candidates of one query.
        max_items: most pictures or texts to prepare in one call.
        max_queries: most queries that are scored or wait for it; more are refused, and answered in global order. A
            gateway waits two seconds for its reranker, so that a longer queue would be worked off for nobody.
    """

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    grpc_port: int = Field(default=50052, ge=0, le=65535)
    max_candidates: int = Field(default=1000, ge=1)
    max_items: int = Field(default=1024, ge=1)
    max_queries: int = Field(default=128, ge=1)
