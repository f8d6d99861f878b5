"""Fetching a picture from an address that someone else gave: off unless hosts are allowed, and narrow then.

Such an address is a request that our own machine makes for a stranger, from inside our own network. So: https only, on
its own port, to allowed hosts, whose names lead to public addresses alone. The address that was checked is the one that
is connected to, so a name cannot change its meaning in between (DNS rebinding); each redirect is checked like a first
address; and size, time and the number of redirects are bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from boonart.errors import PictureError, PictureTooLarge

_REDIRECTS = (301, 302, 303, 307, 308)
# Public by their numbers, but they lead to IPv4 addresses that may be anything.
_TUNNELS = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The numeric addresses of a host name and port."""


@dataclass(frozen=True, slots=True)
class RemotePolicy:
    """What may be fetched.

    Attributes:
        allowed_hosts: host names; one that begins with a dot allows all below it. Empty: nothing is fetched.
        max_bytes: largest file, in bytes.
        timeout_s: for the whole of a fetch, redirects included, in seconds.
        max_redirects: how often an address may lead on.
    """

    allowed_hosts: frozenset[str] = frozenset()
    max_bytes: int = 32 * 1024 * 1024
    timeout_s: float = 10.0
    max_redirects: int = 3


async def resolve(host: str, port: int) -> list[str]:
    """The numeric addresses of a host name, as the system's resolver gives them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def fetch_picture(
    address: str,
    policy: RemotePolicy,
    *,
    resolve: Resolve = resolve,
    transport: httpx.AsyncBaseTransport | None = None,
) -> bytes:
    """The bytes at an address; whether they are a picture is for `pictures.decode` to say.

    Args:
        transport: takes the network's place in tests.

    Raises:
        PictureTooLarge: over `max_bytes`; the rest is not read.
        PictureError: the address may not be fetched, or cannot be.
    """
    if not policy.allowed_hosts:
        raise PictureError(
            "Pictures are not fetched from addresses here.", hint="Send the picture itself.", field="image"
        )
    # No proxies, cookies or credentials from our surroundings.
    client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=policy.timeout_s)
    try:
        async with asyncio.timeout(policy.timeout_s), client:
            url = _parsed(address)
            for _ in range(policy.max_redirects + 1):
                _check_host(url, policy)
                answer = await _get(client, url, await _public_address(url.host, resolve), policy)
                if isinstance(answer, bytes):
                    return answer
                url = _parsed(str(url.join(answer)))
    except TimeoutError as error:
        raise _failed(f"did not answer within {policy.timeout_s:g} seconds") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise _failed(f"could not be fetched ({type(error).__name__})") from error
    raise _failed(f"leads on more than {policy.max_redirects} times")


def _parsed(address: str) -> httpx.URL:
    url = httpx.URL(address)
    if url.scheme != "https" or url.port not in (None, 443) or url.userinfo or not url.host:
        raise PictureError("A picture's address must begin with https://, without a port or a password.", field="image")
    return url


def _check_host(url: httpx.URL, policy: RemotePolicy) -> None:
    host = url.host.lower().rstrip(".")
    for allowed in policy.allowed_hosts:
        if host == allowed.lower() or (allowed.startswith(".") and host.endswith(allowed.lower())):
            return
    raise PictureError(f"Pictures are not fetched from {host}.", hint="Send the picture itself.", field="image")


async def _public_address(host: str, resolve: Resolve) -> str:
    """The first address of a host, if all that it has are public."""
    found = await resolve(host, 443)
    if not found or not all(is_public(address) for address in found):
        # One answer for both: strangers need not learn which names our network knows.
        raise _failed("has no public address")
    return found[0]


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the public internet's."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped:
            return is_public(str(number.ipv4_mapped))
        if any(number in network for network in _TUNNELS):
            return False
    return number.is_global and not number.is_multicast


async def _get(client: httpx.AsyncClient, url: httpx.URL, address: str, policy: RemotePolicy) -> bytes | str:
    """The bytes, or where the answer leads on to.

    The connection goes to the numeric address; the name stays in the Host header and is what the certificate is
    checked against.
    """
    request = client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"Host": url.host, "Accept": "image/*", "Accept-Encoding": "identity"},
        extensions={"sni_hostname": url.host},
    )
    response = await client.send(request, stream=True)
    try:
        if response.status_code in _REDIRECTS and "location" in response.headers:
            return response.headers["location"]
        if response.status_code != 200:
            raise _failed(f"answered {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _failed("sent compressed data, which was not asked for")
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > policy.max_bytes:
                raise PictureTooLarge(
                    f"The picture at this address has more than {policy.max_bytes / 1e6:,.0f} MB.", field="image"
                )
        return bytes(body)
    finally:
        await response.aclose()


def _failed(what: str) -> PictureError:
    return PictureError(f"The picture's address {what}.", hint="Send the picture itself.", field="image")
