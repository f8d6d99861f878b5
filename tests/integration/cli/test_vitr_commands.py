"""The commands around the relation network, in this process, with the fake encoder and small random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from authors_layout import in_authors_layout

from boonart.cli import app
from boonart.encoders.fake import FakeEncoder
from boonart.errors import BoonArtError, ConfigurationError, InvalidRequest, ModelFileError, ModelNotAvailable
from boonart.vitr.config import RoleConfig, VitrConfig
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import find_weights

pytestmark = pytest.mark.integration

SIZES = VitrConfig(
    32, 16, 16, embed_size=8, similarity_size=6, filters=2, aggregations=3, role=RoleConfig(size=8, feed_forward=8)
)


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    monkeypatch.setenv("BOONART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def run(*arguments: str | Path) -> None:
    """As the process would, but with errors as exceptions."""
    app([str(argument) for argument in arguments], standalone_mode=False)


def save_in_authors_layout(folder: Path, config: VitrConfig = SIZES) -> list[Path]:
    folder.mkdir()
    files = []
    for name, weights in zip(("image", "text", "similarity"), in_authors_layout(RelationNetwork(config)), strict=True):
        files.append(folder / f"{name}.pth")
        torch.save(weights, files[-1])
    return files


# --- boonart models import --vitr ---


def test_imported_weights_are_listed_and_found_for_their_encoder(tmp_path, capsys):
    files = save_in_authors_layout(tmp_path / "weights")
    run("models", "import", "--vitr", *files, "--name", "ours")
    found = find_weights("auto", encoder_id=FakeEncoder().card.id, models_folder=tmp_path / "home" / "models")
    assert found.parent.name == "ours"
    capsys.readouterr()
    run("models", "list", "--json")
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert (models["ours"]["kind"], models["ours"]["where"]) == ("reranker", "imported")


def test_a_folder_may_be_given_and_a_name_is_found(tmp_path):
    save_in_authors_layout(tmp_path / "weights")
    run("models", "import", "--vitr", tmp_path / "weights")
    assert (tmp_path / "home" / "models" / "vitr-fake" / "vitr.safetensors").is_file()
    with pytest.raises(ConfigurationError, match="taken"):
        run("models", "import", "--vitr", tmp_path / "weights")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("--encoder", "open_clip:ViT-L-14/openai"), ModelNotAvailable, "ViT-L-14"),
        (("--encoder", "nonsense"), ConfigurationError, "no encoder"),
    ],
)
def test_an_encoder_that_is_not_here_is_told(tmp_path, arguments, error, words):
    files = save_in_authors_layout(tmp_path / "weights")
    with pytest.raises(error, match=words):
        run("models", "import", "--vitr", *files, *arguments)
    assert not list((tmp_path / "home").rglob("*.safetensors"))


def test_weights_of_another_size_leave_nothing_behind(tmp_path):
    other = VitrConfig(32, 2048, 16, embed_size=8, similarity_size=6, filters=2, aggregations=3, role=None)
    files = save_in_authors_layout(tmp_path / "weights", other)
    with pytest.raises(ModelFileError, match=r"Wi = 2048 \(the encoder has 16\)"):
        run("models", "import", "--vitr", *files, "--name", "ours")
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_code_in_a_file_is_not_run(tmp_path):
    files = save_in_authors_layout(tmp_path / "weights")
    torch.save({"fc.weight": torch.zeros(1), "hook": print}, files[0])
    with pytest.raises(ModelFileError, match="was not run"):
        run("models", "import", "--vitr", *files)
    assert list((tmp_path / "home" / "models").iterdir()) == []


def test_several_files_without_vitr_are_a_mistake(tmp_path):
    with pytest.raises(InvalidRequest, match="one file"):
        run("models", "import", tmp_path / "a", tmp_path / "b")
    with pytest.raises(BoonArtError):
        run("models", "import", tmp_path / "a")
