"""`boonart ingest`: a collection in, with progress, quarantine and a summary."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import progress_bar
from boonart.errors import InvalidRequest

QUARANTINED = 5
"""Exit code of an ingest that finished but had to leave something out."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("ingest")(ingest)


def ingest(
    source: Annotated[Path, typer.Argument(help="A works.jsonl, a CSV or TSV table, or a folder.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help='A table\'s columns: --map title=Titel --map image="Bild".'),
    ] = None,
    template: Annotated[
        str,
        typer.Option(help='Description for works without one: "{title}. {subjects}".'),
    ] = "{title}. {subjects}",
    keep_going: Annotated[bool, typer.Option(help="Exit with 0 although something was quarantined.")] = False,
    prune: Annotated[bool, typer.Option(help="Delete works that the source no longer has.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read works and their pictures into a collection.

    Can be interrupted and started again: it skips what has not changed. A bad record or picture is put
    into quarantine with its reason, and the run goes on.

    Examples:
      boonart ingest path/to/works.jsonl --collection tate
      boonart ingest objects.csv --collection town --map id=InvNr --map title=Titel --map image=Datei
      boonart ingest path/to/folder-of-pictures --collection holiday
    """
    from boonart_ingest.main import IngestOptions, run_ingest
    from boonart_ingest.sources import open_source

    from boonart.bootstrap import build
    from boonart.settings import read_settings

    columns = parse_mapping(mapping or [])
    works = open_source(source, mapping=columns, template=template)
    parts = build(read_settings())
    with progress_bar() as bar:
        task = bar.add_task(collection, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        async def run() -> object:
            try:
                options = IngestOptions(collection=collection, prune=prune)
                return await run_ingest(works, parts, options, progress=show)
            finally:
                await parts.close()



def parse_mapping(pairs: list[str]) -> dict[str, str]:
    """`["title=Titel"]` as `{"title": "Titel"}`.

    Raises:
        InvalidRequest: a pair without "=".
    """
    columns: dict[str, str] = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not equals or not name or not column:
            raise InvalidRequest(
                f"--map {pair!r} is not of the form FIELD=COLUMN.",
                hint="For example: --map title=Titel --map image=Datei",
                field="map",
            )
        columns[name.strip()] = column.strip()
    return columns
