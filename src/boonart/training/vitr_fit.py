"""Fitting the mixtures of scores and their calibration on a dev split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from boonart.training.vitr_parts import CandidateLists, Parts, mixed, recalls
from boonart.vitr.mixture import DISTINCTNESS, Mixture, parts_of
from boonart.works import Float32Array, Ranker

_STEPS = 40
_RESTRAINT = 1e-3
"""What large weights cost: where a dev split is told apart without an error, they would grow without end."""
_GRID = (0.0, 0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.45, 2.0, 2.8)


def fit_mixture(
    ranker: Ranker,
    lists: CandidateLists,
    twins: Parts | None,
    painted: CandidateLists | None = None,
    *,
    twin_share: float = 0.25,
) -> Mixture:
    """Weights that put the right candidates first, and the calibration of their sum.

    First the weights that make the right candidates likeliest, then, around them, those with the highest sum of
    recalls on the same lists; then a logistic curve through all candidates, by their score and the query's
    popularity. Generated scenes count in all three: what a score is worth among photographs alone says little
    about paintings.

    Args:
        ranker: whose parts are mixed.
        lists: of the dev split's photographs.
        twins: parts of (K, 2) pairs, the right one first: a query with a picture or text and its twin. None where
            there are none.
        twin_share: how much the twins count beside the lists.
    """
    names = parts_of(ranker, querybank=DISTINCTNESS in lists.parts)
    both = [lists] if painted is None else [lists, painted]
    weights = likeliest(names, both, twins, twin_share)
    weights = _best_recalls(weights, both, twins)
    told = np.concatenate([_told(some, weights) for some in both])
    (slope, popularity), offset = calibrate(told, np.concatenate([some.right.ravel() for some in both]))
    return Mixture(weights, slope, offset, popularity)


def _told(lists: CandidateLists, weights: Mapping[str, float]) -> Float32Array:
    """Score and query's popularity of all candidates, (Q * C, 2)."""
    score = mixed(lists.parts, weights)
    return np.stack([score, np.broadcast_to(lists.popularity[:, None], score.shape)], axis=2).reshape(-1, 2)


def calibrate(told: Float32Array, right: npt.NDArray[np.bool_]) -> tuple[list[float], float]:
    """Slopes and offset of the logistic curve that best tells right candidates.

    Args:
        told: (N, F) what is known of each: its score, and more.
        right: (N,).
    """
    mean, spread = told.mean(axis=0, dtype=np.float64), told.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0.0, spread, 1.0)
    standard = torch.from_numpy((told - mean) / spread)
    target = torch.from_numpy(right).double()
    curve = torch.zeros(told.shape[1] + 1, dtype=torch.float64)
    curve[0] = 1.0
    curve.requires_grad_(True)

    def loss() -> Tensor:
        error = functional.binary_cross_entropy_with_logits(standard @ curve[:-1] + curve[-1], target)
        return error + 1e-2 * _RESTRAINT * curve.square().sum()

    _minimise(curve, loss)
    slopes = curve.detach()[:-1].numpy() / spread
    return slopes.tolist(), float(curve.detach()[-1] - slopes @ mean)


def likeliest(
    names: Sequence[str], lists: Sequence[CandidateLists], twins: Parts | None = None, twin_share: float = 0.0
) -> dict[str, float]:
    """The weights that make the right candidates likeliest.

    Args:
        names: parts to weigh.
        lists: each counts as much as any other; without a right candidate in any, all parts count alike.
        twins, twin_share: see `fit_mixture`.
    """
    lists = [some for some in lists if some.right.any()]
    if not lists:
        return dict.fromkeys(names, 1.0)
    usable = [some.right.any(axis=1) for some in lists]
    stacked = [
        torch.from_numpy(np.stack([some.parts[name][rows] for name in names], axis=2)).double()
        for some, rows in zip(lists, usable, strict=True)
    ]
    right = [torch.from_numpy(some.right[rows]) for some, rows in zip(lists, usable, strict=True)]
    paired = None if twins is None else torch.from_numpy(np.stack([twins[name] for name in names], axis=2)).double()
    scale = stacked[0].std(dim=(0, 1)).clamp(min=1e-6)
    # Logarithms, so that no part counts against what it says.
    logs = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        weights = logs.exp() / scale
        total = _RESTRAINT * logs.square().sum()
        for parts, wanted in zip(stacked, right, strict=True):
            likelihood = torch.log_softmax(parts @ weights, dim=1)
            total = total - torch.logsumexp(likelihood.masked_fill(~wanted, -torch.inf), dim=1).mean()
        if paired is not None:
            total = total - twin_share * torch.log_softmax(paired @ weights, dim=1)[:, 0].mean()
        return total

    _minimise(logs, loss)
    return dict(zip(names, (logs.detach().exp() / scale).tolist(), strict=True))


def _best_recalls(
    weights: Mapping[str, float], lists: Sequence[CandidateLists], twins: Parts | None
) -> dict[str, float]:
    """Scale one weight after the other by what gives the highest sum of recalls."""
    best = dict(weights)
    for name in [*weights, *weights]:
        tried = [{**best, name: best[name] * factor} for factor in _GRID]
        best = max(tried, key=lambda choice: _worth(choice, lists, twins))
    return best


def _worth(weights: Mapping[str, float], lists: Sequence[CandidateLists], twins: Parts | None) -> float:
    """The recalls on photographs and on scenes, and half of the percentage of twins told apart."""
    worth = sum(sum(recalls(some, mixed(some.parts, weights))) for some in lists)
    if twins is not None:
        pairs = mixed(twins, weights)
        worth += 50.0 * float((pairs[:, 0] > pairs[:, 1]).mean())
    return worth


def _minimise(values: Tensor, loss: object) -> None:
    assert callable(loss)
    optimiser = torch.optim.LBFGS([values], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value: Tensor = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(closure)  # type: ignore[no-untyped-call]
