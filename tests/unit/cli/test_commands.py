"""What all commands have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from boonart.cli import app
from boonart.cli.output import STDOUT, keep, out
from boonart.evaluation.measurement import Measurement

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every subcommand with the words that call it."""
    command = command or get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        yield from commands(child, (*path, name))


ALL = dict(commands())


def test_there_are_commands() -> None:
    assert {("search",), ("keys", "create"), ("evaluate", "names"), ("train", "vitr")} <= ALL.keys()


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_speaks_json(path: tuple[str, ...]) -> None:
    options = {name: parameter for parameter in ALL[path].params for name in parameter.opts}
    assert "--json" in options, f"boonart {' '.join(path)} has no --json"
    flag = options["--json"].is_flag
    assert flag or "prints it" in options["--json"].help


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    assert ALL[path].help
    assert [p.name for p in ALL[path].params if not getattr(p, "help", "")] == []


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_is_in_the_documentation(path: tuple[str, ...]) -> None:
    assert f"`boonart {' '.join(path)}`" in DOCS.read_text(encoding="utf-8")


def test_a_measurement_goes_to_standard_output_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    measured = Measurement("names", {"title.first": 3.0}, {"seed": 0})
    keep(measured, STDOUT)
    assert '"title.first": 3.0' in capsys.readouterr().out
    keep(measured, tmp_path / "m.json")
    assert (tmp_path / "m.json").is_file()
    keep(measured, None)
    assert capsys.readouterr().out == ""


def test_tables_make_room_for_json() -> None:
    # The file is missing, so that nothing is measured; what is asked for has been read by then.
    CliRunner().invoke(app, ["evaluate", "works", "--works", "missing.jsonl", "--json", "-"])
    assert out.stderr
    CliRunner().invoke(app, ["evaluate", "works", "--works", "missing.jsonl"])
    assert not out.stderr
