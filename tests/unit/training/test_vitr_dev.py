from __future__ import annotations

import pytest
import torch
from vitr_toys import SquareEncoder, twins

from boonart.training.vitr_dev import DevSets, dev_figures
from boonart.training.vitr_features import encode_training_set
from boonart.training.vitr_steps import Head
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.model import RelationNetwork

PAIRS = [("red", "blue"), ("green", "white"), ("red", "white"), ("blue", "green")]
CONFIG = VitrConfig(
    4, 4, 6, embed_size=16, similarity_size=8, filters=1, aggregations=1, role=RoleConfig(size=16, feed_forward=16)
)


@pytest.fixture
def toys(tmp_path):
    return encode_training_set(SquareEncoder(), "toys", twins(PAIRS), tmp_path / "features")


@pytest.mark.parametrize("head", list(Head))
def test_a_head_that_speaks_louder_is_no_better(toys, head):
    torch.manual_seed(1)
    network = RelationNetwork(CONFIG)
    dev = DevSets(photographs=toys, scenes=toys)
    quiet = dev_figures(network, dev, head)
    last = network.role.score if head is Head.ROLE else network.vitr.score
    with torch.no_grad():
        last.weight.mul_(50.0)
    assert dev_figures(network, dev, head) == pytest.approx(quiet)


def test_the_choice_counts_photographs_scenes_and_twins(toys):
    figures = dev_figures(RelationNetwork(CONFIG), DevSets(photographs=toys, scenes=toys), Head.ROLE)
    counted = [
        f"{prefix}{direction}.R@{cut}"
        for prefix in ("", "scenes.")
        for direction in ("text_to_image", "image_to_text")
        for cut in (1, 5, 10)
    ]
    assert figures["choice"] == pytest.approx(sum(figures[name] for name in [*counted, "group"]))


def test_nothing_to_choose_by_is_no_error():
    assert dev_figures(RelationNetwork(CONFIG), DevSets(), Head.ROLE)["choice"] == 0.0
