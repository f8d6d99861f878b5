"""Where a Qdrant server is and how collections are made on it. Light: imports no client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from boonart.errors import ConfigurationError

MEMORY = ":memory:"
"""In place of an address: `qdrant-client`'s own engine in this process, for tests."""
GRPC_PORT = 6334


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to talk to Qdrant and how new collections are laid out.

    Attributes:
        api_key: sent with each call, or "".
        prefer_grpc: points and collections over gRPC, several times faster than REST.
        grpc_port: of the same host.
        tls_ca: PEM file of the authority that signed Qdrant's certificate; None takes the system's.
        timeout: seconds that a read may take, with all its tries.
        write_timeout: seconds that a write may take, with all its tries; longer than a restart of Qdrant.
        prefix: stands before the names of all collections, so that installations can share a Qdrant.
        shards: shards of a new collection; 0 leaves it to Qdrant, which makes one a node.
        replicas: copies of each shard of a new collection; never more than there are nodes.
        write_consistency: copies that must have a write before it counts as done.
        quantise: keep int8 copies of `image` and `description` in memory, a quarter of their size.
        vectors_on_disk: leave the originals of `image` and `description` on the disk.
    """

    api_key: str = field(default="", repr=False)
    prefer_grpc: bool = True
    grpc_port: int = GRPC_PORT
    tls_ca: Path | None = None
    timeout: float = 5.0
    write_timeout: float = 60.0
    prefix: str = ""
    shards: int = 0
    replicas: int = 1
    write_consistency: int = 1
    quantise: bool = False
    vectors_on_disk: bool = False


def check_url(url: str) -> None:
    """Refuse an address that is none.

    Raises:
        ConfigurationError: says what an address looks like.
    """
    if url == MEMORY:
        return
    hint = "It must look like http://HOST:6333, or https://HOST:6333 with TLS."
    try:
        parts = urlsplit(url)
        host, scheme, _ = parts.hostname, parts.scheme, parts.port
    except ValueError as error:
        raise ConfigurationError(
            f"The address {url!r} in BOONART_QDRANT_URL cannot be read ({error}).", hint=hint, field="qdrant_url"
        ) from error
    why = ""
    if "://" not in url:
        why = "has no scheme"
    elif scheme not in ("http", "https"):
        why = f"has the scheme {scheme}"
    elif not host:
        why = "has no host"
    elif parts.username or parts.query or parts.fragment:
        why = "has more than a host, a port and a path"
    if why:
        raise ConfigurationError(f"The address {url!r} in BOONART_QDRANT_URL {why}.", hint=hint, field="qdrant_url")
