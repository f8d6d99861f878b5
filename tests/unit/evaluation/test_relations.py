from __future__ import annotations

import json

import numpy as np
import pytest

from boonart.errors import SourceError
from boonart.evaluation.relations import (
    TwinScores,
    expected_calibration_error,
    group_score,
    pair_figures,
    read_pairs,
    relation_figures,
    top_kept,
)

RIGHT = [[2.0, 1.0], [1.0, 2.0]]
ONE_PICTURE_WINS = [[2.0, 1.0], [2.0, 1.5]]  # text b prefers picture a too
ONE_TEXT_WINS = [[2.0, 2.0], [1.0, 1.5]]  # picture b prefers text a too
TIED = [[1.0, 1.0], [1.0, 1.0]]


def scores(*quadruples, kinds=None):
    array = np.array(quadruples)
    return TwinScores(array, array, kinds or tuple("x" for _ in quadruples))


def test_text_image_and_group_score():
    assert relation_figures(scores(RIGHT))["group"] == 100.0
    both = relation_figures(scores(RIGHT, [[2.0, 3.0], [1.0, 4.0]]))
    assert (both["text"], both["image"], both["group"]) == (100.0, 50.0, 50.0)
    both = relation_figures(scores(RIGHT, [[2.0, 1.0], [3.0, 4.0]]))
    assert (both["text"], both["image"], both["group"]) == (50.0, 100.0, 50.0)


@pytest.mark.parametrize("quadruple", [TIED, ONE_TEXT_WINS, ONE_PICTURE_WINS])
def test_ties_and_half_wins_are_no_group(quadruple):
    assert relation_figures(scores(quadruple))["group"] == 0.0


def test_each_direction_uses_its_own_scores():
    twins = TwinScores(np.array([RIGHT]), np.array([TIED]), ("x",))
    found = relation_figures(twins)
    assert (found["image"], found["text"], found["group"]) == (100.0, 0.0, 0.0)


def test_by_kind():
    found = relation_figures(scores(RIGHT, TIED, RIGHT, kinds=("left / right", "on / under", "on / under")), "p.")
    assert found["p.group.left-right"] == 100.0
    assert found["p.group.on-under"] == 50.0
    assert group_score(found, "p.") == (pytest.approx(200 / 3), 50.0)


def test_chance_is_as_stated():
    rng = np.random.default_rng(0)
    array = rng.random((20_000, 2, 2))
    found = relation_figures(TwinScores(array, array, ("x",) * 20_000))
    assert found["text"] == pytest.approx(25.0, abs=1.0)
    assert found["image"] == pytest.approx(25.0, abs=1.0)
    assert found["group"] == pytest.approx(16.7, abs=1.0)


def test_pairs():
    assert pair_figures(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 4.0])) == {"right": pytest.approx(100 / 3)}


def test_pairs_are_read_beside_their_file(tmp_path):
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps([{"image": "a.png", "caption": "x", "swapped": "y"}]))
    (pair,) = read_pairs(file)
    assert (pair.image, pair.caption, pair.swapped) == (tmp_path / "a.png", "x", "y")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", '[{"image": "a"}]'])
def test_a_file_that_is_no_list_of_pairs_is_refused(tmp_path, text):
    file = tmp_path / "pairs.json"
    file.write_text(text)
    with pytest.raises(SourceError):
        read_pairs(file)


def test_calibration_error():
    relevance = np.array([0.05] * 20 + [0.95] * 20)
    right = np.array([False] * 19 + [True] + [True] * 19 + [False])
    assert expected_calibration_error(relevance, right) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(np.ones(4), np.zeros(4, dtype=bool)) == pytest.approx(1.0)


def test_share_of_the_exhaustive_top_that_is_kept():
    exhaustive = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])
    assert top_kept(exhaustive, [np.array([1, 4, 0])], cut=2) == 50.0
    assert top_kept(exhaustive, [np.array([1, 0, 4])], cut=2) == 100.0
