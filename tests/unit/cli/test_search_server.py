"""What a running server's answer means to the command line."""

import httpx
import pytest

from boonart.cli import search
from boonart.errors import BoonArtError, CollectionNotFound, InvalidFilter, ModelMismatch, Overloaded, Unavailable
from boonart.works import Ranker

ASKED = search.Asked("a cow", None, "", "tate", None, 5, 100, Ranker.DEFAULT, 0.0)


def answering(monkeypatch: pytest.MonkeyPatch, response: httpx.Response) -> None:
    def post(url: str, **_: object) -> httpx.Response:
        response.request = httpx.Request("POST", url)
        return response

    monkeypatch.setattr(httpx, "post", post)


@pytest.mark.parametrize("kind", [CollectionNotFound, InvalidFilter, ModelMismatch, Overloaded])
def test_a_problem_is_the_error_that_it_names(monkeypatch: pytest.MonkeyPatch, kind: type[BoonArtError]) -> None:
    fault = {"pointer": "/filter", "code": kind.code, "message": "x"}
    body = {"code": kind.code, "detail": "What is wrong.", "errors": [fault]}
    answering(monkeypatch, httpx.Response(400, json=body))
    with pytest.raises(kind, match="What is wrong") as error:
        search._ask_server("http://127.0.0.1:1", ASKED, "tate")
    assert type(error.value) is kind


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"detail": "x"}', b'{"code": 1}'])
def test_another_server_on_the_port_is_said(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    answering(monkeypatch, httpx.Response(502, content=content))
    with pytest.raises(Unavailable, match="502"):
        search._ask_server("http://127.0.0.1:1", ASKED, "tate")
