"""Settings, read once at the start of a process and passed on from there.

Nothing else in the project reads the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeVar

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from boonart.errors import ConfigurationError

LOCAL_HOME = Path(".boonart")
"""A folder of this name in the working directory is preferred to the user's data folder."""


Kind = TypeVar("Kind", bound=BaseSettings)


def default_home() -> Path:
    """Where collections, pictures and models are kept unless `BOONART_HOME` says otherwise."""
    if LOCAL_HOME.is_dir():
        return LOCAL_HOME.resolve()
    return Path(platformdirs.user_data_dir("boonart"))


class Settings(BaseSettings):
    """All settings of a BoonArt process; each is also an environment variable `BOONART_<NAME>`.

    A service address that is set means "that part is remote"; unset means "in this process".

    Attributes:
        home: folder of collections, pictures and models.
        encoder: name of the encoder, such as "starter" or "open_clip:ViT-L-14/openai".
        reranker: name of the reranker's weights; "auto" takes those that fit the encoder, "none" none.
        device: "auto", "cpu" or "cuda".
        threads: threads of one forward pass; 0 leaves the choice to the library.
        host, port: where the gateway listens.
        max_picture_bytes: largest picture file accepted, in bytes.
        anonymous: what may be done over the network without an API key: "none", "search", "all", or "auto": all where
            the gateway listens on loopback, nothing elsewhere.
        rate_limit: requests a minute for each key and each address; 0 for any number.
        cors_origins: origins whose pages may call the API, separated by commas.
        request_deadline: seconds within which a search must be answered.
        encode_deadline: seconds of these that the encoder may take for a text; then the works that share its words are
            given.
        rerank_deadline: seconds of these that the reranker may take; then the global order is given.
        bank_bytes: memory that the reranker may use for features, in bytes.
        qdrant_api_key, qdrant_api_key_file: the key that Qdrant asks for, or a file with it.
        qdrant_*: how to talk to Qdrant and how new collections are laid out there; each is described in
            `boonart.index.server_options.ServerOptions`.
        token_file: holds the token that remote parts ask for.
        tls_ca, tls_client_certificate, tls_client_key: PEM files for talking to remote parts over TLS.
        max_message_bytes: largest gRPC message, in bytes: a picture of 64 MiB and what comes with it.
    """

    model_config = SettingsConfigDict(env_prefix="BOONART_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    encoder: str = "starter"
    reranker: str = "auto"
    device: str = "auto"
    threads: int = Field(default=0, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    default_collection: str = ""
    max_picture_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    anonymous: Literal["auto", "none", "search", "all"] = "auto"
    rate_limit: int = Field(default=0, ge=0)
    cors_origins: str = ""
    request_deadline: float = Field(default=10.0, gt=0)
    encode_deadline: float = Field(default=5.0, gt=0)
    rerank_deadline: float = Field(default=2.0, gt=0)
    bank_bytes: int = Field(default=2 * 1024**3, ge=0)
    encoder_url: str = ""
    reranker_url: str = ""
    qdrant_url: str = ""
    qdrant_api_key: SecretStr = SecretStr("")
    qdrant_api_key_file: Path | None = None
    qdrant_grpc: bool = True
    qdrant_grpc_port: int = Field(default=6334, ge=1, le=65535)
    qdrant_tls_ca: Path | None = None
    qdrant_timeout: float = Field(default=5.0, gt=0)
    qdrant_write_timeout: float = Field(default=60.0, gt=0)
    qdrant_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$", max_length=64)
    qdrant_shards: int = Field(default=0, ge=0)
    qdrant_replicas: int = Field(default=1, ge=1)
    qdrant_write_consistency: int = Field(default=1, ge=1)
    qdrant_quantise: bool = False
    qdrant_vectors_on_disk: bool = False
    token_file: Path | None = None
    tls_ca: Path | None = None
    tls_client_certificate: Path | None = None
    tls_client_key: Path | None = None
    max_message_bytes: int = Field(default=72 * 1024 * 1024, ge=1024 * 1024)

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if value not in {"auto", "cpu", "cuda"} and not value.startswith("cuda:"):
            raise ValueError("must be auto, cpu, cuda or cuda:N")
        return value

    @property
    def collections_folder(self) -> Path:
        """Where the embedded index keeps its collections."""
        return self.home / "collections"

    @property
    def pictures_folder(self) -> Path:
        """Where the picture store keeps its renditions."""
        return self.home / "pictures"

    @property
    def keys_file(self) -> Path:
        """Where the API keys' hashes are kept."""
        return self.home / "keys.json"

    @property
    def models_folder(self) -> Path:
        """Where pulled and imported models are kept."""
        return self.home / "models"


def local_address(host: str, port: int) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def read_settings(**given: object) -> Settings:
    """Settings from the environment, with explicit values taking precedence.

    Args:
        given: values by setting name; None means "not given".

    Raises:
        ConfigurationError: naming the setting and the value that cannot be used.
    """
    return read_settings_as(Settings, **given)


def read_settings_as(kind: type[Kind], **given: object) -> Kind:
    """The settings of a service that has more of them than `Settings`; see `read_settings`.

    Raises:
        ConfigurationError: naming the setting and the value that cannot be used.
    """
    explicit = {name: value for name, value in given.items() if value is not None}
    try:
        return kind(**explicit)  # type: ignore[arg-type]  # pydantic validates the values
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if not name:
            # Settings that contradict each other: pydantic gives all of them as the value.
            raise ConfigurationError(f"The settings cannot be used: {first['msg']}.") from error
        variable = f"BOONART_{name.upper()}"
        source = f"the environment variable {variable}" if variable in os.environ else f"the setting {name}"
        raise ConfigurationError(
            f"{source} has the value {first['input']!r}, which cannot be used: {first['msg']}.",
            hint=f"Set {variable} to a fitting value or leave it unset.",
            field=name,
        ) from error
