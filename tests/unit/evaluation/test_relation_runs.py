"""The probes with a fake reranker that looks at one number of picture and text."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from boonart.errors import SourceError
from boonart.evaluation import relation_runs
from boonart.evaluation.datasets import Captioned
from boonart.evaluation.protocols import EncodedPairs
from boonart.evaluation.relation_runs import (
    TwinCase,
    evaluate_pairs,
    evaluate_relations,
    exchanged_pairs,
    gallery_twins,
)
from boonart.evaluation.relations import SwappedPair
from boonart.works import ImageEmbedding, Ranker, RerankScore, TextEmbedding

VALUES = {"a.png": 1.0, "b.png": -1.0, "x": 1.0, "y": -1.0}


def embedding(value: float, cls):
    vector = np.array([1.0, 0.0], dtype=np.float32)  # the global vectors cannot tell them apart
    tokens = np.full((49 if cls is ImageEmbedding else 1, 1), value, dtype=np.float16)
    return cls(vector, tokens) if cls is ImageEmbedding else cls(vector, tokens, ("w",))


class FakeReranker:
    """The score is the product of the two numbers; `late` gets it wrong."""

    card = None

    def __init__(self, source) -> None:
        self.source = source

    async def prepare_images(self, images: Sequence[ImageEmbedding]):
        return [image.tokens for image in images]

    async def prepare_texts(self, texts: Sequence[TextEmbedding]):
        return [text.tokens for text in texts]

    async def rerank(self, request):
        side = "image" if isinstance(request.query, TextEmbedding) else "description"
        ids = [candidate.point_id for candidate in request.candidates]
        features = await self.source.features(request.collection, ids, side)
        sign = -1.0 if request.ranker is Ranker.LATE else 1.0
        scores = [
            RerankScore(name, sign * float(request.query.tokens[0, 0]) * float(features[name].tokens[0, 0]))
            for name in ids
        ]
        return sorted(scores, key=lambda score: -score.score)

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def fake_encoding(monkeypatch):
    def images(model, files, advance=None):
        return [embedding(VALUES[file.name], ImageEmbedding) for file in files]

    def texts(model, sentences, advance=None):
        return [embedding(VALUES[sentence], TextEmbedding) for sentence in sentences]

    monkeypatch.setattr(relation_runs, "encode_images", images)
    monkeypatch.setattr(relation_runs, "encode_texts", texts)
    monkeypatch.setattr(
        relation_runs,
        "encode_pairs",
        lambda model, pairs, advance=None: EncodedPairs(images(model, pairs.images), texts(model, pairs.texts)),
    )


def test_relations_of_the_four_rankers(tmp_path):
    case = TwinCase((tmp_path / "a.png", tmp_path / "b.png"), (("x", "x"), ("y", "y")), "left / right")
    found = evaluate_relations(None, FakeReranker, [case])
    assert found["relations.role.group"] == found["relations.vitr.group"] == 100.0
    assert found["relations.late.group"] == 0.0
    assert found["relations.global.group"] == 0.0  # all equal: a tie is wrong
    assert found["relations.role.group.left-right"] == 100.0


def test_pairs_of_the_four_rankers(tmp_path):
    pairs = [SwappedPair(tmp_path / "a.png", "x", "y"), SwappedPair(tmp_path / "b.png", "x", "y")]
    found = evaluate_pairs(None, FakeReranker, pairs)
    assert found["pairs.role.right"] == 50.0
    assert found["pairs.global.right"] == 0.0
    assert found["pairs.count"] == 2.0


def test_twins_of_a_gallery(tmp_path):
    def record(name, twins, split="test"):
        words = {"description": f"{name} one", "wordings": [f"{name} two"], "relation_kind": "riding"}
        return {"id": name, "image": f"pictures/{name}.webp", "split": split, "twins": twins, **words}

    file = tmp_path / "works.jsonl"
    records = [record("a", ["b"]), record("b", ["a"]), record("c", []), record("d", ["e"], "train")]
    file.write_text("\n".join(map(json.dumps, [*records, record("e", ["d"], "train")])))
    (case,) = gallery_twins(file)
    assert [image.name for image in case.images] == ["a.webp", "b.webp"]
    assert case.captions == (("a one", "a two"), ("b one", "b two"))
    assert case.kind == "riding"
    with pytest.raises(SourceError):
        gallery_twins(file, "dev")


def test_exchanged_pairs(tmp_path):
    photograph = Captioned(tmp_path / "a.png", ("A dog chases a boy .", "A dog runs ."))
    (pair,) = exchanged_pairs([photograph])
    assert (pair.image, pair.swapped) == (tmp_path / "a.png", "A boy chases a dog.")
