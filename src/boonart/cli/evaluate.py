"""`boonart evaluate`: retrieval quality after the benchmark protocols."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import err, print_figures, progress_bar
from boonart.works import Ranker

app = typer.Typer(help="Measure retrieval quality after the benchmark protocols.", no_args_is_help=True)

EncoderOption = Annotated[str, typer.Option(help="Encoder to measure; the configured one by default.")]
RerankOption = Annotated[Ranker, typer.Option(help="Ranker to measure; none means global vectors only.")]
CandidatesOption = Annotated[int, typer.Option(help="How many candidates are reranked.", min=1)]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder with flickr8k, tate and masters; BOONART_DATA or ../shared/data by default."),
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the measurement to this file.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options of every protocol say."""

    encoder: str
    rerank: Ranker
    candidates: int
    json_file: Path | None


@app.command()
def flickr8k(
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    data: DataOption = None,
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonOption = None,
) -> None:
    """Recall both ways on Flickr8k: 1,000 photographs, 5,000 captions."""
    from boonart.evaluation.datasets import flickr8k as read
    from boonart.evaluation.protocols import captioned_pairs

    pairs = captioned_pairs("flickr8k", read(data_folder(data), split))
    measure("flickr8k", pairs, None, Choice(encoder, rerank, candidates, json_file), split=split)


@app.command()
def tate(
    data: DataOption = None,
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonOption = None,
) -> None:
    """Mean average precision and precision at 10 of 250 subjects over 627 works."""
    from boonart.evaluation.datasets import subject_queries, works
    from boonart.evaluation.protocols import subject_pairs

    collection = works(data_folder(data), "tate")
    queries = subject_queries(collection)
    pairs = subject_pairs("tate", collection, queries.texts)
    measure("tate", pairs, queries.relevant, Choice(encoder, rerank, candidates, json_file))


@app.command()
def masters(
    data: DataOption = None,
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonOption = None,
) -> None:
    """Recall both ways over 165 paintings and the paragraphs about them."""
    from boonart.evaluation.datasets import works as read
    from boonart.evaluation.protocols import described_pairs

    pairs = described_pairs("masters", read(data_folder(data), "masters"))
    measure("masters", pairs, None, Choice(encoder, rerank, candidates, json_file))


@app.command()
def sample(
    split: Annotated[str, typer.Option(help="train, dev, test or all.")] = "all",
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonOption = None,
) -> None:
    """Recall both ways over the sample gallery and its descriptions."""
    from boonart.evaluation.datasets import works_file
    from boonart.evaluation.protocols import described_pairs
    from boonart.sample.gallery import committed_gallery

    pairs = described_pairs("sample", works_file(committed_gallery(), split="" if split == "all" else split))
    measure("sample", pairs, None, Choice(encoder, rerank, candidates, json_file), split=split)


@app.command()
def works(
    file: Annotated[Path, typer.Option("--works", help="A works.jsonl whose works have descriptions.")],
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonOption = None,
) -> None:
    """Recall both ways over any works.jsonl with descriptions."""
    from boonart.evaluation.datasets import works_file
    from boonart.evaluation.protocols import described_pairs

    pairs = described_pairs(file.stem, works_file(file))
    measure("works", pairs, None, Choice(encoder, rerank, candidates, json_file))


def data_folder(given: Path | None) -> Path:
    """The folder of benchmark data: as given, from `BOONART_DATA`, or beside the project."""
    return given or Path(os.environ.get("BOONART_DATA", "../shared/data"))


def measure(name: str, pairs, relevant, choice: Choice, *, split: str = "") -> None:  # type: ignore[no-untyped-def]
    """Run one protocol, print its figures and write them where asked.

    Args:
        pairs: a `PairSet`; `relevant` a (M, N) bool array where texts are queries by subject, else None.
    """
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.evaluation.protocols import run_protocol
    from boonart.settings import read_settings

    settings = read_settings(encoder=choice.encoder or None)
    with stopwatch() as watch, progress_bar() as bar:
        task = bar.add_task(name, total=len(pairs))

        def total(count: int) -> None:
            bar.update(task, total=bar.tasks[0].total + count if bar.tasks[0].total else count)

        figures, models = run_protocol(
            settings,
            pairs,
            relevant,
            ranker=choice.rerank,
            candidates=choice.candidates,
            extend=total,
            advance=lambda done: bar.advance(task, done),
        )
    what = {"ranker": choice.rerank.value, "candidates": choice.candidates, **models}
    if split:
        what["split"] = split
    print_figures(f"{name}: {', '.join(f'{key} {value}' for key, value in what.items())}", figures)
    if choice.json_file is not None:
        Measurement(name, figures, what, this_machine(), watch.seconds).write(choice.json_file)
        err.print(f"Written to {choice.json_file}.")
