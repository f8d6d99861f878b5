"""What `boonart search` asks for, of whom, and how it shows the answer."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from boonart import cli
from boonart.cli import search
from boonart.cli.output import out
from boonart.client.results import Page, to_page
from boonart.errors import BoonArtError, CollectionNotFound, Forbidden, IndexLocked, Unauthenticated, Unavailable
from boonart.index.edge import EdgeIndex
from boonart.settings import Settings
from boonart.works import Manifest

WORK = {"id": "n1", "title": "A ford\n\x1b[31m", "artist": "Ada\tGrey", "date": "1861", "description": "Water."}
HIT = {"rank": 1, "score": 0.9, "global_score": 0.9, "collection": "tate", "matched_by": ["vector"], "work": WORK}
ANSWER: dict[str, Any] = {
    "collection": "tate",
    "target": "works",
    "ranker": "none",
    "hits": [HIT],
    "facets": {"artist": [{"value": "Ada Grey", "count": 3}]},
    "next_cursor": "abc",
    "took_ms": 1.0,
    "stages": {"encode": 1.0},
    "degraded": {"rerank": "it is [down]"},
    "models": {},
}


class Recording:
    """A client that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.answer = ANSWER
        self.error: BoonArtError | None = None

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def search(self, **given: Any) -> Page:
        self.asked = json.loads(json.dumps(given, default=str))
        if self.error:
            raise self.error
        return to_page(self.answer, "")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Recording:
    made = Recording()
    monkeypatch.setattr(search, "_client", lambda *_: made)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["search", *arguments], catch_exceptions=False)


def test_every_option_of_rest_can_be_given(client: Recording) -> None:
    from boonart_services.gateway.schemas import SearchRequest

    run("a cow", "--not", "a rider", "-c", "a", "-c", "b", "--facet", "artist", "--cursor", "c",
        "--target", "works", "--filter", "a = 1")  # fmt: skip
    alone = {"text", "image", "like", "collection"}  # in place of query and collections
    assert client.asked.keys() | alone == set(SearchRequest.model_fields)


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["a cow"], {"text": "a cow"}),
        (["--like", "n1"], {"like": "n1"}),
        (
            ["in the snow", "--like", "n1", "--not", "a rider"],
            {"query": [{"text": "in the snow"}, {"like": "n1"}, {"text": "a rider", "weight": -0.5}]},
        ),
        (
            ["a cow", "--query", '[{"text": "snow", "weight": 2}]'],
            {"query": [{"text": "a cow"}, {"text": "snow", "weight": 2}]},
        ),
        (["a", "-c", "tate"], {"text": "a", "collection": "tate"}),
        (["a", "-c", "tate", "-c", "other"], {"text": "a", "collections": ["tate", "other"]}),
        (["a", "-f", "year >= 1800"], {"text": "a", "filter": {"range": {"field": "year", "gte": 1800}}}),
        (["a", "-f", '{"exists": {"field": "x"}}'], {"text": "a", "filter": {"exists": {"field": "x"}}}),
        (["a", "--mode", "hybrid", "--keyword-weight", "2"], {"text": "a", "mode": "hybrid", "keyword_weight": 2.0}),
    ],
)
def test_what_is_typed_is_what_is_asked(client: Recording, arguments: list[str], asked: dict[str, Any]) -> None:
    assert run(*arguments).exit_code == 0
    assert {name: client.asked.get(name) for name in ("text", "like", "query", *asked)} == {
        "text": None,
        "like": None,
        "query": None,
        **asked,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "empty"),
        (["--not", "a rider"], "not wanted"),
        (["a", "--limit", "0"], "limit"),
        (["a", "--diversity", "2"], "diversity"),
        (["a", "--image", "nothing.jpg"], "no file nothing.jpg"),
        (["a", "--query", "snow"], "no JSON"),
        (["a", "--query", '{"text": "snow"}'], "list of parts"),
        (["a", "--query", '[{"text": "snow", "weight": "much"}]'], "no number"),
        (["--query", '[{"text": "snow", "like": "n1"}]'], "at once"),
        (["a", "-f", "artist ="], "at character 9"),
        (["a", "-f", "{"], "no JSON"),
        (["--like", "n1", "-c", "a", "-c", "b"], "belongs to one collection"),
    ],
)
def test_nonsense_is_refused_before_a_model_is_loaded(client: Recording, arguments: list[str], words: str) -> None:
    with pytest.raises(BoonArtError, match=words):
        run(*arguments)
    assert client.asked == {}


def test_a_program_gets_what_rest_answers(client: Recording) -> None:
    assert json.loads(run("a", "--json").stdout) == ANSWER


def test_a_program_that_reads_lines_gets_a_hit_a_line(client: Recording) -> None:
    second = {**HIT, "rank": 2, "work": {**WORK, "title": "Überfahrt"}}
    client.answer = {**ANSWER, "hits": [HIT, second], "warnings": [{"field": "explain", "message": "Nothing [there]."}]}
    result = run("a", "--jsonl")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [HIT, second]
    assert "Überfahrt" in result.stdout
    assert "--cursor abc" in result.stderr
    assert "Without rerank: it is [down]" in result.stderr
    assert "No effect of explain: Nothing [there]." in result.stderr
    client.answer = {**ANSWER, "hits": []}
    assert run("a", "--jsonl").stdout == ""


def test_a_pipe_gets_a_line_a_hit_with_tabs_between(client: Recording) -> None:
    result = run("a")
    assert result.stdout == "1\t0.900\tn1\tA ford [31m\tAda Grey\t1861\n\nAda Grey\t3\n"
    assert "Without rerank: it is [down]" in result.stderr
    assert "--cursor abc" in result.stderr


def test_a_terminal_gets_a_table(client: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "_force_terminal", True)
    client.answer = {**ANSWER, "target": "descriptions"}
    shown = run("a").stdout
    assert "title" in shown
    assert "\t" not in shown
    assert "\x1b[31m" not in shown, "a record cannot steer the terminal"
    assert "Water." in shown


def test_nothing_found_is_said(client: Recording) -> None:
    client.answer = {**ANSWER, "hits": [], "facets": {}}
    assert "Nothing found" in run("a").stderr


@pytest.mark.parametrize("flag", ["--json", "--jsonl"])
@pytest.mark.parametrize(("kind", "code"), [(CollectionNotFound, 1), (Unauthenticated, 4), (Forbidden, 4)])
def test_an_error_is_told_by_the_exit_code_and_to_programs_as_json(
    client: Recording,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[BoonArtError],
    code: int,
    flag: str,
) -> None:
    client.error = kind("There is [none].", hint="Look again.", field="collection")
    hint = "Look again." if code == 1 else "Put a key for it into BOONART_API_KEY; "
    for arguments in (["a"], ["a", flag]):
        monkeypatch.setattr("sys.argv", ["boonart", "search", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    words, document = printed.err.split("{", 1)
    assert words.startswith(f"Error: There is [none].\n{hint}")
    fault = {"pointer": "collection", "code": kind.code, "message": "There is [none]."}
    problem = json.loads("{" + document)
    assert (problem["code"], problem["errors"]) == (kind.code, [fault])
    assert problem["detail"].startswith(f"There is [none]. {hint}")


def test_a_file_that_may_not_be_read_is_said_without_a_traceback(
    client: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> Page:
        raise PermissionError(13, "Permission denied", "/private/cow.jpg")

    monkeypatch.setattr(client, "search", refused)
    monkeypatch.setattr("sys.argv", ["boonart", "search", "a"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "Error: Permission denied: /private/cow.jpg.\n"


def test_the_server_that_has_the_collection_is_asked(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)

    async def look(*names: str) -> str:
        return await search._owner(settings, names)

    async def with_owner(url: str) -> list[str]:
        index = EdgeIndex(settings.collections_folder, server_url=url)
        await index.create("one", Manifest("fake-32", 32))
        try:
            return [await look("one"), await look()]
        finally:
            await index.drop("one")
            await index.close()

    assert asyncio.run(with_owner("http://127.0.0.1:9")) == ["http://127.0.0.1:9"] * 2
    with pytest.raises(IndexLocked):
        asyncio.run(with_owner(""))
    with pytest.raises(CollectionNotFound, match="none yet"):
        asyncio.run(look())
    with pytest.raises(CollectionNotFound, match="nowhere"):
        asyncio.run(look("nowhere"))


def test_a_named_server_is_asked_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOONART_API_KEY", "boon_1_secret")
    asked: list[tuple[str, str]] = []

    def away(_: object, server: str, api_key: str) -> Recording:
        asked.append((server, api_key))
        raise Unavailable("It is away.")

    monkeypatch.setattr(search, "_client", away)
    with pytest.raises(Unavailable):
        run("a", "--server", "http://museum.example")
    assert asked == [("http://museum.example", "boon_1_secret")]
