"""How long re-ranking takes, and what it saves against scoring a whole collection, as the paper does.

Features are in memory throughout, as they are on a warm server; a query's time goes from its vectors to the order of
the hits. All comparisons are made within one run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from boonart.errors import ConfigurationError, InvalidRequest
from boonart.evaluation.protocols import Advance, ArrayFeatures, EncodedPairs
from boonart.evaluation.relations import top_kept
from boonart.ports import Features, Reranker, RerankRequest, WorkIndex
from boonart.works import Candidate, Float32Array, ImageEmbedding, Ranker, TextEmbedding, Work

LoadReranker = Callable[[ArrayFeatures], Reranker]
PAPER_WORKS = 6_783
"""Works in the paper's collection."""
RANKERS = {"late": Ranker.LATE, "vitr": Ranker.VITR, "role": Ranker.ROLE}
SPREAD = 0.1
"""How far repeated works are moved from their model, relative to the spread of its values."""
_FETCH = 256


@dataclass(frozen=True, slots=True)
class WarmCollection:
    """A collection in memory.

    Attributes:
        features: of pictures and descriptions; point ids are positions as text.
        images: (N, D) global vectors of the pictures.
        descriptions: (M, D) global vectors of the descriptions, which may be fewer.
        real: how many works have features of their own; those behind them repeat these, moved a little.
        words: of each description.
    """

    features: ArrayFeatures
    images: Float32Array
    descriptions: Float32Array
    real: int
    words: tuple[int, ...] = ()


async def warm_collection(index: WorkIndex, collection: str) -> WarmCollection:
    """A stored collection, read into memory.

    Raises:
        ConfigurationError: it holds no features for the reranker.
    """
    points = [item.point_id async for batch in index.scroll(collection) for item in batch]
    features = ArrayFeatures()
    vectors: dict[str, list[Float32Array]] = {"image": [], "description": []}
    words: list[int] = []
    for side, found in vectors.items():
        for start in range(0, len(points), _FETCH):
            chunk = points[start : start + _FETCH]
            stored = await index.features(collection, chunk, side)
            for point in chunk:
                if point in stored:
                    features.put(side, str(len(found)), stored[point])
                    found.append(stored[point].global_vector.astype(np.float32))
                    if side == "description":
                        words.append(len(stored[point].tokens))
    if not vectors["image"]:
        raise ConfigurationError(
            f"The collection {collection} holds no features for the reranker.",
            hint=f"Run: boonart reindex {collection}",
        )
    images = np.stack(vectors["image"])
    descriptions = np.stack(vectors["description"]) if vectors["description"] else np.zeros((0, images.shape[1]))
    return WarmCollection(features, images, descriptions.astype(np.float32), len(images), tuple(words))


async def warm_pairs(reranker: Reranker, features: ArrayFeatures, pairs: EncodedPairs) -> WarmCollection:
    """Encoded pictures and texts, with their features computed by the reranker.

    Args:
        features: where the reranker looks for features; filled here.
    """
    await features.prepare(reranker, pairs)
    images = np.stack([image.global_vector for image in pairs.images])
    texts = np.stack([text.global_vector for text in pairs.texts])
    return WarmCollection(features, images, texts, len(images), tuple(len(text.tokens) for text in pairs.texts))


async def enlarged(collection: WarmCollection, works: int, *, seed: int = 0) -> WarmCollection:
    """The collection with its works repeated, each time moved a little, until there are so many."""
    real = len(collection.images)
    if works <= real:
        return collection
    rng = np.random.default_rng(seed)
    images = np.concatenate([collection.images, np.empty((works - real, collection.images.shape[1]), np.float32)])
    for row in range(real, works):
        model = (await collection.features.features("", [str(row % real)], "image"))[str(row % real)]
        vector = _moved(collection.images[row % real], rng)
        images[row] = vector / np.linalg.norm(vector)
        tokens = _moved(model.tokens.astype(np.float32), rng).astype(np.float16)
        moved = Features(str(row), images[row].astype(np.float16), tokens)
        collection.features.put("image", str(row), moved)
    return replace(collection, images=images)


def rerank_figures(
    reranker: Reranker,
    collection: WarmCollection,
    texts: Sequence[TextEmbedding],
    pictures: Sequence[ImageEmbedding],
    *,
    candidates: int = 100,
    advance: Advance = lambda done: None,
) -> dict[str, float]:
    """Times of the reranker alone, one query after the other.

    Returns:
        `rerank.median_ms` and `.p95_ms` of the default ranker with a text against pictures, `rerank.image.median_ms`
        with a picture against descriptions, and `rerank.<ranker>.median_ms` of each ranker that the weights have.
    """

    async def times_of(
        queries: Sequence[TextEmbedding] | Sequence[ImageEmbedding], vectors: Float32Array, side: str, ranker: Ranker
    ) -> list[float]:
        requests = [RerankRequest(side, query, _candidates(vectors, query, candidates), ranker) for query in queries]
        for request in requests:  # fills the bank and warms the caches
            await reranker.rerank(request)
        times = []
        for request in requests:
            started = time.perf_counter()
            await reranker.rerank(request)
            times.append(1000.0 * (time.perf_counter() - started))
            advance(1)
        return times

    async def run() -> dict[str, float]:
        figures: dict[str, float] = {}
        for name, ranker in {"": Ranker.DEFAULT, **RANKERS}.items():
            prefix = f"rerank.{name}." if name else "rerank."
            try:
                times = await times_of(texts, collection.images, "pictures", ranker)
            except InvalidRequest:
                continue  # imported weights do not have every ranker
            figures[f"{prefix}median_ms"] = float(np.median(times))
            if not name:
                figures[f"{prefix}p95_ms"] = float(np.quantile(times, 0.95))
        if pictures and len(collection.descriptions):
            times = await times_of(pictures, collection.descriptions, "texts", Ranker.DEFAULT)
            figures["rerank.image.median_ms"] = float(np.median(times))
        return figures

    return asyncio.run(run())


def exhaustive_figures(
    reranker: Reranker,
    judging_all: Reranker,
    collection: WarmCollection,
    queries: Sequence[TextEmbedding],
    candidates: Sequence[int] = (50, 100, 200, 400),
    advance: Advance = lambda done: None,
) -> dict[str, float]:
    """Candidates first against scoring every picture with the same network, as the paper does, in one run.

    Args:
        reranker: as it is used, for the candidates.
        judging_all: the same weights without a bound on what the role-aware head judges, for every picture.

    Returns:
        `exhaustive.median_ms`, and for each number of candidates C `candidates.C.median_ms`, `.ratio` and
        `.top10_kept` in percent; `exhaustive.ratio` and `exhaustive.top10_kept` are those of 100 candidates.
    """
    total = len(collection.images)

    async def order(query: TextEmbedding, count: int, reranker: Reranker = reranker) -> tuple[list[int], float]:
        started = time.perf_counter()
        proposed = _candidates(collection.images, query, count)
        found = await reranker.rerank(RerankRequest("pictures", query, proposed))
        advance(1)
        return [int(score.point_id) for score in found], 1000.0 * (time.perf_counter() - started)

    async def run() -> dict[str, float]:
        for query in queries[:2]:  # fills the bank and warms the caches
            await order(query, total, judging_all)
        for query in queries:
            await order(query, max(candidates))
        everything = [await order(query, total, judging_all) for query in queries]
        whole = np.zeros((len(queries), total))
        for place, (found, _) in enumerate(everything):
            whole[place, found] = -np.arange(len(found))
        figures = {"exhaustive.median_ms": float(np.median([taken for _, taken in everything]))}
        for count in candidates:
            some = [await order(query, count) for query in queries]
            median = float(np.median([taken for _, taken in some]))
            figures[f"candidates.{count}.median_ms"] = median
            figures[f"candidates.{count}.ratio"] = figures["exhaustive.median_ms"] / median
            orders: list[npt.NDArray[np.intp]] = [np.array(found) for found, _ in some]
            figures[f"candidates.{count}.top10_kept"] = top_kept(whole, orders)
        if 100 in candidates:
            figures["exhaustive.ratio"] = figures["candidates.100.ratio"]
            figures["exhaustive.top10_kept"] = figures["candidates.100.top10_kept"]
        return figures

    return asyncio.run(run())


def bytes_per_work(global_size: int, embed_size: int, words: float) -> float:
    """What the vectors of a work take: image and description float32, regions and words float16."""
    return 2 * 4 * global_size + 2 * embed_size * (49 + words)


def _candidates(vectors: Float32Array, query: TextEmbedding | ImageEmbedding, count: int) -> list[Candidate]:
    """The `count` nearest by cosine, as an index would propose them."""
    # Not by `@`: NumPy's threads stay awake long after it, on the cores that the reranker is measured on.
    cosines = np.einsum("nd,d->n", vectors, query.global_vector)
    best = np.argpartition(-cosines, count - 1)[:count] if count < len(cosines) else np.arange(len(cosines))
    return [Candidate(str(row), Work(str(row)), float(cosines[row]), str(row)) for row in best]


def _moved(values: Float32Array, rng: np.random.Generator) -> Float32Array:
    noise = rng.standard_normal(values.shape, dtype=np.float32)
    return np.asarray(values + SPREAD * float(values.std()) * noise, dtype=np.float32)
