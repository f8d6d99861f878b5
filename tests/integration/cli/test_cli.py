"""The command line as a user has it: a process, with the fake encoder and a real index."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.integration

COLOURS = {"red": (200, 40, 40), "blue": (50, 80, 190), "green": (50, 140, 60)}


def boonart(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "BOONART_HOME": str(home),
        "BOONART_ENCODER": "fake",
        "BOONART_RERANKER": "none",
        "NO_COLOR": "1",
        "COLUMNS": "160",
    }
    command = [sys.executable, "-c", "from boonart.cli import main; main()", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("works")
    lines = []
    for name, colour in COLOURS.items():
        Image.new("RGB", (64, 48), colour).save(folder / f"{name}.png")
        record = {"id": name, "title": f"Study in {name}", "image": f"{name}.png", "description": f"All {name}."}
        lines.append(json.dumps(record))
    (folder / "works.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def home(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    made = boonart(folder, "ingest", str(source), "--collection", "studies")
    assert made.returncode == 0, made.stderr
    assert "3 added" in made.stderr
    return folder


def test_a_text_finds_its_picture_without_naming_the_only_collection(home: Path) -> None:
    found = boonart(home, "search", "something red", "--json")
    assert found.returncode == 0, found.stderr
    hits = json.loads(found.stdout)["hits"]
    assert hits[0]["work"]["id"] == "red"


def test_a_table_is_shown_to_people(home: Path) -> None:
    found = boonart(home, "search", "blue", "-c", "studies", "-n", "1")
    assert "Study in blue" in found.stdout
    assert "Study in red" not in found.stdout


def test_a_picture_finds_descriptions_and_a_work_others(home: Path, source: Path) -> None:
    by_picture = json.loads(boonart(home, "search", "--image", str(source / "green.png"), "--json").stdout)
    assert by_picture["target"] == "descriptions"
    assert by_picture["hits"][0]["work"]["description"] == "All green."
    alike = json.loads(boonart(home, "search", "--like", "red", "--json").stdout)
    assert "red" not in [hit["work"]["id"] for hit in alike["hits"]]


def test_texts_and_works_are_combined_filtered_and_counted(home: Path) -> None:
    found = boonart(
        home, "search", "green", "--like", "red", "--not", "blue", "--filter", 'title : "study"', "--facet", "title",
        "--limit", "1", "--json",
    )  # fmt: skip
    answer = json.loads(found.stdout)
    assert answer["hits"][0]["work"]["id"] == "green"
    assert answer["hits"][0]["picture"]["width"] == 64
    assert len(answer["facets"]["title"]) == 3
    rest = boonart(
        home, "search", "green", "--like", "red", "--not", "blue", "--filter", 'title : "study"', "--facet", "title",
        "--cursor", answer["next_cursor"],
    )  # fmt: skip
    assert rest.stdout.splitlines()[0].split("\t")[2:4] == ["blue", "Study in blue"]


def test_a_second_ingest_finds_nothing_to_do(home: Path, source: Path) -> None:
    again = boonart(home, "ingest", str(source), "--collection", "studies", "--json")
    assert json.loads(again.stdout)["unchanged"] == 3


def test_a_bad_picture_is_quarantined_and_told_by_the_exit_code(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "no.jpg").write_text("this is text")
    Image.open(source / "red.png").save(folder / "yes.png")
    first = boonart(tmp_path / "home", "ingest", str(folder), "--collection", "c")
    assert first.returncode == 5
    assert "1 added" in first.stderr
    assert "quarantine" in first.stderr
    kept_going = boonart(tmp_path / "home", "ingest", str(folder), "--collection", "c", "--keep-going")
    assert kept_going.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("search", ""), "empty"),
        (("search", "x" * 10_000), "10,000 characters"),
        (("search", "a cow", "-c", "nowhere"), "nowhere"),
        (("search", "--image", "nothing.jpg"), "no file"),
        (("search", "a cow", "--filter", "title ="), "at character 8"),
        (("search", "a cow", "--filter", "colour = red"), "no field 'colour'"),
        (("search", "a cow", "--server", "http://127.0.0.1:9"), "does not answer"),
        (("ingest", "nothing-here", "-c", "c"), "nothing at"),
        (("ingest", ".", "-c", "c", "--map", "title"), "FIELD=COLUMN"),
        (("models", "pull", "open_clip:nonsense"), "hub model"),
    ],
)
def test_mistakes_get_a_sentence_and_no_traceback(home: Path, arguments: tuple[str, ...], words: str) -> None:
    failed = boonart(home, *arguments)
    assert failed.returncode == 1
    assert words in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_wrong_option_is_a_usage_error(home: Path) -> None:
    failed = boonart(home, "search", "a cow", "--nonsense")
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
