import pytest
import torch

from boonart.training import encoder_losses as losses

SCALE = torch.tensor(20.0)
AXES = torch.eye(3)


def test_soft_targets_keep_most_for_the_own_picture() -> None:
    likeness = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    targets = losses.soft_targets(likeness, torch.tensor([0, 2]), share=0.3, sharpness=10.0)
    assert targets.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    assert targets[0, 0] > targets[0, 1] > targets[0, 2] > 0
    hard = losses.soft_targets(likeness, torch.tensor([0, 2]), share=0.0, sharpness=10.0)
    assert hard.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_twins_are_equally_right() -> None:
    twins = torch.tensor([3, -1, 3, -1])  # those without a twin are no twins of each other
    targets = losses.twin_targets(torch.eye(4), twins, share=0.0, sharpness=20.0)
    assert targets.tolist() == [[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]


def test_twin_targets_leave_a_share_to_the_like_ones() -> None:
    likeness = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    targets = losses.twin_targets(likeness, torch.tensor([0, -1, 0]), share=0.2, sharpness=5.0)
    assert targets.sum(dim=1).tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert targets[0, 0] > targets[0, 2] > 0.4  # the twin, however little alike, shares four fifths
    assert 0 < targets[0, 1] < 0.2


def test_contrastive_prefers_right_pairs_both_ways() -> None:
    right = losses.contrastive(AXES, AXES, torch.eye(3), SCALE)
    wrong = losses.contrastive(AXES[[1, 2, 0]], AXES, torch.eye(3), SCALE)
    assert right < 1e-3
    assert wrong > 10


def test_a_word_may_belong_to_several_pictures() -> None:
    held = torch.tensor([[True, True, False]])
    both = torch.nn.functional.normalize(torch.tensor([[1.0, 1.0, 0.0]]), dim=1)
    assert losses.find_all(both, AXES, held, SCALE) == pytest.approx(torch.log(torch.tensor(2.0)).item(), abs=1e-3)
    assert losses.find_all(AXES[2:], AXES, held, SCALE) > 10


def test_class_names_follow_the_classifier() -> None:
    probabilities = torch.tensor([[0.9, 0.0], [0.0, 0.4], [0.0, 0.0]])
    right = losses.name_classes(AXES, AXES[:2], probabilities, SCALE)
    wrong = losses.name_classes(AXES, AXES[[1, 0]], probabilities, SCALE)
    assert right < 1e-3 < wrong


def test_the_average_moves_by_one_minus_decay() -> None:
    averaged = [torch.zeros(2)]
    losses.average(averaged, [torch.ones(2)], 0.9)
    assert averaged[0].tolist() == pytest.approx([0.1, 0.1])
