"""The application on fakes: headers, limits, readiness, bugs, starting and failing."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator

import pytest
from gateway_fakes import KEY, OneVectorEncoder, OneWorkIndex, client_of, fake_parts

from boonart.errors import CollectionNotFound, ConfigurationError, DeadlineExceeded, ModelNotAvailable, Unavailable
from boonart.settings import Settings, local_address
from boonart.works import Query
from boonart_services.gateway import problems
from boonart_services.gateway.context import Context
from boonart_services.gateway.main import check_port, create_app
from boonart_services.gateway.middleware import HEADERS


def index_of(context: Context) -> OneWorkIndex:
    found = context.wired().index
    assert isinstance(found, OneWorkIndex)
    return found


async def test_every_answer_has_the_safe_headers_and_an_id() -> None:
    async with client_of(create_app(fake_parts("c"))) as client:
        for path in ("/", "/healthz", "/v1/collections", "/static/style.css", "/nothing", "/openapi.json"):
            response = await client.get(path)
            for name, value in HEADERS.items():
                assert response.headers[name] == value, path
            assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_head_is_answered_as_get_without_the_body() -> None:
    async with client_of(create_app(fake_parts("c"))) as client:
        for path, status in (("/healthz", 200), ("/v1/collections", 200), ("/v1/nothing", 404), ("/v1/search", 405)):
            whole, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (whole.status_code, b"") == (status, b""), path
            assert head.headers["content-length"] == whole.headers["content-length"] != "0"
            assert head.headers["content-type"] == whole.headers["content-type"]
        put = await client.put("/v1/collections")
    assert put.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ("é", False)])
async def test_a_proxys_request_id_is_kept_if_it_is_one(given: str, kept: bool) -> None:
    async with client_of(create_app(fake_parts("c"))) as client:
        response = await client.get("/healthz", headers={b"x-request-id": given.encode()})
    assert (response.headers["x-request-id"] == given) == kept


async def test_a_bug_is_a_problem_without_its_details(caplog: pytest.LogCaptureFixture) -> None:
    parts = fake_parts("c")
    index = parts.index
    assert isinstance(index, OneWorkIndex)
    index.error = ZeroDivisionError("secret of the house")
    async with client_of(create_app(parts)) as client:
        response = await client.post("/v1/search", json={"text": "x"})
    assert response.status_code == 500
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["code"] == "internal"
    assert "secret" not in response.text
    assert "secret of the house" in caplog.text


async def test_trying_again_is_said_where_it_helps() -> None:
    parts = fake_parts("c")
    index = parts.index
    assert isinstance(index, OneWorkIndex)
    async with client_of(create_app(parts)) as client:
        index.error = Unavailable("The index is down.", retry_after=7.4)
        down = await client.post("/v1/search", json={"text": "x"})
    assert (down.status_code, down.headers["retry-after"]) == (503, "7")


async def test_a_search_ends_at_its_deadline() -> None:
    parts = fake_parts("c", request_deadline=0.02)

    async def endless(query: Query) -> None:
        await asyncio.sleep(30)

    parts.search.run = endless  # type: ignore[method-assign, assignment]
    with pytest.raises(DeadlineExceeded, match=r"0\.02 s"):
        await Context(parts).search(Query("c", text="x"))


async def test_the_only_collection_is_meant_where_none_is_named() -> None:
    assert await Context(fake_parts("only")).collection("") == "only"
    assert await Context(fake_parts("a", "b", default_collection="b")).collection("") == "b"
    assert await Context(fake_parts("a", default_collection="gone")).collection("") == "a"
    with pytest.raises(CollectionNotFound, match="Name one of: a, b"):
        await Context(fake_parts("a", "b")).collection("")
    with pytest.raises(CollectionNotFound, match="boonart ingest"):
        await Context(fake_parts()).collection("")


async def test_readiness_is_a_real_query_and_is_kept_a_while() -> None:
    context = Context(fake_parts("a", "b", default_collection="b"))
    await asyncio.gather(*(context.check_ready() for _ in range(5)))
    encoder = context.wired().encoder
    assert isinstance(encoder, OneVectorEncoder)
    assert encoder.asked == 1
    assert index_of(context).searched == ["b"]
    context.ready_at -= 60
    index_of(context).error = Unavailable("The index is down.")
    with pytest.raises(Unavailable):
        await context.check_ready()
    index_of(context).error = None
    await context.check_ready()


async def test_a_failing_encoder_is_not_ready() -> None:
    parts = fake_parts("a")
    assert isinstance(parts.encoder, OneVectorEncoder)
    parts.encoder.error = Unavailable("No memory.")
    async with client_of(create_app(parts)) as client:
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        parts.encoder.error = None
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_it_lives_before_the_models_are_loaded() -> None:
    gate, ready = threading.Event(), asyncio.Event()
    parts = fake_parts("a")

    def start() -> object:
        gate.wait(20)
        return parts

    app = create_app(start=start, on_ready=ready.set, settings=Settings())  # type: ignore[arg-type]
    async with app.router.lifespan_context(app), client_of(app) as client:
        assert (await client.get("/healthz")).status_code == 200
        waiting = await client.post("/v1/search", json={"text": "x"})
        page = await client.get("/?q=x", headers={"accept": "text/html"})
        gate.set()
        await asyncio.wait_for(ready.wait(), 20)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.post("/v1/search", json={"text": "x"})).status_code == 200
    assert (waiting.status_code, waiting.headers["retry-after"]) == (503, "2")
    assert page.status_code == 503
    assert "being loaded" in page.text


@pytest.mark.parametrize("error", [ModelNotAvailable("No weights."), ZeroDivisionError("a bug")])
async def test_parts_that_cannot_be_made_are_told(error: Exception) -> None:
    failures: list[BaseException] = []

    def start() -> object:
        raise error

    app = create_app(start=start, on_failure=failures.append, settings=Settings())  # type: ignore[arg-type]
    async with app.router.lifespan_context(app):
        pass
    assert failures == [error]


async def test_a_body_is_counted_as_it_arrives() -> None:
    parts = fake_parts("c", max_picture_bytes=1024)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    async with client_of(create_app(parts)) as client:
        chunked = await client.post("/v1/search", content=chunks())
        declared = await client.post("/v1/search", content=b" " * 5000)
        person = await client.post("/", content=chunks(), headers={"accept": "text/html"})
    for response in (chunked, declared):
        assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    assert chunked.headers["connection"] == "close"
    assert person.headers["content-type"].startswith("text/html")


async def test_pictures_are_cached_by_their_version() -> None:
    async with client_of(create_app(fake_parts("c"))) as client:
        work = (await client.get("/v1/works/a%2Fb%20c")).json()
        response = await client.get(work["picture"]["thumbnail_url"])
        plain = await client.get("/v1/works/a%2Fb%20c/image")
        again = await client.get("/v1/works/a%2Fb%20c/image", headers={"if-none-match": f'"x", W/"{KEY}-display"'})
    assert (work["id"], work["collection"]) == ("a/b c", "c")
    assert (response.content, response.headers["content-type"]) == (b"thumbnail", "image/webp")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (plain.content, plain.headers["cache-control"]) == (b"display", "public, max-age=60")
    assert plain.headers["etag"] != response.headers["etag"]
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == plain.headers["etag"]


async def test_the_pages_files_are_cached_by_their_version() -> None:
    async with client_of(create_app(fake_parts("c"))) as client:
        found = re.search(r'href="(/static/style\.css\?v=\w+)"', (await client.get("/")).text)
        assert found is not None
        versioned, plain = await client.get(found[1]), await client.get("/static/style.css")
    assert "immutable" in versioned.headers["cache-control"]
    assert plain.headers["cache-control"] == "no-cache"


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} .* in use") as caught:
            check_port("127.0.0.1", port)
    assert "--port" in caught.value.hint
    check_port("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("art.example", "http://art.example:80"),
    ],
)
def test_the_address_is_one_that_can_be_opened(host: str, expected: str) -> None:
    assert local_address(host, 80) == expected
