"""`boonart ingest`: a collection in, with progress, quarantine and a summary."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress as ProgressBar

from boonart.cli.output import err, print_json, progress_bar
from boonart.errors import IndexLocked

if TYPE_CHECKING:
    from boonart.records import IngestReport, Progress
    from boonart.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("ingest")(ingest)


def ingest(
    source: Annotated[Path, typer.Argument(help="A works.jsonl, a CSV or TSV table, or a folder.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="A table's columns, once for each: --map title=Titel --map image=Datei."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help='Description for works without one, such as "{title}. {subjects}"; "" makes none.'),
    ] = None,
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
    from boonart.settings import read_settings
    from boonart_ingest.options import QUARANTINED, parse_mapping

    settings = read_settings()
    columns = parse_mapping(mapping or [])
    with progress_bar() as bar:
        report, quarantine = asyncio.run(
            ingest_into(settings, source, collection, bar, mapping=columns, template=template, prune=prune)
        )
    if as_json:
        print_json(asdict(report))
    else:
        summarise(report, collection, quarantine)
    if not report.ok and not keep_going:
        raise typer.Exit(QUARANTINED)


async def ingest_into(
    settings: Settings,
    source: Path,
    collection: str,
    bar: ProgressBar | None = None,
    *,
    mapping: dict[str, str] | None = None,
    template: str | None = None,
    prune: bool = False,
) -> tuple[IngestReport, Path]:
    """Ingest a source with the parts that the settings ask for.

    Returns:
        The report, and where the quarantine is written.

    Raises:
        SourceError: the source cannot be read.
        IndexLocked: a running server owns the collection.
    """
    from boonart.bootstrap import build
    from boonart_ingest.main import IngestOptions, quarantine_path, run_ingest
    from boonart_ingest.sources import open_source

    works = open_source(source, mapping=mapping, template=template)
    task = bar.add_task(f"{collection}: loading models", total=None) if bar else None
    parts = await asyncio.to_thread(build, settings)

    def show(now: Progress) -> None:
        if bar is not None and task is not None:
            bar.update(task, description=collection, completed=now.done, total=now.total)

    try:
        report = await run_ingest(works, parts, IngestOptions(collection, prune=prune), progress=show)
        return report, quarantine_path(parts, collection)
    except IndexLocked as error:
        where = f"the server at {error.url}" if error.url else "another process"
        raise IndexLocked(
            f"The collection {collection} is open in {where}.", hint="Stop it and run this again.", url=error.url
        ) from error
    finally:
        await parts.close()


def summarise(report: IngestReport, collection: str, quarantine: Path) -> None:
    """Say what the run did, and where to look at what it could not do."""
    err.print(
        f"{collection}: {report.added:,} added, {report.updated:,} updated, {report.unchanged:,} unchanged, "
        f"{report.pruned:,} removed, {report.quarantined:,} quarantined in {report.seconds:.1f} s."
    )
    if report.quarantined:
        reasons = ", ".join(f"{count:,} × {code}" for code, count in sorted(report.reasons.items()))
        err.print(f"Quarantined ({reasons}): see {quarantine}.", style="yellow")
    if report.prune_refused:
        err.print(report.prune_refused, style="yellow")
