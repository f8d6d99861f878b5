"""Fitting the mixtures of scores and their calibration on a dev split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from boonart.training.vitr_parts import CandidateLists, Parts, mixed, recalls
from boonart.vitr.mixture import PARTS, Mixture
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
    recalls on the same lists; then a logistic curve through all candidates. Generated scenes count in all three:
    what a score is worth among photographs alone says little about paintings.

    Args:
        ranker: whose parts are mixed.
        lists: of the dev split's photographs.
        twins: parts of (K, 2) pairs, the right one first: a query with a picture or text and its twin. None where
            there are none.
        twin_share: how much the twins count beside the lists.
    """
    names = PARTS[ranker]
    both = [lists] if painted is None else [lists, painted]
    weights = _likeliest(names, both, twins, twin_share)
    weights = _best_recalls(weights, both, twins)
    scores = np.concatenate([mixed(some.parts, weights).ravel() for some in both])
    slope, offset = calibrate(scores, np.concatenate([some.right.ravel() for some in both]))
    return Mixture(weights, slope, offset)


def calibrate(scores: Float32Array, right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the logistic curve that best tells right candidates by their score."""
    mean, spread = float(scores.mean()), float(scores.std()) or 1.0
    standard = torch.from_numpy(((scores - mean) / spread).ravel()).double()
    target = torch.from_numpy(right.ravel()).double()
    curve = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        error = functional.binary_cross_entropy_with_logits(curve[0] * standard + curve[1], target)
        return error + 1e-2 * _RESTRAINT * curve.square().sum()

    _minimise(curve, loss)
    slope, offset = curve.detach().tolist()
    return slope / spread, offset - slope * mean / spread


def _likeliest(
    names: Sequence[str], lists: Sequence[CandidateLists], twins: Parts | None, twin_share: float
) -> dict[str, float]:
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
    """The recalls on photographs, a quarter of those on scenes, and the share of twins that are told apart."""
    shares = (1.0, 0.25)
    worth = sum(
        share * sum(recalls(some, mixed(some.parts, weights))) for share, some in zip(shares, lists, strict=False)
    )
    if twins is not None:
        pairs = mixed(twins, weights)
        worth += 100.0 * float((pairs[:, 0] > pairs[:, 1]).mean())
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
