"""The commands around the relation network, in this process, with the fake encoder and small random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from authors_layout import in_authors_layout
from PIL import Image
from random_reranker import SIZES, save_random_reranker

from boonart.cli import app
from boonart.encoders.fake import FakeEncoder
from boonart.errors import (
    BoonArtError,
    CollectionExists,
    CollectionNotFound,
    ConfigurationError,
    InvalidRequest,
    ModelFileError,
    ModelMismatch,
    ModelNotAvailable,
    SourceError,
    WorkIndexError,
)
from boonart.vitr.config import VitrConfig
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import find_weights
from boonart.works import Picture

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def fake_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_seeded_thread: None) -> None:
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    monkeypatch.setenv("BOONART_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


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


# --- boonart import-representations ---

COLOURS = {"red": (200, 40, 40), "blue": (50, 80, 190), "green": (50, 140, 60), "white": (240, 240, 240)}


def save_reranker(tmp_path: Path) -> None:
    save_random_reranker(tmp_path / "home" / "models" / "random")


def save_representations(tmp_path: Path, **changed: np.ndarray) -> tuple[Path, Path]:
    """What the fake encoder makes of four coloured works, one of them with its picture, and their table."""
    folder, encoder = tmp_path / "files", FakeEncoder()
    folder.mkdir()
    pictures = [np.full((48, 64, 3), colour, dtype=np.uint8) for colour in COLOURS.values()]
    images = encoder.encode_images([Picture(pixels, (64, 48), "PNG") for pixels in pictures])
    texts = encoder.encode_texts([f"All {name}." for name in COLOURS])
    padded = np.zeros((len(COLOURS), 5, 16), dtype=np.float16)
    for row, text in enumerate(texts):
        padded[row, : len(text.tokens)] = text.tokens
    arrays = {
        "imGloRp": np.stack([image.global_vector for image in images]),
        "imLocRp": np.stack([image.tokens for image in images]),
        "deGloRp": np.stack([text.global_vector for text in texts]),
        "deLocRp": padded,
    }
    for name, array in {**arrays, **changed}.items():
        np.save(folder / f"ArtUK{name}.npy", array)
    Image.fromarray(pictures[0]).save(folder / "red.png")
    rows = "".join(f"{name},Study in {name},All {name}.,{name}.png\n" for name in COLOURS)
    (folder / "works.csv").write_text("Nummer,title,description,image\n" + rows, encoding="utf-8")
    return folder, folder / "works.csv"


def import_files(folder: Path, table: Path, *more: str) -> None:
    run("import-representations", folder, "--works", table, "-c", "artuk", "--map", "id=Nummer", *more)


def search(capsys, *arguments: str | Path) -> dict:
    capsys.readouterr()
    run("search", *arguments, "-c", "artuk", "--json")
    return json.loads(capsys.readouterr().out)


def test_imported_representations_are_searched_and_reranked(tmp_path, capsys):
    save_reranker(tmp_path)
    folder, table = save_representations(tmp_path)
    import_files(folder, table, "--json")
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("works", "described", "pictured", "relational")} == {
        "works": 4,
        "described": 4,
        "pictured": 1,
        "relational": 4,
    }
    found = search(capsys, "something blue", "--rerank", "none")
    assert found["hits"][0]["work"]["id"] == "blue"
    found = search(capsys, "something blue")
    assert found["ranker"] == "default"
    assert all("relation_score" in hit for hit in found["hits"])
    found = search(capsys, "--image", folder / "red.png")
    assert found["target"] == "descriptions"
    assert all("relation_score" in hit for hit in found["hits"])


def test_without_a_reranker_the_global_vectors_are_searched(tmp_path, capsys):
    folder, table = save_representations(tmp_path)
    import_files(folder, table)
    told = capsys.readouterr().err
    assert "4 works" in told
    assert "global order" in told
    assert search(capsys, "green")["hits"][0]["work"]["id"] == "green"


def test_local_features_of_another_encoder_are_left_out(tmp_path, capsys):
    save_reranker(tmp_path)
    folder, table = save_representations(tmp_path, imLocRp=np.ones((4, 49, 2048), dtype=np.float16))
    import_files(folder, table)
    assert "Wi = 2048 where 16 is needed" in capsys.readouterr().err
    assert search(capsys, "green")["hits"][0]["work"]["id"] == "green"


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"imGloRp": np.ones((3, 32))}, SourceError, "different numbers of rows"),
        ({"imGloRp": np.array([{}] * 4, dtype=object)}, SourceError, "Python objects"),
        ({"imLocRp": np.full((4, 49, 16), np.nan, dtype=np.float16)}, SourceError, "not a number"),
        ({"imGloRp": np.ones((4, 7)), "deGloRp": np.ones((4, 7))}, ModelMismatch, "vectors of 7"),
    ],
)
def test_bad_files_give_one_error_and_no_collection(tmp_path, capsys, changed, error, words):
    folder, table = save_representations(tmp_path, **changed)
    with pytest.raises(error, match=words):
        import_files(folder, table)
    capsys.readouterr()
    with pytest.raises(CollectionNotFound):
        run("search", "red", "-c", "artuk")


def test_a_table_that_does_not_belong_to_the_files_is_refused(tmp_path):
    folder, table = save_representations(tmp_path)
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(SourceError, match="3 works and the files have 4 rows"):
        import_files(folder, table)
    table.write_text("\n".join([*lines[:-1], lines[1]]))
    with pytest.raises(SourceError, match="there already"):
        import_files(folder, table)


def test_a_collection_is_replaced_only_when_asked(tmp_path, capsys):
    folder, table = save_representations(tmp_path)
    import_files(folder, table)
    with pytest.raises(CollectionExists, match="4 works"):
        import_files(folder, table)
    import_files(folder, table, "--replace")
    assert len(search(capsys, "red")["hits"]) == 4


def test_a_failure_while_storing_leaves_no_collection(tmp_path, monkeypatch):
    folder, table = save_representations(tmp_path)

    async def full(*arguments, **options):
        raise WorkIndexError("The disk is full.")

    monkeypatch.setattr("boonart.index.edge.EdgeIndex.upsert", full)
    with pytest.raises(WorkIndexError):
        import_files(folder, table)
    assert not (tmp_path / "home" / "collections" / "artuk").exists()
    assert not (tmp_path / "home" / "pictures" / "artuk").exists()
