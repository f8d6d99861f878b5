import numpy as np
import pytest

from boonart.evaluation.retrieval import (
    best_ranks,
    mean_average_precision,
    precision_at,
    recall,
    recall_both_ways,
)


def test_the_best_of_several_relevant_candidates_counts() -> None:
    scores = np.array([[0.9, 0.5, 0.8, 0.1]])
    relevant = np.array([[False, True, True, False]])
    assert best_ranks(scores, relevant).tolist() == [2]


def test_a_model_that_says_the_same_of_everything_earns_nothing() -> None:
    relevant = np.array([[True, False, False]])
    assert best_ranks(np.ones((1, 3)), relevant).tolist() == [3]


def test_a_query_without_a_relevant_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="relevant"):
        best_ranks(np.ones((1, 3)), np.zeros((1, 3), dtype=bool))
    with pytest.raises(ValueError, match="relevant"):
        mean_average_precision(np.ones((1, 3)), np.zeros((1, 3), dtype=bool))


def test_recall_is_the_share_within_each_cut() -> None:
    assert recall(np.array([1, 2, 6, 11])) == {"R@1": 25.0, "R@5": 50.0, "R@10": 75.0}


def test_recall_both_ways_on_a_case_counted_by_hand() -> None:
    images = np.array([[1.0, 0.0], [0.0, 1.0]])
    texts = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    figures = recall_both_ways(texts, images, np.array([0, 0, 1]), cuts=(1, 2))
    # The second text points to the wrong image; each image's nearest text is its own.
    assert figures["text_to_image.R@1"] == pytest.approx(200 / 3)
    assert figures["text_to_image.R@2"] == 100.0
    assert figures["image_to_text.R@1"] == 100.0


def test_average_precision_on_a_case_counted_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]])
    relevant = np.array([[True, False, True, False], [True, False, False, False]])
    # (1/1 + 2/3) / 2 and 1/4.
    assert mean_average_precision(scores, relevant) == pytest.approx(100 * (5 / 6 + 1 / 4) / 2)
    assert precision_at(scores, relevant, 2) == pytest.approx(25.0)
