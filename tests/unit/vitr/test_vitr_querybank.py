from __future__ import annotations

import math

import pytest
import torch

from boonart.vitr.querybank import TEMPERATURE, Querybank


def bank() -> Querybank:
    filled = Querybank(2, 3)
    filled.fill(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.6, 0.8]]))
    return filled


def test_popularity_by_hand():
    found = bank().of_pictures(torch.tensor([[0.6, 0.8, 0.0]]))
    mean = (math.exp(0.6 / TEMPERATURE) + math.exp(0.8 / TEMPERATURE)) / 2
    assert found.tolist() == pytest.approx([TEMPERATURE * math.log(mean)], abs=1e-6)


def test_pictures_are_compared_with_texts_and_texts_with_pictures():
    vector = torch.tensor([[0.0, 0.0, 1.0]])
    assert float(bank().of_pictures(vector)) == pytest.approx(0.0, abs=1e-6)
    assert float(bank().of_texts(vector)) > 0.9


def test_it_lies_between_mean_and_maximum():
    vectors = torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.manual_seed(0)), dim=1)
    filled = bank()
    cosines = vectors @ filled.texts.T
    found = filled.of_pictures(vectors)
    assert bool((found <= cosines.amax(dim=1) + 1e-6).all())
    assert bool((found >= cosines.mean(dim=1) - 1e-6).all())


def test_vectors_are_kept_as_a_weight_file_holds_them():
    filled = Querybank(1, 1)
    filled.fill(torch.tensor([[1.0001]]), torch.tensor([[1.0001]]))
    assert float(filled.texts) == float(torch.tensor(1.0001).half())
