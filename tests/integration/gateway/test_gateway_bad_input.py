"""What cannot be answered is refused with what is wrong and what to do, and nothing stored is lost."""

import base64
import io
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway_support import COLLECTION, Gateway, assert_problem, gateway, painting
from PIL import Image

from boonart.index.edge import EdgeIndex
from boonart.works import Manifest

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path_factory.mktemp("home"), max_picture_bytes=200_000) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def here(shared: Gateway) -> AsyncIterator[Gateway]:
    yield shared
    # Whatever the test sent, the collection is whole and still answers.
    assert await shared.parts.index.count(COLLECTION) == 8
    answer = await shared.client.post("/v1/search", json={"text": "red"})
    assert answer.json()["hits"][0]["work"]["id"] == "work/red"


def huge_png() -> bytes:
    """A valid PNG of 30,000 x 30,000 one-bit pixels in about 110 kB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(1 + 30_000 // 8)) for _ in range(30_000)) + packed.flush()
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "query", [{}, *({"text": text} for text in ("", "   ", "\n\t ", "\u00a0\u2003")), {"like": " "}]
)
async def test_an_empty_query(here: Gateway, query: dict[str, str]) -> None:
    body = assert_problem(await here.client.post("/v1/search", json=query), 422, "invalid-query", "/text")
    assert "empty" in str(body["detail"])


async def test_a_query_of_ten_thousand_characters(here: Gateway) -> None:
    response = await here.client.post("/v1/search", json={"text": "x" * 10_000})
    body = assert_problem(response, 422, "invalid-query", "/text")
    assert "10,000" in str(body["detail"])
    assert "2,000" in str(body["detail"])


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"This is no picture at all.\n" * 40, 415, "unsupported-picture"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 500, 415, "unsupported-picture"),
        (b"PK\x03\x04" + b"\x00" * 500, 415, "unsupported-picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported-picture"),
    ],
    ids=["text", "jpeg-head-only", "zip", "svg"],
)
async def test_a_file_that_is_no_picture(here: Gateway, data: bytes, status: int, code: str) -> None:
    uploaded = await here.client.post("/v1/search/image", files={"image": ("painting.jpg", data, "image/jpeg")})
    inline = await here.client.post("/v1/search", json={"image": base64.b64encode(data).decode()})
    for response in (uploaded, inline):
        assert response.headers["content-type"] == "application/problem+json"
        assert response.status_code in {status, 422}, response.text
        assert response.json()["code"] in {code, "truncated-picture"}
    assert uploaded.json()["detail"] == inline.json()["detail"]


async def test_a_part_that_is_no_picture_is_named(here: Gateway) -> None:
    zipped = base64.b64encode(b"PK\x03\x04" + b"\x00" * 500).decode()
    alone = await here.client.post("/v1/search", json={"image": zipped})
    assert_problem(alone, 415, "unsupported-picture", "/image")
    uploaded = await here.client.post("/v1/search/image", files={"image": ("x.jpg", b"PK\x03\x04")})
    assert_problem(uploaded, 415, "unsupported-picture", "/image")
    among = await here.client.post("/v1/search", json={"query": [{"text": "red"}, {"image": zipped}]})
    assert_problem(among, 415, "unsupported-picture", "/query/1/image")


async def test_a_truncated_jpeg(here: Gateway) -> None:
    data = painting((10, 120, 200), (400, 300), "JPEG")
    response = await here.client.post("/v1/search/image", files={"image": ("cut.jpg", data[: len(data) // 2])})
    assert_problem(response, 422, "truncated-picture")


async def test_a_decompression_bomb(here: Gateway) -> None:
    data = huge_png()
    assert len(data) < 150_000
    response = await here.client.post("/v1/search/image", files={"image": ("bomb.png", data)})
    body = assert_problem(response, 413, "picture-too-large")
    assert "30,000 x 30,000" in str(body["detail"])


async def test_an_empty_upload(here: Gateway) -> None:
    response = await here.client.post("/v1/search/image", files={"image": ("empty.png", b"")})
    assert_problem(response, 422, "invalid-query", "/image")


async def test_an_upload_without_a_picture(here: Gateway) -> None:
    response = await here.client.post("/v1/search/image", data={"collection": COLLECTION})
    assert_problem(response, 422, "invalid-request", "/image")


async def test_a_picture_file_over_the_limit(here: Gateway) -> None:
    data = painting((1, 2, 3)) + b"\x00" * 210_000
    response = await here.client.post("/v1/search/image", files={"image": ("long.png", data)})
    assert_problem(response, 413, "picture-too-large")


async def test_a_body_over_the_limit(here: Gateway) -> None:
    response = await here.client.post("/v1/search", content=b" " * 400_000)
    assert_problem(response, 413, "body-too-large")


@pytest.mark.parametrize("path", ["/v1/search", "/v1/search/image"])
async def test_a_body_over_the_limit_in_chunks(here: Gateway, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n'
        while sent < 100_000_000:
            sent += 10_000
            yield b"x" * 10_000

    headers = {"content-type": "multipart/form-data; boundary=b" if path.endswith("image") else "application/json"}
    response = await here.client.post(path, content=endless(), headers=headers)
    assert_problem(response, 413, "body-too-large")
    assert sent < 1_000_000, "it was stopped while it arrived"


@pytest.mark.parametrize("name", ["nowhere", "../colours", "a/b", "x" * 150, "ümlaut", "."])
async def test_an_unknown_collection(here: Gateway, name: str) -> None:
    response = await here.client.post("/v1/search", json={"text": "red", "collection": name})
    assert response.status_code in {404, 422}
    assert_problem(response, response.status_code, response.json()["code"])
    assert response.json()["code"] in {"collection-not-found", "invalid-request"}


async def test_an_unknown_collection_is_answered_with_the_known_ones(here: Gateway) -> None:
    response = await here.client.post("/v1/search", json={"text": "red", "collection": "nowhere"})
    assert COLLECTION in str(assert_problem(response, 404, "collection-not-found", "/collection")["detail"])
    among = await here.client.post("/v1/search", json={"text": "red", "collections": [COLLECTION, "nowhere"]})
    assert_problem(among, 404, "collection-not-found", "/collections/1")


async def test_an_unknown_work(here: Gateway) -> None:
    assert_problem(await here.client.post("/v1/search", json={"like": "work/none"}), 404, "work-not-found", "/like")
    among = await here.client.post("/v1/search", json={"query": [{"text": "red"}, {"like": "work/none"}]})
    assert_problem(among, 404, "work-not-found", "/query/1/like")
    assert_problem(await here.client.get("/v1/works/none"), 404, "work-not-found")
    assert_problem(await here.client.get("/v1/works/none/thumbnail"), 404, "work-not-found")


@pytest.mark.parametrize("like", ["work/red", ""])
async def test_text_and_work_at_once(here: Gateway, like: str) -> None:
    response = await here.client.post("/v1/search", json={"text": "red", "like": like})
    assert_problem(response, 422, "invalid-query", "/like")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"text": "red", "limit": 0}, "/limit"),
        ({"text": "red", "limit": 1001}, "/limit"),
        ({"text": "red", "limit": "many"}, "/limit"),
        ({"text": "red", "candidates": -1}, "/candidates"),
        ({"text": "red", "min_relevance": 1.5}, "/min_relevance"),
        ({"text": "red", "target": "frames"}, "/target"),
        ({"text": "red", "rerank": "magic"}, "/rerank"),
        ({"text": 5}, "/text"),
        ({"text": "red", "target": None}, "/target"),
        ({"text": "red", "filter": None}, "/filter"),
        ({"text": "red", "collection": "a b"}, "/collection"),
        ({"text": "red", "page~/x": 1}, "/page~0~1x"),
        ({"text": "red", "filter": {"eq": {"field": "artist"}}}, "/filter/eq/value"),
        ({"text": "red", "filter": {}}, "/filter"),
        ({"text": "red", "filter": {"eq": {"field": "a", "value": 1}, "exists": {"field": "a"}}}, "/filter"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(here: Gateway, body: object, pointer: str) -> None:
    problem = (await here.client.post("/v1/search", json=body)).json()
    assert problem["code"] == "invalid-request"
    assert pointer in [fault["pointer"] for fault in problem["errors"]]


@pytest.mark.parametrize(
    ("where", "pointer"),
    [
        ({"eq": {"field": "colour", "value": "red"}}, "/filter/eq/field"),
        (
            {"and": [{"exists": {"field": "artist"}}, {"not": {"eq": {"field": "nope/x", "value": 1}}}]},
            "/filter/and/1/not/eq/field",
        ),
        ({"range": {"field": "artist", "gte": 1}}, "/filter/range/field"),
        ({"eq": {"field": "year", "value": "old"}}, "/filter/eq/field"),
    ],
    ids=["unknown", "nested", "no-numbers", "wrong-type"],
)
async def test_a_filter_on_what_is_not_there(here: Gateway, where: object, pointer: str) -> None:
    response = await here.client.post("/v1/search", json={"text": "red", "filter": where})
    assert_problem(response, 422, "invalid-filter", pointer)


@pytest.mark.parametrize("value", [10**18, 10**40, -(2**63), 1e300, "\u0000", "x" * 999, "\U0001f404"])
async def test_a_filter_with_an_odd_value_is_answered(here: Gateway, value: object) -> None:
    for field in ("year", "artist", "framed"):
        where = {"eq": {"field": field, "value": value}}
        response = await here.client.post("/v1/search", json={"text": "red", "filter": where})
        assert response.status_code in {200, 422}, response.text


async def test_a_deep_filter(here: Gateway) -> None:
    def nested(depth: int) -> str:
        return '{"not":' * depth + '{"exists":{"field":"artist"}}' + "}" * depth

    for depth, status in ((7, {200}), (8, {422}), (200, {422}), (5000, {400, 422})):
        body = f'{{"text": "red", "filter": {nested(depth)}}}'
        response = await here.client.post("/v1/search", content=body, headers={"content-type": "application/json"})
        assert response.status_code in status, (depth, response.text)
        assert len(response.content) < 10_000


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b'{"text": "\\ud800"}', b'{"text": NaN}', b"[" * 100_000],
)
async def test_a_body_that_is_no_search(here: Gateway, content: bytes) -> None:
    response = await here.client.post("/v1/search", content=content, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "text", ["🐄 in the room", "المرأة", "a\u0000b", "ｆｕｌｌ", "e\u0301" * 500, "\u202egnol", "'; DROP TABLE"]
)
async def test_text_of_every_kind_is_searched(here: Gateway, text: str) -> None:
    response = await here.client.post("/v1/search", json={"text": text})
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("image", ["not base64!", "####", "YWJj\u00e9"])
async def test_an_image_that_is_not_base64(here: Gateway, image: str) -> None:
    assert_problem(await here.client.post("/v1/search", json={"image": image}), 422, "invalid-query", "/image")


async def test_a_wrong_address_or_method(here: Gateway) -> None:
    assert_problem(await here.client.get("/v1/nothing"), 404, "no-such-address")
    refused = await here.client.get("/v1/search")
    assert_problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "POST"


async def test_a_collection_that_another_process_owns(here: Gateway, tmp_path: Path) -> None:
    owner = EdgeIndex(here.parts.settings.home / "collections")
    await owner.create("taken", Manifest("fake-32", 32))
    try:
        response = await here.client.post("/v1/search", json={"text": "red", "collection": "taken"})
    finally:
        await owner.close()
    body = assert_problem(response, 503, "index-locked")
    assert "taken" in str(body["detail"])
    freed = await here.client.post("/v1/search", json={"text": "red", "collection": "taken"})
    assert freed.json()["hits"] == []
    await here.parts.index.drop("taken")


async def test_a_collection_whose_folder_is_damaged(tmp_path: Path) -> None:
    async with gateway(tmp_path):
        pass
    manifest = next((tmp_path / "collections" / COLLECTION).rglob("manifest.json"))
    manifest.write_text("{")
    async with gateway(tmp_path, collections=("second",)) as here:
        broken = await here.client.post("/v1/search", json={"text": "red", "collection": COLLECTION})
        whole = await here.client.post("/v1/search", json={"text": "red", "collection": "second"})
    body = assert_problem(broken, 503, "index-corrupt")
    assert COLLECTION in str(body["detail"])
    assert whole.status_code == 200


async def test_the_bomb_is_a_real_picture() -> None:
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(huge_png()))
