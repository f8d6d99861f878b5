"""`boonart explain` and `boonart reindex`: why a work matched, and the same works under other models."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import JsonFlag, err, print_json, progress_bar
from boonart.errors import ConfigurationError, InvalidQuery
from boonart.works import Query, Ranker, Target, WordMap


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("explain")(explain)
    app.command("reindex")(reindex)


def explain(
    text: Annotated[str, typer.Argument(help="The query; its words are looked for in the picture.")],
    work_id: Annotated[str, typer.Option("--work", help="Id of the work.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Its collection.")] = "sample",
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")] = Path("explanation.png"),
    ranker: Annotated[Ranker, typer.Option(help="Whose attention to show.")] = Ranker.DEFAULT,
    as_json: JsonFlag = False,
) -> None:
    """Draw where each word of a query looked in a work's picture.

    Example:
      boonart explain "a man sitting with his dog" --work sample-004 -o out.png
    """
    from boonart.bootstrap import build
    from boonart.encoders.pictures import decode
    from boonart.settings import read_settings
    from boonart.vitr.explain import draw

    if not text.strip():
        raise InvalidQuery("The query is empty.", hint="Give at least one word.", field="text")
    parts = build(read_settings())

    async def run() -> tuple[tuple[WordMap, ...], bytes]:
        try:
            if parts.reranker is None:
                raise ConfigurationError(
                    f"There are no reranker weights for {parts.encoder.card.id}, so nothing can be explained.",
                    hint="Train them: boonart train vitr --help",
                )
            query = Query(collection, text=text, target=Target.WORKS, rerank=ranker)
            hit = await parts.search.explain(query, work_id)
            picture = await asyncio.to_thread(parts.pictures.read, collection, hit.picture.key, "display")
            return hit.explanation, picture[0]
        finally:
            await parts.close()

    maps, data = asyncio.run(run())
    out.write_bytes(draw(decode(data), maps))
    if as_json:
        words = [{"word": word.word, "weights": word.weights.astype(float).round(5).tolist()} for word in maps]
        print_json({"drawing": str(out), "explanation": words})
        return
    err.print(f"The drawing is {out}.")


def reindex(
    collection: Annotated[str, typer.Argument(help="The collection to encode anew.")],
    as_json: JsonFlag = False,
) -> None:
    """Encode a collection anew with the configured models, then switch to the result in one step.

    Searches in another process go on in the old version until the switch.
    """
    from boonart.bootstrap import build
    from boonart.encoders.pictures import decode, dominant_colour, renditions
    from boonart.records import IngestReport, PictureTools, Progress
    from boonart.reindexing import reindex as run_reindex
    from boonart.settings import read_settings

    parts = build(read_settings())
    with progress_bar() as bar:
        task = bar.add_task(collection, total=None)

        def show(now: Progress) -> None:
            bar.update(task, completed=now.done, total=now.total)

        async def run() -> IngestReport:
            try:
                return await run_reindex(
                    collection,
                    parts.encoder,
                    parts.index,
                    parts.pictures,
                    PictureTools(decode, renditions, dominant_colour),
                    reranker=parts.reranker,
                    on_progress=show,
                )
            finally:
                await parts.close()

        report = asyncio.run(run())
    if as_json:
        print_json(asdict(report))
        return
    err.print(f"{collection}: {report.indexed:,} works under {parts.encoder.card.id} in {report.seconds:.1f} s.")
