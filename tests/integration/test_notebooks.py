"""The notebooks in examples/ run from top to bottom, and show paintings."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from page_support import free_port, gateway_process

from boonart.sample.gallery import committed_gallery

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
WORKS = 40
"""Of the gallery that is searched: enough to show, few enough to store quickly."""
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


def executed(name: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Everything that a notebook shows when it is run."""
    if any(importlib.util.find_spec(package) is None for package in ("nbclient", "ipykernel")):
        pytest.skip("nbclient and ipykernel are not installed; they are development dependencies")
    result = folder / f"{name}.ipynb"
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(EXAMPLES / f"{name}.ipynb"), str(result)],
        env=os.environ | {"BOONART_HOME": str(folder / "home"), "IPYTHONDIR": str(folder / "ipython")} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr[-5_000:]
    outputs = [output for cell in cells(result) for output in cell.get("outputs", ())]
    return "".join(
        "".join(output.get("text", "")) + "".join(output.get("data", {}).get("text/html", "")) for output in outputs
    )


def boonart(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from boonart.cli import main; main()", *arguments]


@pytest.fixture(scope="module")
def gallery_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a part of the sample gallery."""
    folder, port = tmp_path_factory.mktemp("gallery"), free_port()
    records = committed_gallery().read_text(encoding="utf-8").splitlines()[:WORKS]
    (folder / "works.jsonl").write_text("\n".join(records) + "\n", encoding="utf-8")
    for record in records:
        picture = Path(json.loads(record)["image"])
        (folder / picture.parent).mkdir(exist_ok=True)
        shutil.copy(committed_gallery().parent / picture, folder / picture)
    own = {"BOONART_HOME": str(folder / "home")}
    ingest = boonart("ingest", str(folder / "works.jsonl"), "--collection", "sample")
    stored = subprocess.run(ingest, env=os.environ | own, capture_output=True, text=True, timeout=600)
    assert stored.returncode == 0, stored.stderr
    with gateway_process(boonart("serve", "--port", str(port)), port, folder / "log", own) as url:
        yield url


def test_there_are_two_notebooks_without_outputs() -> None:
    assert [notebook.stem for notebook in NOTEBOOKS] == ["evaluate_and_fine_tune", "search_a_collection"]
    for notebook in NOTEBOOKS:
        for cell in cells(notebook):
            assert cell["cell_type"] == "markdown" or (cell["outputs"], cell["execution_count"]) == ([], None)


def test_a_collection_is_searched(gallery_url: str, tmp_path: Path) -> None:
    shown = executed("search_a_collection", tmp_path, {"BOONART_URL": gallery_url})
    assert shown.count("<img src=") >= 20
    assert gallery_url in shown
    assert "century" in shown
    assert "█" in shown


def test_a_reranker_is_evaluated_and_fine_tuned(tmp_path: Path) -> None:
    shown = executed("evaluate_and_fine_tune", tmp_path, {})
    assert shown.count("data:image/webp") == 4
    for method in ("global vectors", "zero-shot", "fine-tuned"):
        assert method in shown
