"""`boonart sample`: paint the sample gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import JsonFlag, err, print_json, progress_bar


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("sample")(sample)


def sample(
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder for works.jsonl and pictures.")] = Path(
        "sample"
    ),
    seed: Annotated[int, typer.Option(help="Another seed paints another gallery.")] = 2023,
    as_json: JsonFlag = False,
) -> None:
    """Paint the sample gallery: some 300 paintings with titles, descriptions and scene graphs."""
    from boonart.sample.gallery import write_gallery

    with progress_bar() as bar:
        task = bar.add_task("painting", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        written = write_gallery(folder, seed, show)
    if as_json:
        print_json({"works": str(written)})
        return
    err.print(f"The gallery is at {written}.")
