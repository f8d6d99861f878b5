"""`boonart train vitr`, in this process, with the fake encoder and small random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from boonart.cli import app
from boonart.encoders.fake import FakeEncoder
from boonart.errors import InvalidRequest, ModelNotAvailable
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.mixture import untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, load_checkpoint, save_checkpoint
from boonart.works import ModelCard

pytestmark = pytest.mark.integration

SIZES = VitrConfig(
    32, 16, 16, embed_size=8, similarity_size=6, filters=2, aggregations=3, role=RoleConfig(size=8, feed_forward=8)
)
COLOURS = ("red", "blue", "green", "white", "orange", "purple")
NO_SCENES = [
    word
    for name in ("scenes", "hard-scenes", "companions", "rare-scenes", "replaced-scenes", "tagged-scenes", "dev-scenes")
    for word in (f"--{name}", "0")
]


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    monkeypatch.setenv("BOONART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOONART_CACHE", str(tmp_path / "cache"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    folder = tmp_path / "colours"
    folder.mkdir()
    records = []
    for colour in COLOURS:
        Image.new("RGB", (32, 32), colour).save(folder / f"{colour}.png")
        for split in ("train", "dev"):
            records.append({"image": f"{colour}.png", "split": split, "captions": [f"All {colour}."]})
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, records)))
    return folder


def run(*arguments: str | Path) -> None:
    app([str(argument) for argument in ("train", "vitr", *arguments)], standalone_mode=False)


def test_it_goes_on_from_named_weights(tmp_path: Path, captions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = ModelCard("begun", "reranker", "", {"D": 32, "E": 8, "S": 6}, encoder_id=FakeEncoder().card.id)
    checkpoint = Checkpoint(RelationNetwork(SIZES), untrained_mixtures(with_role=True), card)
    begun = save_checkpoint(checkpoint, tmp_path / "home" / "models" / "begun")
    out = tmp_path / "further"
    options = ("--encoder", "fake", "--preset", "further", "--views", "1", *NO_SCENES, "-o", out, "--json")
    run("--data", captions, "--start", "begun", *options)
    left = load_checkpoint(out / "vitr.safetensors")
    assert json.loads(capsys.readouterr().out)["model"] == left.card.id
    assert begun.id in left.card.data
    assert left.network.config.embed_size == SIZES.embed_size
    assert not torch.equal(left.network.project_words.weight, checkpoint.network.project_words.weight)


def test_going_on_needs_something_to_go_on_from(captions: Path) -> None:
    with pytest.raises(InvalidRequest, match="none are named"):
        run("--data", captions, "--encoder", "fake", "--preset", "further")
    with pytest.raises(ModelNotAvailable, match="nothing-here"):
        run("--data", captions, "--encoder", "fake", "--preset", "further", "--start", "nothing-here")


def test_an_unknown_preset_is_told_the_known_ones(captions: Path) -> None:
    with pytest.raises(InvalidRequest) as error:
        run("--data", captions, "--encoder", "fake", "--preset", "fast")
    assert "starter, paper or further" in (error.value.hint or "")
