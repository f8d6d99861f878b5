"""`boonart evaluate`: retrieval quality after the benchmark protocols."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from boonart.cli.output import JsonFile, err, keep, print_by_ranker, print_figures, progress_bar
from boonart.works import Mode, Ranker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from boonart.bootstrap import Parts
    from boonart.evaluation.protocols import PairSet
    from boonart.evaluation.relation_runs import LoadReranker
    from boonart.evaluation.retrieval import BoolArray
    from boonart.ports import EncoderModel

Found = TypeVar("Found")
app = typer.Typer(help="Measure retrieval quality after the benchmark protocols.", no_args_is_help=True)

EncoderOption = Annotated[str, typer.Option(help="Encoder to measure; the configured one by default.")]
RerankOption = Annotated[Ranker, typer.Option(help="Ranker to measure; none means global vectors only.")]
CandidatesOption = Annotated[int, typer.Option(help="How many candidates are reranked.", min=1)]
DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder with flickr8k, tate and masters; BOONART_DATA or ../shared/data by default."),
]


UNHURRIED = {"encode_deadline": 600.0, "rerank_deadline": 600.0}
"""A busy machine must not change what is measured."""


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
    json_file: JsonFile = None,
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
    mode: Annotated[
        Mode | None,
        typer.Option(help="Search a stored collection in this mode, instead of comparing vectors in memory."),
    ] = None,
    collection: Annotated[str, typer.Option("--collection", "-c", help="The stored collection, for --mode.")] = "tate",
    json_file: JsonFile = None,
) -> None:
    """Mean average precision and precision at 10 of 250 subjects over 627 works.

    With --mode the queries go the whole way of a search, over the collection that `boonart ingest` stored.
    """
    from boonart.evaluation.datasets import subject_queries, works
    from boonart.evaluation.protocols import subject_pairs

    read = works(data_folder(data), "tate")
    queries = subject_queries(read)
    if mode is not None:
        ids = [item.work.id for item in read]
        choice = Choice(encoder, rerank, candidates, json_file)
        searched("tate", collection, queries.texts, ids, queries.relevant, mode, choice)
        return
    pairs = subject_pairs("tate", read, queries.texts)
    measure("tate", pairs, queries.relevant, Choice(encoder, rerank, candidates, json_file))


@app.command()
def names(
    collection: Annotated[str, typer.Option("--collection", "-c", help="The stored collection.")],
    works: Annotated[int, typer.Option(help="How many works are drawn.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Which works are drawn.")] = 0,
    mode: Annotated[Mode, typer.Option(help="How candidates are found.")] = Mode.HYBRID,
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    json_file: JsonFile = None,
) -> None:
    """How often a work's id, number, title or artist finds it first.

    A title or artist that several works share counts where any of them comes first.
    """
    from boonart.evaluation.measurement import Measurement, this_machine
    from boonart.evaluation.modes import Named, names_first

    def ask(parts: Parts, advance: Callable[[int], None]) -> Coroutine[None, None, Named]:
        return names_first(
            parts.search, parts.index, collection, count=works, seed=seed, mode=mode, ranker=rerank, advance=advance
        )

    found, encoder_id, seconds = over_stored("names", works, encoder, ask)
    what: dict[str, str | int | float | bool] = {
        "collection": collection,
        "works": found.works,
        "seed": seed,
        "mode": mode.value,
        "ranker": rerank.value,
        "encoder": encoder_id,
    }
    print_figures(f"names: {', '.join(f'{key} {value}' for key, value in what.items())}", found.figures)
    for miss in found.misses:
        err.print(f"{miss.kind} {miss.text!r}: {miss.first or 'nothing'} before {miss.wanted}", markup=False)
    keep(Measurement("names", found.figures, what, this_machine(), seconds), json_file)


@app.command()
def masters(
    data: DataOption = None,
    encoder: EncoderOption = "",
    rerank: RerankOption = Ranker.NONE,
    candidates: CandidatesOption = 100,
    json_file: JsonFile = None,
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
    json_file: JsonFile = None,
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
    json_file: JsonFile = None,
) -> None:
    """Recall both ways over any works.jsonl with descriptions."""
    from boonart.evaluation.datasets import works_file
    from boonart.evaluation.protocols import described_pairs

    pairs = described_pairs(file.stem, works_file(file))
    measure("works", pairs, None, Choice(encoder, rerank, candidates, json_file))


@app.command()
def relations(
    works_file: Annotated[
        Path | None, typer.Option("--works", help="A gallery's works.jsonl with twins; the sample gallery by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, dev or test.")] = "test",
    encoder: EncoderOption = "",
    json_file: JsonFile = None,
) -> None:
    """Twins that differ in the relation alone: text, image and group score of the four rankers."""
    from boonart.evaluation.relation_runs import evaluate_relations, gallery_twins
    from boonart.sample.gallery import committed_gallery

    cases = gallery_twins(works_file or committed_gallery(), split)
    probe(
        "relations",
        lambda *given: evaluate_relations(given[0], given[1], cases, given[2], given[3]),
        encoder,
        json_file,
    )


@app.command()
def pairs(
    file: Annotated[
        Path | None,
        typer.Argument(help='A JSON list of {"image", "caption", "swapped"}; Flickr8k\'s dev captions by default.'),
    ] = None,
    data: DataOption = None,
    encoder: EncoderOption = "",
    json_file: JsonFile = None,
) -> None:
    """How often a picture prefers its caption to one with the roles exchanged."""
    from boonart.evaluation.datasets import flickr8k as read
    from boonart.evaluation.relation_runs import evaluate_pairs, exchanged_pairs
    from boonart.evaluation.relations import read_pairs

    found = read_pairs(file) if file is not None else exchanged_pairs(read(data_folder(data), "dev"))

    def run(
        model: EncoderModel, load: LoadReranker, rankers: tuple[str, ...], advance: Callable[[int], None]
    ) -> dict[str, float]:
        return evaluate_pairs(model, load, found, rankers, advance)

    probe("pairs", run, encoder, json_file)


def data_folder(given: Path | None) -> Path:
    """The folder of benchmark data: as given, from `BOONART_DATA`, or beside the project."""
    return given or Path(os.environ.get("BOONART_DATA", "../shared/data"))


def probe(
    name: str,
    run: Callable[[EncoderModel, LoadReranker, tuple[str, ...], Callable[[int], None]], dict[str, float]],
    encoder: str,
    json_file: Path | None,
) -> None:
    """Run a relation probe with every ranker there is, print its figures and write them where asked."""
    from functools import partial

    from boonart.encoders.catalogue import load_encoder
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.settings import read_settings
    from boonart.vitr.weights import find_weights, load_reranker, read_metadata

    settings = read_settings(encoder=encoder or None)
    model = load_encoder(settings.encoder, models_folder=settings.models_folder, device=settings.device)
    # Before the encoding, which takes minutes: without weights there is nothing to compare.
    file = find_weights("auto", encoder_id=model.card.id, models_folder=settings.models_folder)
    there = read_metadata(file)["mixtures"]["rankers"]
    rankers = ("global", *(name for name in ("late", "vitr", "role") if name in there), "default")
    load = partial(
        load_reranker, "auto", encoder_card=model.card, models_folder=settings.models_folder, device=settings.device
    )
    with stopwatch() as watch, progress_bar() as bar:
        task = bar.add_task(name, total=None)
        figures = run(model, lambda index: load(index=index), rankers, lambda done: bar.advance(task, done))
    print_by_ranker(f"{name}, {model.card.id}", figures, rankers)
    keep(Measurement(name, figures, {"encoder": model.card.id}, this_machine(), watch.seconds), json_file)


def over_stored(
    name: str,
    total: int,
    encoder: str,
    ask: Callable[[Parts, Callable[[int], None]], Coroutine[None, None, Found]],
) -> tuple[Found, str, float]:
    """Ask a search of what is stored, under a progress bar.

    Args:
        total: steps of the bar.
        ask: what to do with the parts; told what to call after each step.

    Returns:
        What came of it, the encoder's id, and the seconds it took.
    """
    import asyncio

    from boonart.bootstrap import build
    from boonart.evaluation.measurement import stopwatch
    from boonart.settings import read_settings

    parts = build(read_settings(encoder=encoder or None, **UNHURRIED))

    async def run(advance: Callable[[int], None]) -> Found:
        try:
            return await ask(parts, advance)
        finally:
            await parts.close()

    with stopwatch() as watch, progress_bar() as bar:
        task = bar.add_task(name, total=total)
        found = asyncio.run(run(lambda done: bar.advance(task, done)))
    return found, parts.encoder.card.id, watch.seconds


def searched(
    name: str,
    collection: str,
    texts: Sequence[str],
    ids: Sequence[str],
    relevant: BoolArray,
    mode: Mode,
    choice: Choice,
) -> None:
    """Run queries by subject over a stored collection, print their figures and write them where asked.

    Args:
        ids: of the N works that count.
        relevant: (Q, N).
    """
    from boonart.evaluation.measurement import Measurement, this_machine
    from boonart.evaluation.modes import ranked_by_search
    from boonart.evaluation.protocols import subject_figures
    from boonart.works import Float32Array

    def ask(parts: Parts, advance: Callable[[int], None]) -> Coroutine[None, None, Float32Array]:
        return ranked_by_search(
            parts.search,
            collection,
            texts,
            ids,
            mode=mode,
            ranker=choice.rerank,
            candidates=choice.candidates,
            advance=advance,
        )

    scores, encoder_id, seconds = over_stored(name, len(texts), choice.encoder, ask)
    figures = subject_figures(scores, relevant)
    what: dict[str, str | int | float | bool] = {
        "collection": collection,
        "mode": mode.value,
        "ranker": choice.rerank.value,
        "encoder": encoder_id,
    }
    print_figures(f"{name}: {', '.join(f'{key} {value}' for key, value in what.items())}", figures)
    keep(Measurement(name, figures, what, this_machine(), seconds), choice.json_file)


def measure(name: str, pairs: PairSet, relevant: BoolArray | None, choice: Choice, *, split: str = "") -> None:
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
            bar.update(task, total=len(pairs) + count)

        figures, models = run_protocol(
            settings,
            pairs,
            relevant,
            ranker=choice.rerank,
            candidates=choice.candidates,
            extend=total,
            advance=lambda done: bar.advance(task, done),
        )
    what: dict[str, str | int | float | bool] = {
        "ranker": choice.rerank.value,
        "candidates": choice.candidates,
        **models,
    }
    if split:
        what["split"] = split
    print_figures(f"{name}: {', '.join(f'{key} {value}' for key, value in what.items())}", figures)
    keep(Measurement(name, figures, what, this_machine(), watch.seconds), choice.json_file)
