"""Retrieval quality on plain arrays: recall@K, mean average precision, precision@K. All in percent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

CUTS = (1, 5, 10)
"""The K of recall@K."""


def best_ranks(scores: FloatArray, relevant: BoolArray) -> IntArray:
    """Rank (from 1) of the best relevant candidate for each query.

    Candidates that score exactly the same as the relevant one count before it, so that a model which says the
    same of everything earns nothing.

    Args:
        scores: (Q, N), higher is better.
        relevant: (Q, N); each query needs at least one.
    """
    if not relevant.any(axis=1).all():
        raise ValueError("every query needs at least one relevant candidate")
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    ranks: IntArray = 1 + ((scores >= best) & ~relevant).sum(axis=1)
    return ranks


def recall(ranks: IntArray, cuts: Sequence[int] = CUTS) -> dict[str, float]:
    """Percentage of queries whose best relevant candidate is among the first K, by "R@K"."""
    return {f"R@{cut}": 100.0 * float((ranks <= cut).mean()) for cut in cuts}


def recall_interval(
    ranks: IntArray, cut: int, *, rounds: int = 2_000, seed: int = 0, share: float = 0.95
) -> tuple[float, float]:
    """Bootstrap interval of recall@K: the queries drawn again with replacement.

    Args:
        ranks: (Q,) rank of the best relevant candidate of each query.
        rounds: how often they are drawn.
        share: of the drawn recalls that lie inside.
    """
    hits = ranks <= cut
    # How many of Q draws with replacement hit is binomial: the same as drawing, without Q x rounds numbers.
    drawn = np.random.default_rng(seed).binomial(len(hits), hits.mean(), rounds) / len(hits)
    low, high = np.quantile(drawn, [(1 - share) / 2, (1 + share) / 2])
    return 100.0 * float(low), 100.0 * float(high)


def recall_both_ways(
    texts: FloatArray, images: FloatArray, owners: IntArray, cuts: Sequence[int] = CUTS
) -> dict[str, float]:
    """Recall of text to image and of image to text.

    Args:
        texts: (M, D) L2-normalised vectors.
        images: (N, D) L2-normalised vectors; each has at least one text.
        owners: (M,) index of each text's image.

    Returns:
        Figures by "text_to_image.R@K" and "image_to_text.R@K".
    """
    scores = texts @ images.T
    relevant = owners[:, None] == np.arange(len(images))
    forward = recall(best_ranks(scores, relevant), cuts)
    backward = recall(best_ranks(scores.T, relevant.T), cuts)
    return {f"text_to_image.{name}": value for name, value in forward.items()} | {
        f"image_to_text.{name}": value for name, value in backward.items()
    }


def mean_average_precision(scores: FloatArray, relevant: BoolArray) -> float:
    """Mean over the queries of the average precision over all candidates.

    Args:
        scores: (Q, N), higher is better; equal scores keep the candidates' order.
        relevant: (Q, N); each query needs at least one.
    """
    hits = _in_rank_order(scores, relevant)
    counts = hits.sum(axis=1)
    if not counts.all():
        raise ValueError("every query needs at least one relevant candidate")
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return 100.0 * float(((precision * hits).sum(axis=1) / counts).mean())


def precision_at(scores: FloatArray, relevant: BoolArray, cut: int = 10) -> float:
    """Mean share of relevant ones among the first `cut` candidates."""
    return 100.0 * float(_in_rank_order(scores, relevant)[:, :cut].mean())


def _in_rank_order(scores: FloatArray, relevant: BoolArray) -> BoolArray:
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(relevant, order, axis=1)
