"""`boonart import-representations`: a collection of vectors that were computed elsewhere."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import err, print_json, progress_bar


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import-representations")(import_representations)


def import_representations(
    folder: Annotated[Path, typer.Argument(help="Folder with the .npy files, named as in the BoonArt paper.")],
    works: Annotated[Path, typer.Option("--works", "-w", help="Table of the works: CSV, TSV or JSON lines.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="A table's columns, once for each: --map title=Titel --map id=Nummer."),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Encoder that the files were computed with; the configured one by default.")
    ] = "",
    replace: Annotated[bool, typer.Option(help="Put it in the place of a collection of this name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Make a searchable collection of representations that were computed elsewhere.

    The folder holds ArtUKimGloRp.npy and ArtUKdeGloRp.npy (global vectors of pictures and descriptions) and, for
    the reranker, ArtUKimLocRp.npy and ArtUKdeLocRp.npy; other names in front of imGloRp.npy and so on will do. Row
    i of each belongs to work i of the table. Pictures are shown where the table names files that are there.
    Everything is checked before anything is stored.

    Example:
      boonart import-representations artuk/ --works artuk/works.csv -c artuk --encoder open_clip:ViT-B-32/openai
    """
    from boonart.bootstrap import build
    from boonart.settings import read_settings
    from boonart_ingest.import_representations import ImportReport
    from boonart_ingest.import_representations import import_representations as run_import
    from boonart_ingest.options import parse_mapping
    from boonart_ingest.representations import open_representations
    from boonart_ingest.sources import open_source

    settings = read_settings(encoder=encoder or None)
    table = open_source(works, mapping=parse_mapping(mapping or []), template="", with_pictures=False)
    files = open_representations(folder)
    parts = build(settings)

    with progress_bar() as bar:
        tasks = {what: bar.add_task(f"{collection}: {what}", total=None) for what in ("checking", "storing")}

        async def run() -> ImportReport:
            try:
                return await run_import(
                    files,
                    table,
                    parts,
                    collection,
                    replace=replace,
                    progress=lambda what, done, total: bar.update(tasks[what], completed=done, total=total),
                )
            finally:
                await parts.close()

        report = asyncio.run(run())
    if as_json:
        print_json(asdict(report))
        return
    err.print(
        f"{collection}: {report.works:,} works, {report.described:,} with a description, {report.pictured:,} with a "
        f"picture, {report.relational:,} with regions for the reranker, in {report.seconds:.1f} s."
    )
    for note in report.notes:
        err.print(note, style="yellow")
