"""The shipped weights with the shipped encoder: they belong together, and they read a relation."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from boonart.encoders.catalogue import load_encoder
from boonart.encoders.pictures import decode
from boonart.evaluation.protocols import ArrayFeatures, EncodedPairs
from boonart.evaluation.relation_runs import evaluate_relations, gallery_twins
from boonart.evaluation.rerank_speed import bytes_per_work
from boonart.ports import RerankRequest
from boonart.sample.gallery import committed_gallery
from boonart.vitr.weights import load_reranker, read_metadata, shipped_models
from boonart.works import Candidate, Ranker, Work

pytestmark = pytest.mark.integration
FILE = shipped_models() / "vitr-starter" / "vitr.safetensors"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return load_encoder("starter", models_folder=tmp_path_factory.mktemp("models"), device="cpu")


def loader(encoder):
    return lambda features: load_reranker(
        "auto", encoder_card=encoder.card, index=features, models_folder=Path("nowhere"), device="cpu"
    )


def test_the_files_are_small_and_say_what_they_are(encoder):
    files = [file for file in FILE.parent.iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 10_000_000
    card = read_metadata(FILE)["card"]
    assert card["encoder_id"] == encoder.card.id
    assert card == json.loads((FILE.parent / "card.json").read_text())
    assert {"E": 256}.items() <= card["dimensions"].items()


def test_a_work_costs_at_most_45_kilobytes(encoder):
    assert bytes_per_work(encoder.card.dimensions["D"], 256, words=25) <= 45_000


def test_it_reads_relations_that_the_global_vectors_cannot(encoder):
    cases = gallery_twins(committed_gallery(), "test")[::4]
    found = evaluate_relations(encoder, loader(encoder), cases, ("global", "default"))
    assert found["relations.default.group"] > found["relations.global.group"] + 40.0


def test_it_explains_and_calibrates(encoder):
    record = json.loads(committed_gallery().read_text().splitlines()[0])
    picture = decode((committed_gallery().parent / record["image"]).read_bytes())
    images = encoder.encode_images([picture])
    (query,) = encoder.encode_texts([record["description"]])

    async def run():
        features = ArrayFeatures()
        reranker = loader(encoder)(features)
        await features.prepare(reranker, EncodedPairs(images, [query]))
        candidate = Candidate("0", Work("0"), 0.5, "0")
        text = await reranker.rerank(RerankRequest("pictures", query, [candidate], Ranker.DEFAULT, explain=True))
        image = await reranker.rerank(RerankRequest("texts", images[0], [candidate], Ranker.DEFAULT, explain=True))
        await reranker.close()
        return text[0], image[0]

    for score in asyncio.run(run()):
        assert 0.0 < score.relevance < 1.0
        assert [word_map.word for word_map in score.explanation] == list(query.words)
        assert all(np.isclose(word_map.weights.sum(), 1.0, atol=1e-4) for word_map in score.explanation)
