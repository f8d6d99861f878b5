"""`boonart bench rerank`, `exhaustive` and `storage`: what re-ranking costs, and what it saves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from boonart.all_cores import with_all_cores
from boonart.cli.bench import show
from boonart.cli.output import JsonFile, err, progress_bar, progress_lines

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar

    from boonart.evaluation.protocols import EncodedPairs
    from boonart.evaluation.rerank_speed import WarmCollection
    from boonart.ports import EncoderModel, Reranker
    from boonart.works import ImageEmbedding, TextEmbedding

DataOption = Annotated[
    str, typer.Option(help="sample, masters, flickr8k, or a works.jsonl or its folder; encoded once and kept.")
]
CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Measure on this stored collection instead.")]
CacheOption = Annotated[
    Path | None, typer.Option(help="Folder for encoded features, kept between runs.", envvar="BOONART_CACHE")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("rerank")(rerank)
    app.command("exhaustive")(exhaustive)
    app.command("storage")(storage)


def rerank(
    data: DataOption = "sample",
    collection: CollectionOption = "",
    candidates: Annotated[int, typer.Option(help="Candidates of each query.", min=1)] = 100,
    queries: Annotated[int, typer.Option(help="How many queries of each kind.", min=5)] = 50,
    cache: CacheOption = None,
    json_file: JsonFile = None,
) -> None:
    """Time re-ranking alone: 100 candidates against a query, features in memory, by each ranker."""
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.evaluation.rerank_speed import rerank_figures

    with stopwatch() as watch, progress_bar() as bar:
        bench = prepare(data, collection, cache, bar, queries=queries)
        task = bar.add_task("queries", total=None)
        figures = rerank_figures(
            bench.reranker,
            bench.warm,
            bench.texts,
            bench.pictures,
            candidates=candidates,
            advance=lambda done: bar.advance(task, done),
        )
        asyncio.run(bench.reranker.close())
    asked = min(candidates, len(bench.warm.images))
    if asked < candidates:
        err.print(f"The collection has {asked} works: so many are re-ranked, not {candidates}.", style="yellow")
    settings = bench.settings | {"candidates": asked, "queries": len(bench.texts)}
    show(
        f"bench rerank, {asked} candidates",
        Measurement("bench.rerank", figures, settings, this_machine(), watch.seconds),
        json_file,
    )


def exhaustive(
    data: DataOption = "sample",
    collection: CollectionOption = "",
    works: Annotated[
        int, typer.Option(help="Works to search; a smaller collection is repeated, each work moved a little.", min=10)
    ] = 6_783,
    queries: Annotated[int, typer.Option(help="How many queries.", min=3)] = 20,
    cache: CacheOption = None,
    json_file: JsonFile = None,
) -> None:
    """Search with 50 to 400 candidates against scoring every work with the same network, as the paper does.

    Example:
      boonart bench exhaustive --data flickr8k --works 6783
    """
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.evaluation.rerank_speed import enlarged, exhaustive_figures

    with stopwatch() as watch, progress_bar() as bar:
        bench = prepare(data, collection, cache, bar, queries=queries, works=works)
        warm = asyncio.run(enlarged(bench.warm, works))
        task = bar.add_task("queries", total=6 * len(bench.texts) + 2)
        figures = exhaustive_figures(
            bench.reranker,
            bench.judging_all,
            warm,
            bench.texts,
            advance=lambda done: bar.advance(task, done),
        )
        asyncio.run(bench.reranker.close())
        asyncio.run(bench.judging_all.close())
    figures |= {"works": float(len(warm.images)), "works.real": float(warm.real)}
    if warm.real < len(warm.images):
        err.print(
            f"{warm.real:,} works have features of their own; the others up to {len(warm.images):,} repeat them, moved "
            "a little. Times are as with real ones; how much of the top 10 is kept is not.",
            style="yellow",
        )
    settings = bench.settings | {"queries": len(bench.texts), "works": len(warm.images)}
    show(
        "bench exhaustive", Measurement("bench.exhaustive", figures, settings, this_machine(), watch.seconds), json_file
    )


def storage(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Stored collection to measure.")] = "sample",
    json_file: JsonFile = None,
) -> None:
    """What a work of a stored collection costs in bytes: its vectors, and all that lies on the disk for it.

    Pictures are counted apart: they are kept whatever the index does.
    """
    from boonart.bootstrap import build_index
    from boonart.errors import ConfigurationError
    from boonart.evaluation.measurement import Measurement, stopwatch, this_machine
    from boonart.evaluation.rerank_speed import bytes_per_work, warm_collection
    from boonart.ports import CollectionInfo
    from boonart.settings import read_settings

    settings = read_settings()

    async def run() -> tuple[CollectionInfo, WarmCollection]:
        index = build_index(settings)
        try:
            info = await index.describe(collection)
            if not info.count:
                raise ConfigurationError(f"The collection {collection} is empty.", hint="Ingest something into it.")
            return info, await warm_collection(index, collection)
        finally:
            await index.close()

    with stopwatch() as watch:
        info, warm = asyncio.run(run())
    words = sum(warm.words) / info.count
    manifest = info.manifest
    figures = {
        "bytes_per_work": bytes_per_work(manifest.global_size, manifest.embed_size, words),
        "bytes_per_work.largest": bytes_per_work(manifest.global_size, manifest.embed_size, max(warm.words, default=0)),
        "bytes_per_work.on_disk": info.size_bytes / info.count,
        "words.mean": words,
        "D": float(manifest.global_size),
        "E": float(manifest.embed_size),
        "works": float(info.count),
    }
    measured = Measurement("bench.storage", figures, {"collection": collection}, this_machine(), watch.seconds)
    show(f"bench storage, {collection}", measured, json_file)


@dataclass(frozen=True, slots=True)
class Bench:
    """A reranker with a collection in memory, and queries.

    Attributes:
        judging_all: the same without a bound on what the role-aware head judges.
    """

    reranker: Reranker
    judging_all: Reranker
    warm: WarmCollection
    texts: list[TextEmbedding]
    pictures: list[ImageEmbedding]
    settings: dict[str, str | int | float | bool]


def prepare(
    data: str, collection: str, cache: Path | None, bar: ProgressBar, *, queries: int, works: int = 1_000
) -> Bench:
    """Load the models and the collection's features.

    Args:
        works: at most so many of a data set are encoded.

    Raises:
        ModelNotAvailable: there are no reranker weights for the encoder.
        ConfigurationError: a stored collection holds no features.
    """
    from boonart.encoders.catalogue import load_encoder
    from boonart.evaluation.protocols import ArrayFeatures
    from boonart.evaluation.rerank_speed import warm_pairs
    from boonart.evaluation.table2 import TEST_PAIRS
    from boonart.settings import read_settings
    from boonart.vitr.weights import find_weights, load_reranker

    settings = read_settings()
    model = with_all_cores(load_encoder, settings.encoder, models_folder=settings.models_folder, device=settings.device)
    # Before the encoding, which takes minutes: without weights there is nothing to measure.
    find_weights("auto", encoder_id=model.card.id, models_folder=settings.models_folder)
    load = partial(
        load_reranker,
        "auto",
        encoder_card=model.card,
        models_folder=settings.models_folder,
        device=settings.device,
        bank_bytes=settings.bank_bytes,
    )
    if collection:
        warm, texts, pictures = _stored(collection, model, queries)
        reranker, judging_all = _both(partial(load, index=warm.features))
    else:
        pairs, features = _encoded(data, model, cache, bar, works), ArrayFeatures()
        reranker, judging_all = _both(partial(load, index=features))
        warm = asyncio.run(warm_pairs(reranker, features, pairs))
        # The pictures for testing come first; those behind them the weights may have been trained on.
        step = max(1, min(len(pairs.texts), TEST_PAIRS) // queries)
        texts, pictures = pairs.texts[::step][:queries], pairs.images[::step][:queries]
    about = {"data": collection or data, "encoder": model.card.id, "reranker": reranker.card.id}
    return Bench(reranker, judging_all, warm, texts, pictures, dict(about))


def _encoded(data: str, model: EncoderModel, cache: Path | None, bar: ProgressBar, works: int) -> EncodedPairs:
    """Pictures of a data set with one description each, those that are for testing first."""
    from boonart.cli.evaluate import data_folder
    from boonart.cli.train import cache_folder
    from boonart.evaluation.datasets import find_data
    from boonart.evaluation.table2 import encoded_pairs, one_caption, read_pairs_of
    from boonart.training.vitr_features import encode_training_set

    pairs = read_pairs_of(find_data(data, data_folder(None)), name="sample" if data == "sample" else "")
    chosen = [one_caption(pair) for pair in (*pairs.test, *pairs.dev, *pairs.train)][:works]
    name = f"bench-{pairs.name}-{len(chosen)}"
    return encoded_pairs(
        with_all_cores(encode_training_set, model, name, chosen, cache_folder(cache), progress=progress_lines(bar))
    )


def _both(load: Callable[..., Reranker]) -> tuple[Reranker, Reranker]:
    """The reranker as it is used, and without a bound on what the role-aware head judges."""
    return with_all_cores(load), with_all_cores(load, depth=None)


def _stored(
    collection: str, model: EncoderModel, queries: int
) -> tuple[WarmCollection, list[TextEmbedding], list[ImageEmbedding]]:
    """A stored collection, the queries of the paper and of `bench query`, and pictures of the collection."""
    from boonart.bootstrap import build_index
    from boonart.encoders.pictures import decode
    from boonart.errors import WorkNotFound
    from boonart.evaluation.paper import TABLE1_QUERIES
    from boonart.evaluation.rerank_speed import warm_collection
    from boonart.evaluation.speed import QUERIES
    from boonart.index.picture_store import FilePictureStore
    from boonart.settings import read_settings

    settings = read_settings()
    store = FilePictureStore(settings.pictures_folder)

    async def read() -> tuple[WarmCollection, list[str]]:
        index = build_index(settings)
        try:
            warm = await warm_collection(index, collection)
            return warm, [item.picture.key async for batch in index.scroll(collection) for item in batch]
        finally:
            await index.close()

    warm, keys = asyncio.run(read())
    pictures = []
    for key in keys[:: max(1, len(keys) // queries)][:queries]:
        try:
            pictures.append(decode(store.read(collection, key, "display")[0]))
        except WorkNotFound:
            continue  # a work without a picture cannot ask
    texts = (*TABLE1_QUERIES, *QUERIES)[:queries]
    encoded = with_all_cores(model.encode_texts, texts)
    return warm, encoded, with_all_cores(model.encode_images, pictures) if pictures else []
