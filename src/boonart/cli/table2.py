"""`boonart paper table2`: recall on held-out pairs, zero-shot and fine-tuned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from boonart.cli.output import JsonFile, err, keep, out, progress_bar, progress_lines
from boonart.cli.paper import wired

if TYPE_CHECKING:
    from boonart.evaluation.measurement import Measurement
    from boonart.evaluation.table2 import PairData, Row
    from boonart.vitr.weights import Checkpoint


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("table2")(table2)


def table2(
    data: Annotated[str, typer.Option(help="sample, masters, flickr8k, or a works.jsonl or its folder.")] = "sample",
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Take the works of this collection instead.")
    ] = "",
    fine_tune: Annotated[bool, typer.Option(help="Fine-tune on the train split and measure again.")] = True,
    encoder: Annotated[str, typer.Option(help="Encoder; the configured one by default.")] = "",
    candidates: Annotated[int, typer.Option(help="How many candidates are reranked.", min=1)] = 100,
    passes: Annotated[int, typer.Option(help="Passes of fine-tuning; 0 chooses by size.", min=0)] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the split, the training and the intervals.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the fine-tuned weights; trained/DATA by default.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder for encoded features, kept between runs.", envvar="BOONART_CACHE")
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Table II: R@1, R@5 and R@10 both ways on held-out pairs, zero-shot and fine-tuned, with 95 % intervals.

    500 pairs are for testing, as in the paper, 500 for choosing, and the rest for training; where there are fewer,
    a third, a sixth and the rest. Interrupted, the same command goes on where it stopped.

    Examples:
      boonart paper table2 --data masters
      boonart paper table2 --collection artuk --no-fine-tune
    """
    import torch

    from boonart.cli.train import cache_folder
    from boonart.encoders.catalogue import load_encoder
    from boonart.evaluation.measurement import stopwatch
    from boonart.evaluation.table2_run import Table2Options, run_table2
    from boonart.settings import read_settings
    from boonart.training.fine_tuning import Tuning

    pairs = read_pairs_of_collection(collection, seed) if collection else read_pairs_of_data(data, seed)
    settings = read_settings(encoder=encoder or None)
    device = settings.device if settings.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    model = load_encoder(settings.encoder, models_folder=settings.models_folder, device=settings.device)
    start = shipped_checkpoint(model.card.id, settings.models_folder, settings.reranker)
    out_folder = folder or Path("trained") / f"vitr-{pairs.name}"
    options = Table2Options(
        cache_folder(cache), out_folder, fine_tune, candidates, device, Tuning(seed=seed, passes=passes)
    )
    with stopwatch() as watch, progress_bar() as bar:
        rows = run_table2(pairs, model, start, options, progress_lines(bar))
    _show_table2(pairs, rows, seed)
    if start is None:
        err.print(f"There are no reranker weights for {model.card.id}: nothing was reranked zero-shot.", style="yellow")
    if fine_tune:
        err.print(f"The fine-tuned weights are in {out_folder}.")
    what: dict[str, str | int | float | bool] = {
        "data": pairs.name,
        "encoder": model.card.id,
        "reranker": start.card.id if start is not None else "",
        "candidates": candidates,
        "seed": seed,
        "own_split": pairs.own_split,
    }
    keep(table2_measurement(pairs, rows, what, watch.seconds), json_file)


def table2_measurement(
    pairs: PairData, rows: list[Row], settings: dict[str, str | int | float | bool], seconds: float
) -> Measurement:
    """The table in the one form of measurements."""
    from boonart.evaluation.measurement import Measurement, this_machine

    figures = {"pairs.train": len(pairs.train), "pairs.dev": len(pairs.dev), "pairs.test": len(pairs.test)}
    measured = {name: value for row in rows for name, value in row.figures(seed=int(settings["seed"])).items()}
    return Measurement("table2", {**figures, **measured}, settings, this_machine(), seconds)


def read_pairs_of_data(data: str, seed: int) -> PairData:
    """The pairs of a named data set or of a file."""
    from boonart.cli.evaluate import data_folder
    from boonart.evaluation.datasets import find_data
    from boonart.evaluation.table2 import read_pairs_of

    name = "sample" if data == "sample" else ""
    return read_pairs_of(find_data(data, data_folder(None)), name=name, seed=seed)


def read_pairs_of_collection(collection: str, seed: int) -> PairData:
    """The works of a stored collection that have a description and a picture, split at random."""
    from boonart.encoders.pictures import decode
    from boonart.evaluation import paper
    from boonart.evaluation.table2 import pair_of, random_split
    from boonart.works import Picture

    with wired(collection) as parts:
        stored = sorted(asyncio.run(paper.all_works(parts, collection)).items())
        pictures = parts.pictures

    def reading(key: str) -> Callable[[], Picture]:
        return lambda: decode(pictures.read(collection, key, "display")[0])

    pairs = [
        pair_of(reading(key), [work.description], row)
        for row, (_, (work, key)) in enumerate(stored)
        if work.description.strip() and key
    ]
    return random_split(collection, pairs, seed=seed)


def shipped_checkpoint(encoder_id: str, models_folder: Path, name: str) -> Checkpoint | None:
    """The weights that searches use, or None where there are none for this encoder."""
    from boonart.errors import ModelNotAvailable
    from boonart.vitr.weights import find_weights, load_checkpoint

    if name == "none":
        return None
    try:
        return load_checkpoint(find_weights(name, encoder_id=encoder_id, models_folder=models_folder))
    except ModelNotAvailable:
        if name != "auto":
            raise
        return None


def _show_table2(pairs: PairData, rows: list[Row], seed: int) -> None:
    from boonart.evaluation.table2 import TEST_PAIRS

    split = "the data set's own split" if pairs.own_split else f"drawn at random, seed {seed}"
    fewer = (
        "" if len(pairs.test) >= TEST_PAIRS else f" There are fewer than the paper's {TEST_PAIRS} pairs for testing."
    )
    out.print(
        f"{pairs.name}: {len(pairs.test)} pairs for testing, {len(pairs.dev)} for choosing, {len(pairs.train)} for "
        f"training, {split}.{fewer}",
        style="bold",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold", caption="Percent, with 95 % bootstrap intervals.")
    table.add_column("method")
    table.add_column("pairs", justify="right")
    for direction in ("image to text", "text to image"):
        for cut in (1, 5, 10):
            table.add_column(f"{direction}\nR@{cut}" if cut == 1 else f"\nR@{cut}", justify="right")
    for row in rows:
        figures = row.figures(seed=seed)
        cells = []
        for direction in ("image_to_text", "text_to_image"):
            for cut in (1, 5, 10):
                name = f"{row.key}.{direction}.R@{cut}"
                cells.append(f"{figures[name]:.1f}\n{figures[f'{name}.low']:.0f}–{figures[f'{name}.high']:.0f}")
        table.add_row(row.method, str(row.pairs), *cells)
    out.print(table)
