from __future__ import annotations

import math

import pytest
import torch

from boonart.training.vitr_losses import contrastive, description_vectors, listwise, lseh, scaled_likeness


def test_contrastive_is_the_mean_of_both_cross_entropies():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    same = torch.eye(2, dtype=torch.bool)
    rows = -(2 - math.log(math.e**2 + 1) + 3 - math.log(math.e + math.e**3)) / 2
    columns = -(2 - math.log(math.e**2 + math.e) + 3 - math.log(1 + math.e**3)) / 2
    assert float(contrastive(logits, same)) == pytest.approx((rows + columns) / 2, abs=1e-5)


def test_contrastive_spares_what_is_the_same():
    logits = torch.tensor([[2.0, 50.0], [50.0, 2.0]])
    assert float(contrastive(logits, torch.ones(2, 2, dtype=torch.bool))) == pytest.approx(0.0, abs=1e-5)


def test_a_false_text_counts_against_its_own_picture_alone():
    logits, same = torch.tensor([[9.0, 0.0], [0.0, 9.0]]), torch.eye(2, dtype=torch.bool)
    harmless = contrastive(logits, same, torch.tensor([[0.0, 50.0]]), torch.tensor([0]))
    harmful = contrastive(logits, same, torch.tensor([[0.0, 50.0]]), torch.tensor([1]))
    assert float(harmless) < 0.01
    assert float(harmful) > 5.0


def test_listwise_leaves_out_what_is_not_valid():
    logits = torch.tensor([[1.0, 1.0, 90.0]])
    assert float(listwise(logits, torch.tensor([[True, True, False]]))) == pytest.approx(math.log(2), abs=1e-5)


def test_lseh_by_hand():
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.7]])
    likeness = torch.tensor([[1.0, 1.0], [0.4, 1.0]])
    same = torch.eye(2, dtype=torch.bool)
    # text 0: 0.21 + 0.8 - 0.9; text 1: 0.195 + 0.1 - 0.7 < 0; picture 1: 0.21 + 0.8 - 0.7; picture 0: < 0
    assert float(lseh(scores, likeness, same)) == pytest.approx(0.11 + 0.31, abs=1e-5)
    assert float(lseh(scores, likeness, same, hardest=True)) == pytest.approx(0.11 + 0.31, abs=1e-5)
    assert float(lseh(scores, likeness, torch.ones(2, 2, dtype=torch.bool))) == 0.0


def test_likeness_is_scaled_by_each_rows_largest():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
    likeness = scaled_likeness(vectors)
    assert float(likeness[0, 1]) == pytest.approx(1.0)
    assert float(likeness[0, 2]) == pytest.approx(0.6 / 0.8, abs=1e-5)


def test_descriptions_that_share_words_have_like_vectors():
    texts = ["a dog runs on grass", "a dog runs on the grass", "two women sell fish", "two women sell fresh fish"]
    vectors = torch.nn.functional.normalize(description_vectors(texts, 4), dim=1)
    likeness = vectors @ vectors.T
    assert float(likeness[0, 1]) > 0.6
    assert float(likeness[2, 3]) > 0.6
    assert abs(float(likeness[0, 2])) < 0.3
