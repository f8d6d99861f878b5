"""Addresses of peers, as the settings give them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from boonart.errors import ConfigurationError

_FORM = "grpc://HOST:PORT, or grpcs://HOST:PORT with TLS; several replicas are separated by commas"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the replicas of a service listen.

    Attributes:
        targets: one a given host, in gRPC's own form; a name with several DNS records is balanced over all of them.
        secure: over TLS.
        text: as given, for messages.
    """

    targets: tuple[str, ...]
    secure: bool
    text: str


def parse_address(text: str, setting: str = "") -> Address:
    """Read an address such as "grpc://encoder:50051" or "grpcs://a.example:443,grpcs://b.example:443".

    Args:
        setting: name of the setting that it comes from, for the error.

    Raises:
        ConfigurationError: says what an address looks like.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise _refused(text, "is empty", setting)
    schemes = set()
    targets = []
    for part in parts:
        if "://" not in part:
            raise _refused(part, "has no scheme", setting)
        try:
            url = urlsplit(part)
            host, port = url.hostname, url.port
        except ValueError as error:
            raise _refused(part, f"cannot be read ({error})", setting) from error
        if url.scheme not in ("grpc", "grpcs"):
            raise _refused(part, f"has the scheme {url.scheme}", setting)
        if not host or not port:
            raise _refused(part, "has no host" if not host else "has no port", setting)
        if url.path.strip("/") or url.query or url.fragment or url.username:
            raise _refused(part, "has more than a host and a port", setting)
        schemes.add(url.scheme)
        targets.append(f"dns:///[{host}]:{port}" if ":" in host else f"dns:///{host}:{port}")
    if len(schemes) > 1:
        raise _refused(text, "mixes grpc and grpcs", setting)
    return Address(tuple(targets), schemes == {"grpcs"}, ",".join(parts))


def _refused(text: str, why: str, setting: str) -> ConfigurationError:
    where = f"The address {text!r}" + (f" in BOONART_{setting.upper()}" if setting else "")
    return ConfigurationError(f"{where} {why}.", hint=f"It must look like {_FORM}.", field=setting)
