from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from vitr_toys import SquareEncoder, scene, twins

from boonart.training.vitr_features import encode_training_set
from boonart.training.vitr_querybank import with_querybank
from boonart.vitr.config import small
from boonart.vitr.model import RelationNetwork

SIZES = small(4, 4, 6)


@pytest.fixture
def photographs(tmp_path):
    pictures = [replace(scene("red", "red", -1), false_captions=(("blue left of blue",),)) for _ in range(4)]
    return encode_training_set(SquareEncoder(), "photographs", pictures, tmp_path)


@pytest.fixture
def scenes(tmp_path):
    return encode_training_set(SquareEncoder(), "scenes", twins([("green", "white")]), tmp_path)


def test_two_thirds_are_of_photographs_and_one_of_scenes(photographs, scenes):
    network = with_querybank(RelationNetwork(SIZES), [photographs, scenes], 9, seed=0)
    bank = network.querybank
    assert network.config.querybank == 9
    for vectors in (bank.texts, bank.pictures):
        red, green = vectors[:, 0] > 0.1, vectors[:, 1] > 0.1
        assert (red.sum(), green.sum()) == (6, 3)
        assert not (red & green).any()


def test_false_texts_are_nobodys_query(photographs):
    network = with_querybank(RelationNetwork(SIZES), [photographs], 16, seed=0)
    assert network.querybank.texts[:, 2].max() < 0.1  # nothing blue


def test_the_network_is_otherwise_the_same(photographs, scenes):
    torch.manual_seed(0)
    before = RelationNetwork(SIZES)
    after = with_querybank(before, [photographs, scenes], 4, seed=0)
    given = after.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in before.state_dict().items())
    again = with_querybank(after, [scenes], 6, seed=0)
    assert again.querybank.texts.shape == (6, 4)
    assert again.querybank.texts[:, 0].max() < 0.1  # the earlier bank is gone


def test_the_same_seed_draws_the_same(photographs, scenes):
    drawn = [
        with_querybank(RelationNetwork(SIZES), [photographs, scenes], 5, seed=seed).querybank.pictures.numpy()
        for seed in (0, 0, 1, 2, 3)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_none_is_wanted(photographs):
    network = RelationNetwork(SIZES)
    assert with_querybank(network, [photographs], 0, seed=0) is network
    assert network.querybank is None
