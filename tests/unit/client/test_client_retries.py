"""What the Python client does when an answer is not what was hoped for."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

import boonart
from boonart.client import Client
from boonart.errors import (
    BoonArtError,
    Forbidden,
    InvalidRequest,
    NotFound,
    Overloaded,
    Unauthenticated,
    Unavailable,
)


def answering(*responses: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    waiting, seen = list(responses), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = waiting.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(answer), seen


EMPTY = {"hits": [], "target": "works", "ranker": "none", "took_ms": 1.0, "degraded": {}}
FULL = {"code": "overloaded", "detail": "The queue is full."}


def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    transport, seen = answering(
        httpx.ConnectError("no"),
        httpx.Response(429, json=FULL, headers={"Retry-After": "3"}),
        httpx.Response(200, json=EMPTY),
    )
    with Client(api_key="secret", transport=transport) as here:
        assert len(here.search("x")) == 0
    assert len(seen) == 3
    assert seen[0].headers["authorization"] == "Bearer secret"
    assert waits[0] < 1.0
    assert waits[1] == 3.0


def test_what_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    transport, seen = answering(*[httpx.Response(429, json=FULL)] * 3)
    with pytest.raises(Overloaded):
        Client(transport=transport).search("x")
    assert len(seen) == 3
    transport, _ = answering(httpx.ConnectError("refused"))
    with pytest.raises(Unavailable, match="refused"):
        Client(transport=transport, retries=0).search("x")


def test_what_changes_things_by_being_repeated_is_asked_once() -> None:
    transport, seen = answering(httpx.Response(503, json={"code": "unavailable", "detail": "x"}))
    with pytest.raises(Unavailable):
        Client(transport=transport).create_collection("x")
    assert len(seen) == 1


def test_works_are_sent_in_smaller_parts_where_the_server_takes_less() -> None:
    sent: list[list[str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        ids = [work["id"] for work in json.loads(request.content)["works"]]
        if len(ids) > 2:
            return httpx.Response(413, json={"code": "body-too-large", "detail": "The body has more than 1 MB."})
        sent.append(ids)
        return httpx.Response(200, json={"state": "succeeded"})

    works = [{"id": str(number), "image": b"x"} for number in range(5)]
    jobs = list(Client(transport=httpx.MockTransport(answer)).upsert("c", works))
    assert sent == [["0", "1"], ["2"], ["3", "4"]]
    assert len(jobs) == 3
    never = httpx.MockTransport(lambda _: httpx.Response(413, json={"code": "body-too-large", "detail": "Too much."}))
    with pytest.raises(InvalidRequest, match="Too much"):
        list(Client(transport=never).upsert("c", works))


@pytest.mark.parametrize(("status", "kind"), [(400, InvalidRequest), (404, NotFound), (500, BoonArtError)])
def test_a_code_that_is_not_known_has_the_kind_of_its_status(status: int, kind: type[BoonArtError]) -> None:
    transport, _ = answering(httpx.Response(status, json={"code": "of-a-newer-server", "detail": "What is wrong."}))
    with pytest.raises(kind, match="What is wrong") as caught:
        Client(transport=transport).collection("x")
    assert type(caught.value) is kind


def test_a_missing_key_and_another_server_are_said() -> None:
    transport, _ = answering(httpx.Response(401, json={"code": "unauthenticated", "detail": "A key is needed."}))
    with pytest.raises(Unauthenticated, match="api_key"):
        Client(transport=transport).search("x")
    transport, _ = answering(httpx.Response(403, json={"code": "forbidden", "detail": "This needs another scope."}))
    with pytest.raises(Forbidden, match="another scope"):
        Client(transport=transport).delete_collection("x")
    transport, _ = answering(httpx.Response(200, text="<html>"))
    with pytest.raises(Unavailable, match="not as BoonArt"):
        Client(transport=transport).search("x")


class Broken(httpx.SyncByteStream):
    """A stream of server-sent events that breaks off."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[bytes]:
        yield self.text.encode()
        raise httpx.ReadError("gone")


def event(number: int, name: str, state: str) -> str:
    return f"id: {number}\nevent: {name}\ndata: {json.dumps({'state': state, 'seq': number})}\n\n"


def test_a_stream_that_breaks_off_goes_on_after_the_last_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    transport, seen = answering(
        httpx.Response(200, stream=Broken(event(1, "state", "running") + event(2, "progress", "running") + "id: 3\n")),
        httpx.ConnectError("not yet"),
        httpx.Response(200, text=": still here\n\n" + event(3, "done", "succeeded")),
    )
    states = [job["seq"] for job in Client(transport=transport).follow_job("j")]
    assert states == [1, 2, 3]
    assert [request.headers.get("last-event-id") for request in seen] == [None, "2", "2"]


def test_a_job_that_was_over_before_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    transport, seen = answering(httpx.Response(200, text=event(9, "resync", "cancelled")))
    assert [job["state"] for job in Client(transport=transport).follow_job("j")] == ["cancelled"]
    assert len(seen) == 1
    transport, _ = answering(*[httpx.ConnectError("refused")] * 2)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(Unavailable, match="refused"):
        list(Client(transport=transport, retries=1).follow_job("j"))


def test_importing_it_needs_neither_torch_nor_grpc() -> None:
    heavy = "{'torch', 'grpc', 'fastapi', 'qdrant_client'}"
    code = f"import sys, boonart; boonart.Client; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert boonart.Client is Client
    with pytest.raises(AttributeError):
        boonart.nothing  # noqa: B018
