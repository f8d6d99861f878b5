"""The examples in the documentation work, and what it refers to exists."""

import asyncio
import base64
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_support import colour_parts, painting
from page_support import free_port, gateway_process
from typer.testing import CliRunner

from boonart.cli import app
from boonart.client import Client

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROCESS = ROOT / "tests" / "page_gateway.py"
pytestmark = pytest.mark.integration


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    with gateway_process([sys.executable, str(PROCESS), str(port), str(home)], port, home / "log", {}) as url:
        yield url


def test_the_python_examples_run(base_url: str) -> None:
    examples = blocks("python.md", "python")
    assert len(examples) >= 5
    names: dict[str, object] = {"base_url": base_url}
    for example in examples:
        exec(compile(example, "docs/python.md", "exec"), names)


def test_the_command_line_examples_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOONART_HOME", str(tmp_path))
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    monkeypatch.setenv("BOONART_RERANKER", "none")

    async def fill() -> None:
        async with colour_parts(tmp_path):
            pass

    asyncio.run(fill())
    lines = [line for block in blocks("cli.md", "sh run") for line in block.splitlines() if line.strip()]
    assert len(lines) >= 8
    for line in lines:
        command, *arguments = shlex.split(line)
        assert command == "boonart"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{line}: {result.output} {result.exception}"
        if "--json" in arguments:
            json.loads(result.stdout)


PICTURE = painting((200, 40, 40))


@pytest.fixture(scope="module")
def sample(base_url: str) -> str:
    """The address of a server that has a collection of the name and with the work that docs/api.md speaks of."""
    with Client(base_url) as client:
        client.create_collection("sample")
        works = [{"id": "sample-001", "description": "A boat", "medium": "Oil on canvas", "image": PICTURE}]
        assert [job["state"] for job in client.upsert("sample", works)] == ["succeeded"]
    return base_url


def as_request(command: str, server: str, job: str) -> httpx.Request:
    """What a call of curl sends, as far as the documentation calls it."""
    waiting = shlex.split(command.replace("BASE64", base64.b64encode(PICTURE).decode()).replace("/JOB/", f"/{job}/"))
    assert waiting.pop(0) == "curl"
    method, address, headers = "", "", {}
    given: dict[str, Any] = {}
    while waiting:
        match waiting.pop(0):
            case "-s" | "-N":
                pass
            case "-X":
                method = waiting.pop(0)
            case "-H":
                name, _, value = waiting.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                given["content"] = waiting.pop(0)
            case "-F":
                name, _, value = waiting.pop(0).partition("=")
                kind, item = ("files", PICTURE) if value.startswith("@") else ("data", value)
                given.setdefault(kind, {})[name] = item
            case argument:
                assert argument.startswith("localhost:8000/")
                address = server + argument.removeprefix("localhost:8000")
    return httpx.Request(method or ("POST" if given else "GET"), address, headers=headers, **given)


def test_the_requests_of_the_interface_are_answered(sample: str) -> None:
    lines = "".join(blocks("api.md", "sh"))
    commands = [line for line in re.split(r"^(?=curl )", lines, flags=re.M) if line.startswith("curl ")]
    assert len(commands) >= 8
    job = ""
    with httpx.Client(timeout=60) as client:
        for command in commands:
            response = client.send(as_request(command.partition("boonart keys")[0].strip(), sample, job))
            assert response.is_success, f"{command}: {response.text}"
            if response.headers.get("location", "").startswith("/v1/jobs/"):
                job = response.json()["id"]
    assert "event: done" in response.text, "the last of them follows the job"


def test_the_json_examples_are_json(sample: str) -> None:
    asked = 0
    for example in blocks("api.md", "json"):
        body = json.loads(example)
        if {"text", "query"} & body.keys():
            response = httpx.post(f"{sample}/v1/search", json={"collection": "sample", **body}, timeout=60)
            assert response.is_success, response.text
            asked += 1
    assert asked >= 2


def test_every_test_that_a_feature_refers_to_exists() -> None:
    named = re.findall(r"`(tests/[^`]+)`", (DOCS / "features.md").read_text(encoding="utf-8"))
    assert len(named) >= 16
    for name in named:
        path, _, test = name.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, name


def test_every_feature_says_which_test_shows_it() -> None:
    lines = (DOCS / "features.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| |")]
    assert len(rows) >= 16
    assert [row for row in rows if "`tests/" not in row] == []


def test_every_command_has_help_with_its_options() -> None:
    for command in (["search"], ["doctor"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"]):
        result = CliRunner().invoke(app, [*command, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.stdout
