"""How the command line speaks: tables and colours for people, one JSON object for programs."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from boonart.errors import BoonArtError

if TYPE_CHECKING:
    from boonart.evaluation.measurement import Measurement


def console(*, stderr: bool = False) -> Console:
    """A console for people: what forces colours counts more than what forbids them, and that more than a terminal."""
    return Console(stderr=stderr, highlight=False, no_color=False if os.environ.get("FORCE_COLOR") else None)


out = console()
err = console(stderr=True)


def fail(error: BoonArtError, *, as_json: bool = False) -> None:
    """Say what is wrong and, on a line of its own, what to do next.

    Args:
        as_json: a program asked: one JSON document on standard error, its fields those of a problem over REST.
    """
    if as_json:
        faults = [{"pointer": error.field, "code": error.code, "message": error.message}] if error.field else []
        problem = {"code": error.code, "detail": str(error), **({"errors": faults} if faults else {})}
        sys.stderr.write(json.dumps(problem, ensure_ascii=False, indent=2) + "\n")
        return
    err.print(Text.assemble(("Error: ", "bold red"), error.message), soft_wrap=True)
    if error.hint:
        err.print(Text(error.hint), soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_json_lines(values: Iterable[Any]) -> None:
    """A JSON document a line on standard output, for what reads line by line."""
    sys.stdout.writelines(json.dumps(value, ensure_ascii=False, default=str) + "\n" for value in values)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Collection[str] = (), headed: bool = False
) -> None:
    """Rows for people as a table; where the output is no terminal, a line each with tabs between the values.

    Args:
        right: columns whose values stand at the right, as numbers do.
        headed: name the columns in the first line there too, since the values alone do not say what they are.
    """
    cleaned = [[_cell(value) for value in row] for row in rows]
    if not out.is_terminal:
        stream = sys.stderr if out.stderr else sys.stdout
        if headed:
            stream.write("\t".join(columns) + "\n")
        stream.writelines("\t".join(row) + "\n" for row in cleaned)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in cleaned:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)


def _cell(value: object) -> str:
    """A value on one line, without what would steer the terminal: records come from anywhere."""
    text = "".join(" " if unicodedata.category(char) == "Cc" else char for char in str(value))
    return " ".join(text.split())


STDOUT = Path("-")
"""Instead of a file: standard output."""


def _tables_aside(file: Path | None) -> Path | None:
    """Where JSON goes to standard output, tables for people go to standard error."""
    out.stderr = file == STDOUT
    return file


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
JsonLinesFlag = Annotated[bool, typer.Option("--jsonl", help="Print a JSON document a line on standard output.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help='Write the measurement to this file; "-" prints it.', callback=_tables_aside),
]


def keep(measurement: Measurement, file: Path | None) -> None:
    """Write a measurement where it was asked for: nowhere, to a file, or to standard output."""
    if file == STDOUT:
        print_json(asdict(measurement))
    elif file is not None:
        measurement.write(file)
        err.print(f"Written to {file}.")


def print_figures(title: str, figures: Mapping[str, float]) -> None:
    """Figures as a table of name and number."""
    out.print(Text(title, style="bold"), soft_wrap=True)
    width = max((len(name) for name in figures), default=0)
    for name, value in figures.items():
        out.print(f"  {name:<{width}}  {value:>12,.6g}")


def print_by_ranker(title: str, figures: Mapping[str, float], rankers: Sequence[str]) -> None:
    """Figures named `<probe>.<ranker>.<what>` as a table with a column a ranker; others below it."""
    rows: dict[str, dict[str, float]] = {}
    others: dict[str, float] = {}
    for name, value in figures.items():
        _, _, rest = name.partition(".")
        ranker, _, what = rest.partition(".")
        if ranker in rankers and what:
            rows.setdefault(what, {})[ranker] = value
        else:
            others[name] = value
    out.print(Text(title, style="italic"), soft_wrap=True)
    cells = [
        [what, *(f"{values[name]:.1f}" if name in values else "–" for name in rankers)] for what, values in rows.items()
    ]
    print_table(["percent", *rankers], cells, right=rankers, headed=True)
    for name, value in others.items():
        out.print(f"{name}: {value:,.6g}")


class RateColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        """The speed, or nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")


def progress_bar() -> Progress:
    """A progress bar on standard error with rate and time left; silent where that is not a terminal."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        transient=False,
    )


def progress_lines(bar: Progress) -> Callable[[str, int, int], None]:
    """A progress callback (what, done, total) that gives each kind of work a line of the bar.

    What stands behind a comma in `what` is shown but makes no new line.
    """
    tasks: dict[str, TaskID] = {}

    def tell(what: str, done: int, total: int) -> None:
        kind = what.partition(",")[0]
        if kind not in tasks:
            tasks[kind] = bar.add_task(what, total=total)
        bar.update(tasks[kind], description=what, completed=done, total=total)

    return tell
