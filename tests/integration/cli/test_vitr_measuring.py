"""Experiments, benchmarks and odd input, with the fake encoder, small random weights and a real index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from boonart.cli import app
from boonart.encoders.fake import COLOURS, FakeEncoder
from boonart.errors import ConfigurationError, ModelMismatch, ModelNotAvailable, SourceError
from boonart.vitr.config import VitrConfig
from boonart.vitr.mixture import untrained_mixtures
from boonart.vitr.model import RelationNetwork
from boonart.vitr.weights import Checkpoint, save_checkpoint
from boonart.works import ModelCard

pytestmark = pytest.mark.integration

SIZES = VitrConfig(32, 16, 16, embed_size=8, similarity_size=6, filters=1, aggregations=1, role=None)
WORKS = 16


def save_reranker(folder: Path, encoder_id: str = "") -> None:
    """Random weights with the published head alone, as imported ones have it."""
    torch.manual_seed(0)
    sizes = {"D": 32, "E": 8, "S": 6}
    card = ModelCard("random", "reranker", "", sizes, encoder_id=encoder_id or FakeEncoder().card.id)
    save_checkpoint(Checkpoint(RelationNetwork(SIZES), untrained_mixtures(with_role=False), card), folder)


def write_works(folder: Path) -> Path:
    """Works of two colours each; one described with one word, one with 500, one not at all."""
    folder.mkdir()
    names = list(COLOURS)
    lines = []
    for number in range(WORKS):
        one, other = names[number % 8], names[(number + 1 + number // 8) % 8]
        pixels = np.zeros((28, 28, 3), dtype=np.uint8)
        pixels[:, :18], pixels[:, 18:] = COLOURS[one], COLOURS[other]
        Image.fromarray(pixels).save(folder / f"{number}.png")
        description = {0: one, 1: f"{one} " * 500, 2: ""}.get(number, f"A {one} field left of a {other} one.")
        record = {"id": f"w{number}", "title": f"{one} and {other}", "image": f"{number}.png"}
        lines.append(json.dumps(record | {"description": description}))
    (folder / "works.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "works.jsonl"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the random weights and a collection `studies`; its source lies beside it."""
    home = tmp_path_factory.mktemp("measuring") / "home"
    save_reranker(home / "models" / "random")
    works = write_works(home.parent / "works")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOONART_ENCODER", "fake")
        patch.setenv("BOONART_HOME", str(home))
        run("ingest", works, "-c", "studies", "--template", "")
    return home


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path, one_seeded_thread: None) -> None:
    monkeypatch.setenv("BOONART_ENCODER", "fake")
    monkeypatch.setenv("BOONART_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str | Path) -> None:
    """As the process would, but with errors as exceptions."""
    app([str(argument) for argument in arguments], standalone_mode=False)


def figures(file: str) -> dict[str, float]:
    """The figures of a measurement, its form checked by the way."""
    measured = json.loads(Path(file).read_text(encoding="utf-8"))
    assert {"name", "figures", "settings", "machine", "seconds"} == set(measured)
    return measured["figures"]


# --- odd descriptions ---


def test_one_word_five_hundred_and_none_are_searched_both_ways(capsys, home):
    for arguments, found in ((("search", "a red field"), 16), (("search", "--image", home.parent / "works/2.png"), 15)):
        capsys.readouterr()
        run(*arguments, "-c", "studies", "-n", "20", "--json")
        hits = json.loads(capsys.readouterr().out)["hits"]
        assert len(hits) == found  # a work without a description is no description to be found
        assert all(np.isfinite(hit["relation_score"]) for hit in hits)
        assert len({hit["work"]["id"] for hit in hits}) == found


def test_weights_of_another_encoder_are_refused_by_name(tmp_path, monkeypatch):
    save_reranker(tmp_path / "other", encoder_id="starter@1234")
    monkeypatch.setenv("BOONART_RERANKER", str(tmp_path / "other"))
    with pytest.raises(ModelMismatch, match=r"belong to the encoder starter@1234, not to fake-32"):
        run("search", "red", "-c", "studies")


# --- the paper's experiments ---


def test_table1_and_figure4_of_ones_own_queries(tmp_path):
    (tmp_path / "queries.txt").write_text("red and green\nblue\n")
    run("paper", "table1", "-c", "studies", "--queries", "queries.txt", "-o", "out", "--json", "t.json")
    assert "red and green" in (tmp_path / "out" / "table1.html").read_text(encoding="utf-8")
    assert figures("t.json") == {}  # nobody has said which works are right
    run("paper", "figure4", "-c", "studies", "--queries", "queries.txt", "-o", "out")
    with Image.open("out/figure4-studies.webp") as sheet:
        assert sheet.width > 400


def test_figure5_asks_with_the_collections_own_pictures_or_with_given_ones(capsys, home):
    run("paper", "figure5", "-c", "studies", "-o", "out")
    assert "of 8 pictures" in capsys.readouterr().out
    run("paper", "figure5", home.parent / "works" / "3.png", "-c", "studies", "-o", "out")
    with Image.open("out/figure5-studies.webp") as sheet:
        assert sheet.height > 200


def test_timing_says_what_it_depends_on():
    run("paper", "timing", "-c", "studies", "--count", "2", "--json", "t.json")
    assert figures("t.json")["works"] == WORKS
    assert json.loads(Path("t.json").read_text())["settings"]["reranker"].startswith("random@")


@pytest.mark.parametrize("where", ["collection", "data"])
def test_table2_fine_tunes_and_reports_its_test_split(capsys, home, where):
    source = ("--collection", "studies") if where == "collection" else ("--data", home.parent / "works")
    run("paper", "table2", *source, "--passes", "1", "-o", "tuned", "--json", "t.json")
    found = figures("t.json")
    assert (found["pairs.train"], found["pairs.dev"], found["pairs.test"]) == (8, 2, 5)
    for row in ("global", "zero_shot", "fine_tuned", "global_all", "zero_shot_all"):
        for direction in ("image_to_text", "text_to_image"):
            name = f"{row}.{direction}.R@5"
            assert found[f"{name}.low"] <= found[name] <= found[f"{name}.high"]
    assert Path("tuned/vitr.safetensors").is_file()
    told = capsys.readouterr().out
    assert "5 pairs for testing" in told
    assert "fewer" in told


def test_table2_without_weights_says_so_and_measures_the_global_vectors(capsys, monkeypatch):
    monkeypatch.setenv("BOONART_RERANKER", "none")
    run("paper", "table2", "--collection", "studies", "--no-fine-tune", "--json", "t.json")
    assert not any(name.startswith(("zero_shot", "fine_tuned")) for name in figures("t.json"))
    assert "nothing was reranked" in capsys.readouterr().err


def test_table2_of_too_little_data_is_refused(tmp_path):
    (tmp_path / "few").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "few" / "a.png")
    record = {"id": "a", "image": "a.png", "description": "black"}
    (tmp_path / "few" / "works.jsonl").write_text(json.dumps(record))
    with pytest.raises(SourceError, match="12 are needed"):
        run("paper", "table2", "--data", tmp_path / "few")


# --- benchmarks ---


@pytest.mark.parametrize("where", ["collection", "data"])
def test_bench_rerank_times_the_rankers_that_there_are(capsys, home, where):
    source = ("--collection", "studies") if where == "collection" else ("--data", home.parent / "works")
    run("bench", "rerank", *source, "--queries", "5", "--json", "b.json")
    found = figures("b.json")
    assert {"rerank.median_ms", "rerank.p95_ms", "rerank.vitr.median_ms", "rerank.image.median_ms"} <= set(found)
    assert "rerank.role.median_ms" not in found
    assert "so many are re-ranked, not 100" in " ".join(capsys.readouterr().err.split())


def test_bench_exhaustive_enlarges_a_small_collection_and_says_so(capsys):
    run("bench", "exhaustive", "-c", "studies", "--works", "450", "--queries", "3", "--json", "b.json")
    found = figures("b.json")
    assert (found["works"], found["works.real"]) == (450, WORKS)
    assert {f"candidates.{count}.top10_kept" for count in (50, 100, 200, 400)} <= set(found)
    assert 0 <= found["exhaustive.top10_kept"] <= 100
    assert "repeat them" in " ".join(capsys.readouterr().err.split())


def test_bench_storage_counts_the_vectors_of_a_work():
    run("bench", "storage", "-c", "studies", "--json", "b.json")
    found = figures("b.json")
    assert found["bytes_per_work"] == pytest.approx(2 * 4 * 32 + 2 * 8 * (49 + found["words.mean"]))
    assert found["bytes_per_work.largest"] == 2 * 4 * 32 + 2 * 8 * (49 + 500)


def test_benchmarks_need_weights_and_features(tmp_path, monkeypatch, home):
    monkeypatch.setenv("BOONART_HOME", str(tmp_path / "empty"))
    with pytest.raises(ModelNotAvailable, match="no reranker weights"):
        run("bench", "rerank", "--data", home.parent / "works")
    run("ingest", home.parent / "works", "-c", "plain")
    with pytest.raises(ConfigurationError, match="no features"):
        run("bench", "storage", "-c", "plain")


# --- probes ---


def test_pairs_are_told_apart_by_the_rankers_that_there_are(tmp_path, home):
    pair = {
        "image": str(home.parent / "works/3.png"),
        "caption": "yellow left of white",
        "swapped": "white left of yellow",
    }
    (tmp_path / "pairs.json").write_text(json.dumps([pair]))
    run("evaluate", "pairs", "pairs.json", "--json", "p.json")
    found = figures("p.json")
    assert set(found) == {"pairs.count"} | {f"pairs.{name}.right" for name in ("global", "late", "vitr", "default")}
    (tmp_path / "pairs.json").write_text("{}")
    with pytest.raises(SourceError):
        run("evaluate", "pairs", "pairs.json")


def test_relations_of_the_sample_gallery(capsys):
    run("evaluate", "relations", "--split", "dev", "--json", "r.json")
    found = figures("r.json")
    assert {f"relations.{name}.group" for name in ("global", "late", "vitr", "default")} <= set(found)
    assert "percent\tglobal\tlate\tvitr\tdefault\n" in capsys.readouterr().out
