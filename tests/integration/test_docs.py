"""The examples in the documentation work, and what it refers to exists."""

import asyncio
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_support import colour_parts
from page_support import free_port, gateway_process
from typer.testing import CliRunner

from boonart.cli import app

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


def test_the_json_examples_are_json() -> None:
    for example in blocks("api.md", "json"):
        json.loads(example)


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
