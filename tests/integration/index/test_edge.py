"""Qdrant Edge under the contract, and what only a folder on this machine can do."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from boonart.errors import BoonArtError, CollectionNotFound, IndexCorrupt, IndexLocked, ModelMismatch
from boonart.index import edge_shard, folders
from boonart.index.edge import EdgeIndex
from boonart.works import Equals, IndexedWork, Manifest, Work
from tests.integration.index.contract import FULL, PLAIN, D, IndexContract, made_works, unit

pytestmark = pytest.mark.integration


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EdgeIndex]:
    edge = EdgeIndex(tmp_path / "collections")
    yield edge
    await edge.close()


class TestEdgeIndex(IndexContract):
    """The contract."""


async def stored(root: Path, name: str = "tate") -> dict[str, str]:
    index = EdgeIndex(root)
    try:
        return await index.content_hashes(name)
    finally:
        await index.close()


async def make_collection(root: Path, works: list[IndexedWork], manifest: Manifest = PLAIN) -> None:
    index = EdgeIndex(root)
    await index.create("tate", manifest)
    await index.upsert("tate", works)
    await index.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def test_what_was_stored_is_there_after_closing(tmp_path: Path) -> None:
    works = made_works(40, features=True)
    await make_collection(tmp_path, works, FULL)
    assert await stored(tmp_path) == {work.work.id: work.content_hash for work in works}
    index = EdgeIndex(tmp_path)
    assert (await index.describe("tate")).size_bytes > 0
    # The extra fields that were indexed by the first process are known to the second.
    assert await index.count("tate", Equals("room", 1)) == 10
    await index.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from boonart.index.edge import EdgeIndex
from tests.integration.index.contract import PLAIN, made_works

async def main():
    index = EdgeIndex(Path(sys.argv[1]))
    await index.create("tate", PLAIN)
    works = made_works(4000)
    print("ready", flush=True)
    for start in range(0, 4000, 8):
        await index.upsert("tate", works[start:start + 8])
        print(start + 8, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 9, 60])
async def test_acknowledged_works_survive_a_kill(tmp_path: Path, acknowledged: int) -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledged + 1)]
        process.kill()
        last = [*lines, *process.stdout.read().splitlines()][-1]
    assert process.returncode == -9
    there = await stored(tmp_path)
    assert int(last) >= 8 * acknowledged
    assert {f"w{row:05d}" for row in range(int(last))} <= set(there)
    # A batch that was not acknowledged is there as a whole or not at all.
    assert len(there) % 8 == 0


HOLDER = """
import asyncio, sys
from pathlib import Path
from boonart.index.edge import EdgeIndex

async def main():
    index = EdgeIndex(Path(sys.argv[1]), server_url="http://127.0.0.1:8123")
    await index.count("tate")
    print("holding", flush=True)
    sys.stdin.read()
    await index.close()

asyncio.run(main())
"""


async def test_another_process_is_told_who_holds_the_collection(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(3))
    index = EdgeIndex(tmp_path)
    await index.create("free", PLAIN)
    await index.close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "holding\n"
        with pytest.raises(IndexLocked, match=str(process.pid)) as caught:
            await index.count("tate")
        assert caught.value.url == "http://127.0.0.1:8123"
        assert "http://127.0.0.1:8123" in str(caught.value)
        # Trying did not take the owner's name away, and the other collections are free.
        with pytest.raises(IndexLocked, match=str(process.pid)):
            await index.describe("tate")
        assert await index.count("free") == 0
        assert {info.name: info.count for info in await index.collections()} == {"free": 0, "tate": 3}
        process.stdin.close()
    assert await index.count("tate") == 3
    await index.close()


async def test_two_indexes_in_one_process_do_not_share_a_collection(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(3))
    first, second = EdgeIndex(tmp_path), EdgeIndex(tmp_path)
    assert await first.count("tate") == 3
    with pytest.raises(IndexLocked, match=str(os.getpid())):
        await second.count("tate")
    await first.close()
    assert await second.count("tate") == 3
    await second.close()


async def test_listing_locks_nothing(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(3))
    first, second = EdgeIndex(tmp_path), EdgeIndex(tmp_path)
    assert [info.count for info in await first.collections()] == [3]
    assert await second.count("tate") == 3
    assert [info.count for info in await first.collections()] == [3]
    await second.close()
    await first.close()


def damage(name: str, folder: Path) -> None:
    files = folder / "v1" / "g1"
    if name == "no manifest":
        (folder / "v1" / "manifest.json").unlink()
    elif name == "manifest of another thing":
        (folder / "v1" / "manifest.json").write_text('{"encoder_id": 3}')
    elif name == "pointer without a number":
        (folder / "current").write_bytes(b"\xff\x00")
    elif name == "pointer to nowhere":
        (folder / "current").write_text("7\n")
    elif name == "no engine files":
        shutil.rmtree(files)
    elif name == "garbled configuration":
        (files / "edge_config.json").write_bytes(b"\x00" * 100)
    elif name == "missing vectors":
        shutil.rmtree(next(files.glob("segments/*/vector_storage-image")))
    elif name == "truncated ids":
        path = next(files.glob("segments/*/mutable_id_tracker.mappings"))
        path.write_bytes(path.read_bytes()[:10])
    elif name == "garbled state":
        (folder / "v1" / "state.json").write_text("[")


@pytest.mark.parametrize(
    "name",
    [
        "no manifest",
        "manifest of another thing",
        "pointer without a number",
        "pointer to nowhere",
        "no engine files",
        "garbled configuration",
        "missing vectors",
        "truncated ids",
        "garbled state",
    ],
)
async def test_a_damaged_folder_is_refused_and_left_as_it_is(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await make_collection(tmp_path, made_works(20))
    folder = tmp_path / "tate"
    damage(name, folder)
    before = content(folder)
    index = EdgeIndex(tmp_path)
    await index.create("other", PLAIN)
    for call in (index.count("tate"), index.upsert("tate", made_works(1)), index.describe("tate")):
        with pytest.raises(IndexCorrupt, match="Nothing in it was changed"):
            await call
    assert content(folder) == before
    assert "other" in [info.name for info in await index.collections()]
    await index.drop("tate")
    with pytest.raises(CollectionNotFound):
        await index.count("tate")
    await index.close()


async def test_damage_after_a_crash_is_refused_too(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(20))
    folder = tmp_path / "tate"
    folders.write_state(folder / "v1", folders.State(count=20))  # as while a process has it open
    damage("garbled configuration", folder)
    index = EdgeIndex(tmp_path)
    with pytest.raises(IndexCorrupt):
        await index.count("tate")
    await index.close()


async def test_an_older_form_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(1))
    path = tmp_path / "tate" / "v1" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    index = EdgeIndex(tmp_path)
    with pytest.raises(ModelMismatch, match="boonart reindex tate"):
        await index.count("tate")
    await index.close()


async def test_a_creation_that_was_interrupted_can_be_repeated(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(1))
    (tmp_path / "tate" / "current").unlink()
    index = EdgeIndex(tmp_path)
    with pytest.raises(CollectionNotFound):
        await index.count("tate")
    await index.create("tate", PLAIN)
    assert await index.count("tate") == 0
    await index.close()


def clustered(count: int) -> list[IndexedWork]:
    random = np.random.default_rng(3)
    centres = random.normal(size=(40, D))
    vectors = unit(centres[random.integers(0, 40, count)] + 0.5 * random.normal(size=(count, D)))
    return [IndexedWork(Work(f"c{row:05d}"), str(row), vectors[row]) for row in range(count)]


async def test_a_graph_is_built_above_the_limit_and_finds_what_the_exact_search_finds(tmp_path: Path) -> None:
    works = clustered(4000)
    index = EdgeIndex(tmp_path, exact_below=3000)
    await index.create("tate", PLAIN)
    await index.upsert("tate", works[:2000])
    assert (tmp_path / "tate" / "v1" / "current").read_text() == "1\n"
    await index.upsert("tate", works[2000:])
    assert (tmp_path / "tate" / "v1" / "current").read_text() == "2\n"
    assert [path.name for path in (tmp_path / "tate" / "v1").glob("g*")] == ["g2"]
    assert await index.count("tate") == 4000
    recall = []
    for work in works[::200]:
        near = await index.search("tate", work.image, name="image", limit=10)
        exact = await index.search("tate", work.image, name="image", limit=10, exact=True)
        recall.append(len({c.work.id for c in near} & {c.work.id for c in exact}) / 10)
    assert np.mean(recall) >= 0.95
    await index.close()
    assert len(await stored(tmp_path)) == 4000


async def test_searches_go_on_while_the_graph_is_built(tmp_path: Path) -> None:
    works = clustered(4000)
    index = EdgeIndex(tmp_path)
    await index.create("tate", PLAIN)
    await index.upsert("tate", works)
    building = asyncio.create_task(index.optimise("tate"))
    runs = 0
    while not building.done():
        (found,) = await index.search("tate", works[7].image, name="image", limit=1)
        assert found.work.id == "c00007"
        runs += 1
    assert await building is True
    assert runs > 1
    await index.close()


async def test_a_build_that_fails_leaves_the_collection_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = EdgeIndex(tmp_path)
    await index.create("tate", PLAIN)
    await index.upsert("tate", clustered(50))
    monkeypatch.setattr(edge_shard.sys, "executable", shutil.which("false"))
    assert await index.optimise("tate") is False
    assert "could not be built" in caplog.text
    assert await index.count("tate") == 50
    await index.close()
    assert [path.name for path in (tmp_path / "tate" / "v1").glob("g*")] == ["g1"]


async def test_a_closed_index_can_be_closed_again_and_says_what_it_is(tmp_path: Path) -> None:
    await make_collection(tmp_path, made_works(2))
    index = EdgeIndex(tmp_path)
    assert await index.count("tate") == 2
    await index.close()
    await index.close()
    assert issubclass(IndexCorrupt, BoonArtError)
    assert await index.count("tate") == 2, "it opens again when it is used again"
    await index.close()
