from __future__ import annotations

import numpy as np
import pytest
import torch

from boonart.evaluation.relations import expected_calibration_error
from boonart.training.vitr_fit import calibrate, fit_mixture
from boonart.training.vitr_parts import CandidateLists, mixed, recalls
from boonart.works import Ranker


def lists(rng: np.random.Generator, useful: dict[str, float], queries: int = 300, count: int = 20) -> CandidateLists:
    """Candidates whose right one (a random place) has each part raised by so many standard deviations."""
    right = np.zeros((queries, count), dtype=bool)
    right[np.arange(queries), rng.integers(count, size=queries)] = True
    parts = {
        name: (rng.standard_normal((queries, count)) + raised * right).astype(np.float32)
        for name, raised in useful.items()
    }
    return CandidateLists(np.tile(np.arange(count), (queries, 1)), right, parts, np.zeros(queries, np.float32))


def test_a_useful_part_weighs_more_than_noise():
    data = lists(np.random.default_rng(0), {"global": 1.5, "grounding": 1.5, "role": 0.0})
    weights = fit_mixture(Ranker.ROLE, data, None).weights
    assert weights["role"] < 0.4 * weights["grounding"]
    assert weights["global"] == pytest.approx(weights["grounding"], rel=0.8)


def test_the_mixture_is_better_than_either_part():
    data = lists(np.random.default_rng(1), {"global": 1.5, "late": 1.5})
    weights = fit_mixture(Ranker.LATE, data, None).weights
    best = sum(recalls(data, mixed(data.parts, weights)))
    for name in data.parts:
        assert best > sum(recalls(data, data.parts[name])) + 10


def test_twins_teach_what_photographs_do_not():
    rng = np.random.default_rng(2)
    data = lists(rng, {"global": 2.0, "grounding": 1.0, "role": 0.0})
    role = np.column_stack([np.ones(100), -np.ones(100)]).astype(np.float32)
    twins = {
        "global": rng.standard_normal((100, 2)).astype(np.float32),
        "grounding": rng.standard_normal((100, 2)).astype(np.float32),
        "role": role,
    }
    alone = fit_mixture(Ranker.ROLE, data, None).weights["role"]
    assert fit_mixture(Ranker.ROLE, data, twins).weights["role"] > alone


def test_calibration_recovers_the_curve():
    rng = np.random.default_rng(3)
    told = np.column_stack([rng.uniform(-10, 10, 20_000), rng.uniform(0, 1, 20_000)]).astype(np.float32)
    right = rng.random(20_000) < 1.0 / (1.0 + np.exp(-(0.7 * told[:, 0] - 3.0 * told[:, 1] - 2.0)))
    (slope, popularity), offset = calibrate(told, right)
    assert slope == pytest.approx(0.7, rel=0.1)
    assert popularity == pytest.approx(-3.0, rel=0.1)
    assert offset == pytest.approx(-2.0, rel=0.1)


def test_calibration_without_any_popularity_is_a_curve_of_the_score():
    rng = np.random.default_rng(3)
    told = np.column_stack([rng.uniform(-10, 10, 20_000), np.zeros(20_000)]).astype(np.float32)
    right = rng.random(20_000) < 1.0 / (1.0 + np.exp(-(0.7 * told[:, 0] - 2.0)))
    (slope, popularity), offset = calibrate(told, right)
    assert slope == pytest.approx(0.7, rel=0.1)
    assert popularity == 0.0
    assert offset == pytest.approx(-2.0, rel=0.1)


def test_a_hub_is_held_against_a_candidate_where_that_helps():
    rng = np.random.default_rng(6)
    data = lists(rng, {"global": 2.0, "grounding": 0.0, "role": 0.0})
    hub = rng.exponential(2.0, data.right.shape).astype(np.float32)
    parts = {**data.parts, "global": data.parts["global"] + hub, "distinctness": -hub}
    hubbed = CandidateLists(data.candidates, data.right, parts, data.popularity)
    weights = fit_mixture(Ranker.ROLE, hubbed, None).weights
    assert weights["distinctness"] == pytest.approx(weights["global"], rel=0.3)
    assert sum(recalls(hubbed, mixed(parts, weights))) > sum(recalls(hubbed, parts["global"])) + 10


def test_recalls_by_hand():
    right = np.array([[True, False], [False, True]])
    data = CandidateLists(np.zeros((2, 2), dtype=int), right, {}, np.zeros(2, np.float32))
    scores = np.array([[2.0, 1.0], [2.0, 1.0]], dtype=np.float32)
    assert recalls(data, scores) == (50.0, 100.0, 100.0)


def test_scenes_count_in_the_weights_and_in_what_a_score_is_worth():
    data = lists(np.random.default_rng(4), {"global": 2.0, "late": 0.3})
    painted = lists(np.random.default_rng(5), {"global": 0.3, "late": 3.0})
    alone, both = fit_mixture(Ranker.LATE, data, None), fit_mixture(Ranker.LATE, data, None, painted)

    def share(weights):
        return weights["late"] / weights["global"]

    assert share(both.weights) > 1.5 * share(alone.weights)
    found = [mixed(some.parts, both.weights) for some in (data, painted)]
    score, right = np.concatenate(found), np.concatenate([data.right, painted.right])
    stated = both.relevance(torch.from_numpy(score)).numpy()
    best = score.argmax(axis=1)[:, None]
    first = np.take_along_axis(stated, best, axis=1).mean()
    assert first == pytest.approx(np.take_along_axis(right, best, axis=1).mean(), abs=0.15)

    def error(mixture, some):
        relevance = mixture.relevance(torch.from_numpy(mixed(some.parts, mixture.weights)))
        return expected_calibration_error(relevance.numpy().ravel(), some.right.ravel())

    assert error(both, painted) < 0.5 * error(alone, painted)
    assert max(error(both, painted), error(both, data)) < 0.02
