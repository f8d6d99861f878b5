"""Fine-tuning goes on from given weights and leaves them as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from vitr_toys import SquareEncoder, twins

from boonart.training import fine_tuning
from boonart.training.fine_tuning import Tuning, fine_tune, stages_for
from boonart.training.vitr_features import encode_training_set
from boonart.training.vitr_steps import Head
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint
from boonart.works import ModelCard, Ranker

TINY = VitrConfig(4, 4, 6, embed_size=8, similarity_size=6, filters=1, aggregations=1, role=RoleConfig(size=8))
PAIRS = [("red", "green"), ("blue", "white"), ("red", "white"), ("green", "blue")]


@pytest.fixture
def features(tmp_path):
    return encode_training_set(SquareEncoder(), "toys", twins(PAIRS), tmp_path / "cache")


@pytest.fixture
def start() -> Checkpoint:
    torch.manual_seed(0)
    card = ModelCard("start", "reranker", "", {"D": 4, "E": 8, "S": 6}, licence="CC0", encoder_id="squares@1")
    return Checkpoint(RelationNetwork(TINY), untrained_mixtures(with_role=True), card)


def state(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in checkpoint.network.state_dict().items()}


def tune(start, features, out, **options) -> Checkpoint:
    tuning = Tuning(passes=2, batch=4, **options)
    return fine_tune(start, SquareEncoder(), [features], features, out, name="tuned", tuning=tuning)


def test_it_starts_from_the_weights_and_leaves_them_alone(start, features, tmp_path):
    before = state(start)
    tuned = tune(start, features, tmp_path / "out")
    for name, value in state(start).items():
        torch.testing.assert_close(value, before[name], msg=name)
    change = (tuned.network.project_regions.weight - start.network.project_regions.weight).abs()
    assert 0 < change.max() < 0.05  # a few small steps away
    assert (tuned.card.id, tuned.card.licence) == ("tuned", "CC0")
    assert tuned.mixtures == start.mixtures  # too few pairs to fit a mixture on


def test_the_mixture_is_fitted_where_there_are_enough_pairs(start, features, tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tuning, "ENOUGH_TO_FIT", 4)
    tuned = tune(start, features, tmp_path / "out")
    assert tuned.mixtures != start.mixtures
    assert tuned.mixtures.default is Ranker.ROLE


def test_without_weights_it_begins_anew(features, tmp_path, monkeypatch):
    monkeypatch.setattr(fine_tuning, "config_for", lambda encoder: TINY)
    tuned = tune(None, features, tmp_path / "out")
    assert set(tuned.mixtures.by_ranker) == {Ranker.LATE, Ranker.VITR, Ranker.ROLE}


def test_the_same_call_again_gives_the_same_weights_without_training(start, features, tmp_path):
    first = state(tune(start, features, tmp_path / "out"))
    steps = []
    tuning = Tuning(passes=2, batch=4)
    again = fine_tune(
        start,
        SquareEncoder(),
        [features],
        features,
        tmp_path / "out",
        name="tuned",
        tuning=tuning,
        progress=steps.append,
    )
    assert steps == []
    for name, value in state(again).items():
        torch.testing.assert_close(value, first[name], msg=name)


def test_the_default_head_is_trained_first_and_the_other_on_its_projections(start, features):
    stages = stages_for(start.network, Ranker.ROLE, [features], Tuning(), anew=False)
    assert [(stage.head, stage.freeze_projections) for stage in stages] == [(Head.ROLE, False), (Head.VITR, True)]
    stages = stages_for(start.network, Ranker.VITR, [features], Tuning(), anew=False)
    assert [stage.head for stage in stages] == [Head.VITR, Head.ROLE]
    assert [(stage.batch, stage.passes) for stage in stages] == [(4, 30), (8, 30)]  # eight pictures are shown often


def test_all_weights_stay_finite(start, features, tmp_path):
    tuned = tune(start, features, tmp_path / "out")
    assert all(np.isfinite(value.numpy()).all() for value in state(tuned).values())
