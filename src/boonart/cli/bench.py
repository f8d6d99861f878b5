"""`boonart bench`: how fast queries and ingests are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boonart.cli.output import JsonFile, keep, print_figures, progress_bar

if TYPE_CHECKING:
    from boonart.evaluation.measurement import Measurement

app = typer.Typer(help="Measure the speed of queries, of ingest and of re-ranking.", no_args_is_help=True)


@app.command()
def query(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Collection to search.")] = "",
    queries: Annotated[int, typer.Option(help="How many queries of each kind.", min=5)] = 100,
    rerank: Annotated[str, typer.Option(help="Ranker: default, none, late, vitr or role.")] = "default",
    json_file: JsonFile = None,
) -> None:
    """Time text and picture queries from the HTTP request to the answer, stage by stage."""
    from boonart.evaluation.speed import bench_query
    from boonart.settings import read_settings

    with progress_bar() as bar:
        task = bar.add_task("queries", total=2 * queries)
        measured = bench_query(
            read_settings(), collection, queries=queries, rerank=rerank, advance=lambda: bar.advance(task)
        )
    show(f"bench query, {measured.settings['collection']}", measured, json_file)


@app.command()
def ingest(
    source: Annotated[Path | None, typer.Argument(help="Works to ingest; the sample gallery by default.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Time an ingest into a fresh folder against a plain loop over the encoder on the same pictures."""
    from boonart.evaluation.speed import bench_ingest
    from boonart.sample.gallery import committed_gallery
    from boonart.settings import read_settings

    show("bench ingest", bench_ingest(read_settings(), source or committed_gallery()), json_file)


def show(title: str, measured: Measurement, json_file: Path | None) -> None:
    """Print a measurement and write it where asked."""
    print_figures(f"{title}, {measured.machine['processor']}", measured.figures)
    keep(measured, json_file)
