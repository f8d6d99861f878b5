"""`boonart snapshots` against the double of Qdrant."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from boonart.bootstrap import build_index
from boonart.cli import app
from boonart.errors import CollectionNotFound, ConfigurationError
from boonart.settings import read_settings
from tests.integration.index.contract import PLAIN, made_works
from tests.support.qdrant_process import QdrantProcess

pytestmark = pytest.mark.integration


@pytest.fixture
def qdrant(monkeypatch: pytest.MonkeyPatch) -> Iterator[QdrantProcess]:
    process = QdrantProcess().start()
    monkeypatch.setenv("BOONART_QDRANT_URL", process.url)
    monkeypatch.setenv("BOONART_QDRANT_GRPC_PORT", str(process.grpc_port))
    yield process
    process.kill()


def run(*arguments: str) -> str:
    ran = CliRunner().invoke(app, ["snapshots", *arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


async def works(collection: str, *, lose: str = "") -> set[str]:
    """The ids in a collection, which is made where it is not there; `lose` is deleted first."""
    index = build_index(read_settings())
    if collection not in [info.name for info in await index.collections()]:
        await index.create(collection, PLAIN)
        await index.upsert(collection, made_works(5))
    if lose:
        await index.delete(collection, [lose])
    found = set(await index.content_hashes(collection))
    await index.close()
    return found


def test_what_was_lost_comes_back(qdrant: QdrantProcess) -> None:
    before = asyncio.run(works("tate"))
    assert run("list", "tate") == ""
    name = run("create", "tate").strip()
    assert json.loads(run("list", "tate", "--json"))[0]["name"] == name
    assert asyncio.run(works("tate", lose="w00001")) == before - {"w00001"}
    restored = json.loads(run("restore", "tate", f"file:///qdrant/storage/snapshots/tate.v1/{name}", "--json"))
    assert restored == {"collection": "tate", "version": 2}
    assert asyncio.run(works("tate")) == before


def test_an_unknown_collection_is_said(qdrant: QdrantProcess) -> None:
    with pytest.raises(CollectionNotFound, match="nobody"):
        run("create", "nobody")


def test_without_a_server_one_is_told_what_to_copy() -> None:
    with pytest.raises(ConfigurationError, match="plain files"):
        run("list", "tate")
