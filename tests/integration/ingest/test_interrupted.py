"""An ingest that is killed again and again ends where an undisturbed one does."""

import json
import random
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from boonart.index.edge import EdgeIndex

pytestmark = pytest.mark.integration

WORKS = 400
KILLS = 20
DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Works with a bad record, a bad picture and a repeated id among them."""
    folder = tmp_path_factory.mktemp("source")
    colours = np.random.default_rng(0).integers(0, 255, (WORKS, 3))
    lines = []
    for row in range(WORKS):
        stream = BytesIO()
        Image.new("RGB", (24, 16), tuple(int(value) for value in colours[row])).save(stream, "PNG")
        (folder / f"{row}.png").write_bytes(stream.getvalue()[: 40 if row == 31 else None])
        work = {
            "id": "w7" if row == 90 else f"w{row}",
            "title": f"Work {row}",
            "artist": "" if row % 3 else "Cuyp",
            "description": None if row % 4 == 0 else f"a red cow and {row} blue birds",
            "image": f"{row}.png",
            "room": row % 5,
        }
        lines.append("{broken" if row == 50 else json.dumps(work))
    (folder / "works.jsonl").write_text("\n".join(lines))
    return folder


def start(source: Path, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(DRIVER), str(source), str(home)], stdout=subprocess.PIPE, text=True)


def run_to_the_end(source: Path, home: Path) -> list[int]:
    with start(source, home) as process:
        assert process.stdout is not None
        last = process.stdout.read().splitlines()[-1].split()
    assert process.returncode == 0
    assert last[0] == "finished"
    return [int(number) for number in last[1:]]


def run_until_killed(source: Path, home: Path, chance: random.Random) -> int:
    """Kill the process at a random moment; returns how many works it had stored by then.

    One time in four the moment may fall before the first work is stored, else after one to five batches.
    """
    any_line = chance.random() < 0.25
    steps, delay = chance.randint(1, 5), chance.uniform(0.0, 0.03)
    with start(source, home) as process:
        assert process.stdout is not None
        indexed = 0
        for line in process.stdout:
            word, *numbers = line.split()
            assert word != "finished", "the work was done before the last kill: give it more works"
            indexed = int(numbers[1]) if numbers else 0
            steps -= any_line or indexed > 0
            if steps == 0:
                break
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    return indexed


async def contents(home: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, bytes]]:
    """Payloads and vectors by work id, and the picture files."""
    index = EdgeIndex(home / "collections")
    try:
        works = [candidate async for batch in index.scroll("works") for candidate in batch]
        vectors = {}
        for candidate in works:
            for name in ("image", "description") if candidate.work.description else ("image",):
                vectors[f"{candidate.work.id} {name}"] = await index.vector("works", candidate.work.id, name)
        assert await index.count("works") == len(works)
    finally:
        await index.close()
    pictures = {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in (home / "pictures").rglob("*")
        if path.is_file() and not path.name.endswith(".tmp")
    }
    return {candidate.work.id: candidate for candidate in works}, vectors, pictures


def quarantined(home: Path) -> list[str]:
    return sorted((home / "quarantine.jsonl").read_text().splitlines())


async def test_an_ingest_killed_twenty_times_ends_like_an_undisturbed_one(source: Path, tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    assert run_to_the_end(source, undisturbed) == [WORKS - 3, 0, 3]

    chance = random.Random(20)
    stored = [run_until_killed(source, disturbed, chance) for _ in range(KILLS)]
    added, unchanged, bad = run_to_the_end(source, disturbed)
    assert added + unchanged == WORKS - 3
    assert bad == 3
    # The kills fell into the middle of the work, and what was acknowledged before them was not done again.
    assert sum(count > 0 for count in stored) >= KILLS // 2
    assert added > 0
    assert unchanged >= sum(stored)

    works, vectors, pictures = await contents(undisturbed)
    works_again, vectors_again, pictures_again = await contents(disturbed)
    assert works_again == works
    assert vectors_again.keys() == vectors.keys()
    for name, vector in vectors.items():
        np.testing.assert_array_equal(vectors_again[name], vector, err_msg=name)
    assert pictures_again == pictures
    assert quarantined(disturbed) == quarantined(undisturbed)
