"""Re-ranking against exhaustive scoring, with a fake reranker that multiplies two numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from boonart.errors import ConfigurationError
from boonart.evaluation.protocols import ArrayFeatures, EncodedPairs
from boonart.evaluation.rerank_speed import (
    bytes_per_work,
    enlarged,
    exhaustive_figures,
    rerank_figures,
    warm_collection,
    warm_pairs,
)
from boonart.ports import Features
from boonart.works import Candidate, ImageEmbedding, Ranker, RerankScore, TextEmbedding, Work


class Product:
    """The score is the product of the two numbers; remembers what it was asked."""

    def __init__(self, features: ArrayFeatures) -> None:
        self.features, self.asked = features, []

    async def prepare_images(self, images):
        return [image.tokens for image in images]

    async def prepare_texts(self, texts):
        return [text.tokens for text in texts]

    async def rerank(self, request):
        side = "image" if isinstance(request.query, TextEmbedding) else "description"
        ids = [candidate.point_id for candidate in request.candidates]
        self.asked.append((side, request.ranker, len(ids)))
        found = await self.features.features(request.collection, ids, side)
        assert all(found[c.point_id].content_hash == c.content_hash for c in request.candidates)
        number = float(request.query.tokens[0, 0])
        scores = [RerankScore(name, number * float(found[name].tokens[0, 0])) for name in ids]
        return sorted(scores, key=lambda score: -score.score)


def pairs(count: int, *, agree: bool = True) -> EncodedPairs:
    """Pictures on a quarter of a circle; the reranker's number grows with the cosine to a query, or falls."""
    angles = np.random.default_rng(0).uniform(0, 1, count)
    images = [
        ImageEmbedding(
            np.array([np.cos(t), np.sin(t)], dtype=np.float32),
            np.full((49, 1), t if agree else -t, dtype=np.float16),
        )
        for t in angles
    ]
    query = TextEmbedding(np.array([0.0, 1.0], dtype=np.float32), np.ones((1, 1), dtype=np.float16), ("w",))
    return EncodedPairs(images, [query] * 4)


def warm(encoded: EncodedPairs):
    features = ArrayFeatures()
    reranker = Product(features)
    return reranker, asyncio.run(warm_pairs(reranker, features, encoded))


@pytest.mark.parametrize(("agree", "kept"), [(True, 100.0), (False, 0.0)])
def test_what_is_kept_of_the_exhaustive_order(agree, kept):
    encoded = pairs(60, agree=agree)
    reranker, collection = warm(encoded)
    judging_all = Product(collection.features)
    found = exhaustive_figures(reranker, judging_all, collection, encoded.texts, candidates=(10, 100))
    assert found["candidates.10.top10_kept"] == kept
    assert found["exhaustive.top10_kept"] == 100.0  # 100 candidates are all there are
    assert found["exhaustive.ratio"] > 0
    assert {count for _, _, count in reranker.asked} == {10, 60}
    assert {count for _, _, count in judging_all.asked} == {60}


def test_times_of_all_rankers_and_both_directions():
    encoded = pairs(20)
    reranker, collection = warm(encoded)
    found = rerank_figures(reranker, collection, encoded.texts, encoded.images[:2], candidates=5)
    assert {
        "rerank.median_ms",
        "rerank.p95_ms",
        "rerank.image.median_ms",
        "rerank.late.median_ms",
        "rerank.vitr.median_ms",
        "rerank.role.median_ms",
    } == set(found)
    assert ("image", Ranker.ROLE, 5) in reranker.asked
    assert ("description", Ranker.DEFAULT, 4) in reranker.asked


def test_a_small_collection_is_repeated_but_not_exactly():
    _, collection = warm(pairs(5))
    before = collection.images.copy()
    large = asyncio.run(enlarged(collection, 12))
    assert (len(large.images), large.real) == (12, 5)
    np.testing.assert_array_equal(large.images[:5], before)
    np.testing.assert_allclose(np.linalg.norm(large.images, axis=1), 1.0, rtol=1e-5)
    copy, model = large.images[7], large.images[2]
    assert 0.9 < copy @ model < 1.0 - 1e-7
    assert set(asyncio.run(large.features.features("", ["11"], "image"))) == {"11"}
    assert asyncio.run(enlarged(large, 12)) is large


class Stored:
    """An index with three works, the last one without a description."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty

    async def scroll(self, collection: str) -> AsyncIterator[list[Candidate]]:
        yield [Candidate(name, Work(name)) for name in ("a", "b")]
        yield [Candidate("c", Work("c"))]

    async def features(self, collection, point_ids, side):
        names = [] if self.empty else [name for name in point_ids if side == "image" or name != "c"]
        rows = 49 if side == "image" else 3
        vector = np.array([1.0, 0.0], dtype=np.float16)
        return {name: Features(f"hash of {name}", vector, np.ones((rows, 2), dtype=np.float16)) for name in names}


def test_a_stored_collection_is_read_into_memory():
    collection = asyncio.run(warm_collection(Stored(), "works"))
    assert (collection.images.shape, collection.descriptions.shape) == ((3, 2), (2, 2))
    assert (collection.real, collection.words) == (3, (3, 3))
    assert asyncio.run(collection.features.features("", ["0"], "image"))["0"].content_hash == "0"


def test_a_collection_without_features_is_told():
    with pytest.raises(ConfigurationError, match="no features"):
        asyncio.run(warm_collection(Stored(empty=True), "works"))


def test_a_work_costs_what_its_vectors_cost():
    assert bytes_per_work(512, 256, 20) == 4096 + 2 * 256 * 69
