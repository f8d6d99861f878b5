from __future__ import annotations

import json
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from vitr_fakes import TINY, FakeSource

from boonart.errors import ModelFileError, ModelMismatch, ModelNotAvailable
from boonart.vitr import weights
from boonart.vitr.config import VitrConfig
from boonart.vitr.mixture import Direction, Mixture, Mixtures, untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, load_checkpoint, load_reranker, save_checkpoint
from boonart.works import ModelCard, Ranker

CARD = ModelCard("tiny", "reranker", "", {"E": 8}, description="for tests", encoder_id="fake@1", figures={"a": 1.5})
ENCODER = ModelCard("fake@1", "encoder", "", {"D": 6, "Wi": 10, "Wt": 7})


@pytest.fixture(autouse=True)
def no_shipped_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "shipped_models", lambda: tmp_path / "shipped")


def checkpoint(card: ModelCard = CARD) -> Checkpoint:
    return Checkpoint(RelationNetwork(TINY), untrained_mixtures(with_role=True), card)


def load(name, folder, encoder=ENCODER):
    return load_reranker(name, encoder_card=encoder, index=FakeSource(), models_folder=folder, device="cpu")


def test_what_is_written_is_read(tmp_path):
    written = checkpoint()
    card = save_checkpoint(written, tmp_path / "tiny")
    read = load_checkpoint(tmp_path / "tiny" / weights.WEIGHTS_FILE)
    assert read.card == card
    assert card.id == f"tiny@{card.weights_hash}"
    assert (card.encoder_id, dict(card.figures)) == ("fake@1", {"a": 1.5})
    assert read.network.config == TINY
    assert read.mixtures == written.mixtures
    for name, value in written.network.state_dict().items():
        torch.testing.assert_close(read.network.state_dict()[name], value)
    assert json.loads((tmp_path / "tiny" / weights.CARD_FILE).read_text())["id"] == card.id


def test_the_id_follows_the_weights_and_not_the_figures(tmp_path):
    torch.manual_seed(3)
    first = save_checkpoint(checkpoint(), tmp_path / "a")
    torch.manual_seed(3)
    same = save_checkpoint(checkpoint(replace(CARD, figures={"a": 2.0})), tmp_path / "b")
    other = save_checkpoint(checkpoint(), tmp_path / "c")
    assert first.id == same.id
    assert first.id != other.id


@pytest.mark.parametrize("name", ["auto", "tiny"])
def test_weights_are_found(tmp_path, name):
    card = save_checkpoint(checkpoint(), tmp_path / "tiny")
    assert load(name, tmp_path).card == card


def test_weights_are_found_by_path_and_among_the_shipped(tmp_path):
    card = save_checkpoint(checkpoint(), tmp_path / "shipped" / "tiny")
    for name in ("auto", "tiny", str(tmp_path / "shipped" / "tiny"), str(tmp_path / "shipped/tiny/vitr.safetensors")):
        assert load(name, tmp_path / "none").card == card


@pytest.mark.parametrize("name", ["auto", "nothing-of-this-name"])
def test_missing_weights_say_what_to_do(tmp_path, name):
    save_checkpoint(checkpoint(replace(CARD, encoder_id="another")), tmp_path / "tiny")
    with pytest.raises(ModelNotAvailable) as error:
        load(name, tmp_path)
    assert error.value.hint


def test_weights_of_another_encoder_are_refused(tmp_path):
    save_checkpoint(checkpoint(replace(CARD, encoder_id="another")), tmp_path / "tiny")
    with pytest.raises(ModelMismatch, match=r"another.*fake@1"):
        load("tiny", tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    save_checkpoint(checkpoint(), tmp_path / "tiny")
    file = tmp_path / "tiny" / weights.WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelFileError):
        load_checkpoint(file)


def test_a_file_of_another_kind_is_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(ModelFileError, match="not a weight file"):
        load_checkpoint(file)


def edited(tmp_path, change):
    save_checkpoint(checkpoint(), tmp_path / "tiny")
    file = tmp_path / "tiny" / weights.WEIGHTS_FILE
    tensors = safetensors.torch.load_file(file)
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = json.loads(opened.metadata()["boonart"])
    change(tensors, metadata)
    safetensors.torch.save_file(tensors, file, metadata={"boonart": json.dumps(metadata)})
    return file


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, metadata: tensors.pop("vitr.score.bias"),
        lambda tensors, metadata: tensors.update({"vitr.score.bias": torch.zeros(3)}),
        lambda tensors, metadata: tensors.update({"vitr.score.bias": torch.tensor([float("nan")])}),
        lambda tensors, metadata: metadata.update(format=99),
        lambda tensors, metadata: metadata["config"].update(unknown=1),
        lambda tensors, metadata: metadata["config"].pop("global_size"),
        lambda tensors, metadata: metadata["config"]["role"].update(unknown=1),
        lambda tensors, metadata: metadata["mixtures"].pop("default"),
        lambda tensors, metadata: metadata["mixtures"].update(default="nonsense"),
        lambda tensors, metadata: metadata["card"].update(unknown=1),
        lambda tensors, metadata: metadata["config"].update(querybank=3),
        lambda tensors, metadata: metadata["mixtures"]["rankers"]["role"]["text_to_image"]["weights"].update(
            distinctness=1.0
        ),
    ],
)
def test_a_file_that_does_not_add_up_is_refused(tmp_path, change):
    with pytest.raises(ModelFileError):
        load_checkpoint(edited(tmp_path, change))


def test_a_querybank_is_read_as_it_was_written(tmp_path):
    network = RelationNetwork(replace(TINY, querybank=3))
    network.querybank.fill(torch.randn(3, 6), torch.randn(3, 6))
    card = save_checkpoint(Checkpoint(network, untrained_mixtures(with_role=True), CARD), tmp_path / "tiny")
    file = tmp_path / "tiny" / weights.WEIGHTS_FILE
    assert safetensors.torch.load_file(file)["querybank.texts"].dtype == torch.float16
    read = load_checkpoint(file)
    assert read.card == card
    assert torch.equal(read.network.querybank.texts, network.querybank.texts)
    assert torch.equal(read.network.querybank.pictures, network.querybank.pictures)


def test_weights_without_a_querybank_keep_the_id_that_they_had_before_there_was_one():
    assert "querybank" not in TINY.as_dict()
    assert VitrConfig.from_dict(replace(TINY, querybank=3).as_dict()).querybank == 3


@pytest.mark.parametrize("popularity", [0.0, -4.0])
def test_mixtures_survive_json(popularity):
    mixture = Mixture({"global": 2.0, "vitr": 0.5}, slope=1.5, offset=-2.0, popularity=popularity)
    mixtures = Mixtures(Ranker.VITR, {Ranker.VITR: dict.fromkeys(Direction, mixture)})
    assert Mixtures.from_dict(json.loads(json.dumps(mixtures.as_dict()))) == mixtures
