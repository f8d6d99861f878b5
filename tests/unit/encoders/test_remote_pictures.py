"""Addresses that strangers give."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from boonart.encoders.remote_pictures import RemotePolicy, fetch_picture, is_public
from boonart.errors import PictureError, PictureTooLarge

POLICY = RemotePolicy(allowed_hosts=frozenset({"images.museum.example", ".gallery.example"}), max_bytes=1000)
ADDRESS = "https://images.museum.example/cow.jpg"
PUBLIC = "93.184.215.14"


def sent(body: bytes) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(body))


class Web:
    """Answers by host name, and a record of what was asked."""

    def __init__(self, **answers: httpx.Response) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []
        self.resolved: list[str] = []
        self.addresses: dict[str, list[str]] = {}

    def transport(self) -> httpx.MockTransport:
        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return self.answers[request.url.path.strip("/").replace(".", "_")]

        return httpx.MockTransport(handle)

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        return self.addresses.get(host, [PUBLIC])

    async def fetch(self, address: str = ADDRESS, policy: RemotePolicy = POLICY) -> bytes:
        return await fetch_picture(address, policy, resolve=self.resolve, transport=self.transport())


async def test_nothing_is_fetched_unless_hosts_are_allowed() -> None:
    web = Web()
    with pytest.raises(PictureError, match="not fetched from addresses here"):
        await web.fetch(policy=RemotePolicy())
    assert web.requests == []
    assert web.resolved == []


async def test_the_checked_address_is_the_one_that_is_connected_to() -> None:
    web = Web(cow_jpg=sent(b"picture"))
    assert await web.fetch() == b"picture"
    (request,) = web.requests
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "images.museum.example"
    assert request.extensions["sni_hostname"] == "images.museum.example"
    assert web.resolved == ["images.museum.example"]
    assert "cookie" not in request.headers
    assert "authorization" not in request.headers


async def test_a_host_below_an_allowed_one_is_allowed() -> None:
    web = Web(cow_jpg=sent(b"picture"))
    assert await web.fetch("https://cdn.gallery.example/cow.jpg") == b"picture"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://images.museum.example/cow.jpg", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("https://images.museum.example:8443/cow.jpg", "without a port"),
        ("https://me:secret@images.museum.example/cow.jpg", "password"),
        ("https://elsewhere.example/cow.jpg", "not fetched from elsewhere.example"),
        ("https://images.museum.example.evil.example/cow.jpg", "not fetched from"),
        ("https://evilgallery.example/cow.jpg", "not fetched from"),
        ("https://127.0.0.1/cow.jpg", "not fetched from"),
        ("https://[::1]/cow.jpg", "not fetched from"),
        ("images.museum.example/cow.jpg", "must begin with https"),
        ("https://", "must begin with https"),
        ("https://images.museum.example:port/cow.jpg", "could not be fetched"),
    ],
)
async def test_other_addresses_are_refused_before_anything_is_asked(address: str, message: str) -> None:
    web = Web()
    with pytest.raises(PictureError, match=message):
        await web.fetch(address)
    assert web.requests == []


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1",
        "10.0.0.7",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:0:a00:1::",
        "nonsense",
    ],
)
async def test_a_name_that_leads_inside_is_refused(number: str) -> None:
    assert not is_public(number)
    web = Web()
    web.addresses["images.museum.example"] = [PUBLIC, number]
    with pytest.raises(PictureError, match="no public address"):
        await web.fetch()
    assert web.requests == []


@pytest.mark.parametrize("number", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_public_addresses_are_public(number: str) -> None:
    assert is_public(number)


async def test_each_redirect_is_checked_like_a_first_address() -> None:
    web = Web(
        cow_jpg=httpx.Response(302, headers={"location": "https://cdn.gallery.example/large.jpg"}),
        large_jpg=httpx.Response(302, headers={"location": "/end.jpg"}),
        end_jpg=sent(b"picture"),
    )
    assert await web.fetch() == b"picture"
    assert web.resolved == ["images.museum.example", "cdn.gallery.example", "cdn.gallery.example"]


@pytest.mark.parametrize(
    "location", ["http://images.museum.example/x", "https://elsewhere.example/x", "https://127.0.0.1/x", "file:///x"]
)
async def test_a_redirect_elsewhere_is_refused(location: str) -> None:
    web = Web(cow_jpg=httpx.Response(302, headers={"location": location}))
    with pytest.raises(PictureError):
        await web.fetch()
    assert len(web.requests) == 1


async def test_a_redirect_inside_by_name_is_refused() -> None:
    web = Web(cow_jpg=httpx.Response(302, headers={"location": "https://inside.gallery.example/x"}))
    web.addresses["inside.gallery.example"] = ["10.0.0.1"]
    with pytest.raises(PictureError, match="no public address"):
        await web.fetch()


async def test_redirects_in_a_circle_end() -> None:
    web = Web(cow_jpg=httpx.Response(302, headers={"location": ADDRESS}))
    with pytest.raises(PictureError, match="more than 3 times"):
        await web.fetch()
    assert len(web.requests) == 4


async def test_a_file_that_is_too_large_is_not_read_to_its_end() -> None:
    read: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(1)
            yield bytes(300)

    with pytest.raises(PictureTooLarge, match="MB"):
        await Web(cow_jpg=httpx.Response(200, content=endless())).fetch()
    assert len(read) == 4


async def test_compressed_answers_are_refused() -> None:
    response = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b"))
    with pytest.raises(PictureError, match="compressed"):
        await Web(cow_jpg=response).fetch()


async def test_an_error_of_the_other_side_is_told() -> None:
    with pytest.raises(PictureError, match="answered 404"):
        await Web(cow_jpg=httpx.Response(404)).fetch()


async def hangs(request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def breaks(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("handler", "message"), [(hangs, "within 0.05 seconds"), (breaks, r"could not be fetched \(ConnectError\)")]
)
async def test_a_side_that_does_not_answer_is_given_up(
    handler: Callable[[httpx.Request], httpx.Response], message: str
) -> None:
    policy = RemotePolicy(POLICY.allowed_hosts, timeout_s=0.05)
    with pytest.raises(PictureError, match=message):
        await fetch_picture(ADDRESS, policy, resolve=Web().resolve, transport=httpx.MockTransport(handler))
