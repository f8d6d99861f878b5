"""The benchmark protocols on a fake encoder and a fake reranker."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from boonart.encoders.fake import FakeEncoder
from boonart.errors import SourceError
from boonart.evaluation.datasets import Captioned, CollectionWork
from boonart.evaluation.protocols import (
    Calibration,
    captioned_pairs,
    described_pairs,
    encode_pairs,
    recall_figures,
    reranked,
    subject_figures,
    subject_pairs,
)
from boonart.ports import RerankRequest
from boonart.works import Ranker, RerankScore, Work

COLOURS = {"red": (200, 40, 40), "blue": (50, 80, 190), "green": (50, 140, 60)}


@pytest.fixture
def photographs(tmp_path: Path) -> list[Captioned]:
    found = []
    for name, colour in COLOURS.items():
        file = tmp_path / f"{name}.png"
        stream = io.BytesIO()
        Image.new("RGB", (16, 16), colour).save(stream, "PNG")
        file.write_bytes(stream.getvalue())
        found.append(Captioned(file, (f"something {name}", f"{name} all over")))
    return found


def test_pairs_know_their_pictures(photographs: list[Captioned]) -> None:
    pairs = captioned_pairs("colours", photographs)
    assert pairs.owners.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(pairs) == 9


def test_an_encoder_that_knows_colours_finds_them_all(photographs: list[Captioned]) -> None:
    pairs = captioned_pairs("colours", photographs)
    scores = encode_pairs(FakeEncoder(), pairs).similarities
    figures = recall_figures(scores, scores.T, pairs)
    assert figures["text_to_image.R@1"] == 100.0
    assert figures["image_to_text.R@1"] == 100.0
    assert figures["sum_of_recalls"] == 600.0


class Upside:
    """A reranker that prefers what the global vectors like least."""

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        return [RerankScore(candidate.point_id, -candidate.score) for candidate in request.candidates]


def test_reranked_candidates_stand_above_the_rest() -> None:
    similarities = np.array([[0.9, 0.8, 0.1, 0.7]], np.float32)
    query = FakeEncoder().encode_texts(["red"])
    ordered = reranked(
        Upside(),  # type: ignore[arg-type]
        query,
        similarities,
        ranker=Ranker.DEFAULT,
        candidates=2,
        collection="pictures",
    )
    assert np.argsort(-ordered[0]).tolist() == [1, 0, 3, 2]


class Sure(Upside):
    """States a relevance: 0.9 for the first two candidates, 0.1 for the others."""

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        return [
            RerankScore(candidate.point_id, -place, relevance=0.9 if place < 2 else 0.1)
            for place, candidate in enumerate(request.candidates)
        ]


def test_the_stated_relevance_of_the_first_hits_is_held_against_the_truth() -> None:
    similarities = np.array([np.linspace(1, 0, 20)] * 2, np.float32)
    relevant = np.zeros((2, 20), dtype=np.bool_)
    relevant[:, 0] = True
    calibration = Calibration()
    options = {"ranker": Ranker.DEFAULT, "candidates": 20, "collection": "pictures"}
    queries = FakeEncoder().encode_texts(["red", "blue"])
    reranked(Sure(), queries, similarities, judge=calibration.judge(relevant), **options)  # type: ignore[arg-type]
    figures = calibration.figures()
    # Of ten hits two are stated at 0.9, half of them right; eight at 0.1, none of them right.
    assert figures["calibration.error"] == pytest.approx(0.2 * 0.4 + 0.8 * 0.1)
    assert figures["calibration.right"] == pytest.approx(0.1)
    silent = Calibration()
    reranked(Upside(), queries, similarities, judge=silent.judge(relevant), **options)  # type: ignore[arg-type]
    assert silent.figures() == {}


def test_subjects_are_measured_by_precision() -> None:
    scores = np.array([[0.9, 0.8, 0.1]], np.float32)
    assert subject_figures(scores, np.array([[True, False, True]]))["mAP"] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_works_without_descriptions_cannot_be_measured(tmp_path: Path) -> None:
    works = [CollectionWork(Work("a", "Title"), tmp_path / "a.png")]
    with pytest.raises(SourceError, match="boonart evaluate tate"):
        described_pairs("tate", works)
    assert len(subject_pairs("tate", works, ["cow"])) == 2
