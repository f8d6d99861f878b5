"""`boonart train vitr`, in this process, with the fake encoder and small random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from random_reranker import SIZES, save_random_reranker

from boonart.cli import app
from boonart.errors import InvalidRequest, ModelNotAvailable
from boonart.vitr.weights import load_checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("one_seeded_thread")]

COLOURS = ("red", "blue", "green", "white", "orange", "purple")
KINDS = ("", "hard-", "rare-", "replaced-", "hard-replaced-", "tagged-", "dev-")
NO_SCENES = ["--companions", "0", *(word for kind in KINDS for word in (f"--{kind}scenes", "0"))]


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
    begun = save_random_reranker(tmp_path / "boonart-home" / "models" / "begun")
    out = tmp_path / "further"
    options = ("--encoder", "fake", "--preset", "further", "--views", "1", *NO_SCENES, "-o", out, "--json")
    run("--data", captions, "--start", "begun", *options)
    left = load_checkpoint(out / "vitr.safetensors")
    assert json.loads(capsys.readouterr().out)["model"] == left.card.id
    assert begun.card.id in left.card.data
    assert left.network.config.embed_size == SIZES.embed_size
    assert not torch.equal(left.network.project_words.weight, begun.network.project_words.weight)


def test_going_on_needs_something_to_go_on_from(captions: Path) -> None:
    with pytest.raises(InvalidRequest, match="none are named"):
        run("--data", captions, "--encoder", "fake", "--preset", "further")
    with pytest.raises(ModelNotAvailable, match="nothing-here"):
        run("--data", captions, "--encoder", "fake", "--preset", "further", "--start", "nothing-here")


def test_an_unknown_preset_is_told_the_known_ones(captions: Path) -> None:
    with pytest.raises(InvalidRequest) as error:
        run("--data", captions, "--encoder", "fake", "--preset", "fast")
    assert "starter, paper, further or roles" in (error.value.hint or "")
