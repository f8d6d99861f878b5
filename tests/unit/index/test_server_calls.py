"""Which failures of Qdrant are tried again, how long, and what becomes of them."""

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from boonart.errors import (
    BoonArtError,
    CollectionNotFound,
    ConfigurationError,
    DeadlineExceeded,
    Overloaded,
    Unavailable,
    WorkIndexError,
)
from boonart.index import server_calls
from boonart.index.server_calls import READ_TRIES, Connection, NameTaken
from boonart.index.server_options import ServerOptions


def status(code: grpc.StatusCode, details: str = "why") -> Exception:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), details=details)


def http(code: int, error: str = "why") -> Exception:
    body = f'{{"status": {{"error": "{error}"}}, "time": 0.0}}'.encode()
    return UnexpectedResponse(code, "", body, httpx.Headers())


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_calls, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(server_calls, "LONGEST_PAUSE", 0.002)


class Failing:
    """Fails with each of these, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, client: Any) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


async def run(operation: Failing, *, write: bool = False, **options: Any) -> str:
    connection = Connection("http://127.0.0.1:1", ServerOptions(**options))
    try:
        call = connection.write if write else connection.read
        return await call(operation, "tate")
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (status(grpc.StatusCode.NOT_FOUND, "Collection `tate` doesn't exist!"), CollectionNotFound),
        (status(grpc.StatusCode.ALREADY_EXISTS), WorkIndexError),
        (status(grpc.StatusCode.INVALID_ARGUMENT, "Collection `tate` already exists!"), NameTaken),
        (status(grpc.StatusCode.INVALID_ARGUMENT, "bad vector"), WorkIndexError),
        (status(grpc.StatusCode.UNAUTHENTICATED), ConfigurationError),
        (status(grpc.StatusCode.PERMISSION_DENIED), ConfigurationError),
        (http(404, "Not found"), CollectionNotFound),
        (http(409, "Collection `tate` already exists!"), NameTaken),
        (http(400, "bad vector"), WorkIndexError),
        (http(401), ConfigurationError),
        (http(403), ConfigurationError),
        (ValueError("Collection tate not found"), CollectionNotFound),
        (RuntimeError("a bug"), WorkIndexError),
    ],
)
async def test_what_will_fail_again_is_not_tried_again(failure: Exception, expected: type[BoonArtError]) -> None:
    operation = Failing(failure)
    with pytest.raises(expected):
        await run(operation, write=True)
    assert operation.calls == 1


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (status(grpc.StatusCode.UNAVAILABLE), Unavailable),
        (status(grpc.StatusCode.INTERNAL), Unavailable),
        (status(grpc.StatusCode.RESOURCE_EXHAUSTED), Overloaded),
        (status(grpc.StatusCode.DEADLINE_EXCEEDED), DeadlineExceeded),
        (http(500), Unavailable),
        (http(503), Unavailable),
        (http(429), Overloaded),
        (http(408), DeadlineExceeded),
        (ResourceExhaustedResponse("full", 7), Overloaded),
        (ResponseHandlingException(httpx.ConnectError("refused")), Unavailable),
        (ResponseHandlingException(httpx.ReadTimeout("")), Unavailable),
    ],
)
async def test_what_may_pass_is_tried_again_and_then_said(failure: Exception, expected: type[BoonArtError]) -> None:
    assert await run(Failing(failure, failure)) == "answer"
    operation = Failing(*[failure] * 50)
    with pytest.raises(expected) as caught:
        await run(operation)
    assert type(caught.value) is expected
    assert caught.value.retry_after > 0  # type: ignore[attr-defined]
    assert operation.calls == READ_TRIES


async def test_a_write_is_tried_until_its_time_is_over() -> None:
    assert await run(Failing(*[http(503)] * 40), write=True) == "answer"
    operation = Failing(*[http(503)] * 10_000)
    with pytest.raises(Unavailable):
        await run(operation, write=True, write_timeout=1.5)
    assert operation.calls > READ_TRIES


async def test_a_copy_may_take_longer_than_a_write_and_is_not_begun_twice() -> None:
    connection = Connection("http://127.0.0.1:1", ServerOptions(timeout=0.05, write_timeout=0.05))

    async def slow(client: Any) -> str:
        await asyncio.sleep(0.2)
        return "answer"

    with pytest.raises(DeadlineExceeded):
        await connection.write(slow)
    assert await connection.copy(slow) == "answer"
    lost = Failing(status(grpc.StatusCode.UNAVAILABLE), status(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(Unavailable):
        await connection.copy(lost)
    assert lost.calls == 1
    await connection.close()


def test_the_clients_own_deadline_comes_after_that_of_any_call() -> None:
    client = Connection("http://127.0.0.1:1", ServerOptions())._make()
    assert client._client._timeout > server_calls.COPY_TIMEOUT


async def test_the_server_says_when_to_come_back() -> None:
    with pytest.raises(Overloaded) as caught:
        await run(Failing(*[ResourceExhaustedResponse("full", 7)] * 50))
    assert caught.value.retry_after == 7


async def test_a_call_that_does_not_end_is_ended() -> None:
    ended = asyncio.Event()

    async def hang(client: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    connection = Connection("http://127.0.0.1:1", ServerOptions(timeout=0.05))
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        await connection.read(hang, "tate")
    assert ended.is_set()
    await connection.close()


async def test_a_caller_that_goes_takes_the_call_with_it() -> None:
    started = asyncio.Event()

    async def hang(client: Any) -> None:
        started.set()
        await asyncio.sleep(60)

    connection = Connection("http://127.0.0.1:1", ServerOptions())
    call = asyncio.create_task(connection.read(hang, "tate"))
    await started.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await connection.close()


async def test_a_long_reason_is_cut() -> None:
    with pytest.raises(WorkIndexError) as caught:
        await run(Failing(http(400, "x" * 10_000)))
    assert len(str(caught.value)) < 600


async def test_the_key_is_sent_and_not_shown() -> None:
    options = ServerOptions(api_key="secret", prefer_grpc=False)
    connection = Connection("http://127.0.0.1:1", options)

    async def headers(client: Any) -> dict[str, str]:
        found: dict[str, str] = client._client._rest_headers
        return found

    assert (await connection.read(headers))["api-key"] == "secret"
    assert "secret" not in repr(options)
    await connection.close()


def test_an_authority_that_cannot_be_read_is_said(tmp_path: Any) -> None:
    with pytest.raises(ConfigurationError, match="certificate authority"):
        Connection("https://qdrant:6333", ServerOptions(tls_ca=tmp_path / "none.pem"))
