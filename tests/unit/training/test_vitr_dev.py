from __future__ import annotations

import pytest
import torch
from vitr_toys import CONFIG

from boonart.training.vitr_dev import DevSets, dev_figures
from boonart.training.vitr_steps import Head
from boonart.vitr.model import RelationNetwork


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
