"""A Qdrant server under the contract: in this process, over REST and gRPC, and a real one where there is one."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from boonart.bootstrap import build_index
from boonart.index.edge import EdgeIndex
from boonart.index.server import QdrantServerIndex
from boonart.index.server_options import ServerOptions
from boonart.settings import read_settings
from boonart.works import Equals, Exists, Not, Range
from tests.integration.index.contract import FULL, D, IndexContract, made_works, unit
from tests.support.qdrant_process import QdrantProcess

pytestmark = pytest.mark.integration

REAL = os.environ.get("BOONART_TEST_QDRANT_URL", "")


@pytest.fixture(scope="module")
def double() -> Iterator[QdrantProcess]:
    process = QdrantProcess().start()
    yield process
    process.kill()


async def on_a_shared_server(url: str, options: ServerOptions) -> AsyncIterator[QdrantServerIndex]:
    made = QdrantServerIndex(url, options)
    yield made
    for info in await made.collections():
        await made.drop(info.name)
    await made.close()


def own_prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}-"


class TestInMemory(IndexContract):
    """`qdrant-client`'s engine in this process."""

    @pytest.fixture
    async def index(self) -> AsyncIterator[QdrantServerIndex]:
        made = QdrantServerIndex(":memory:")
        yield made
        await made.close()


class TestOverGrpc(IndexContract):
    """The double over gRPC, as in production."""

    @pytest.fixture
    async def index(self, double: QdrantProcess) -> AsyncIterator[QdrantServerIndex]:
        options = ServerOptions(grpc_port=double.grpc_port, prefix=own_prefix())
        async for made in on_a_shared_server(double.url, options):
            yield made


class TestOverRest(IndexContract):
    """The double over REST, for networks that let no gRPC through."""

    @pytest.fixture
    async def index(self, double: QdrantProcess) -> AsyncIterator[QdrantServerIndex]:
        options = ServerOptions(prefer_grpc=False, prefix=own_prefix())
        async for made in on_a_shared_server(double.url, options):
            yield made


if REAL:

    @pytest.mark.parametrize("prefer_grpc", [True, False], ids=["grpc", "rest"])
    class TestOnARealServer(IndexContract):
        """A Qdrant server, in a namespace of its own that is dropped afterwards."""

        @pytest.fixture
        async def index(self, prefer_grpc: bool) -> AsyncIterator[QdrantServerIndex]:
            key = os.environ.get("BOONART_TEST_QDRANT_API_KEY", "")
            options = ServerOptions(api_key=key, prefer_grpc=prefer_grpc, prefix=own_prefix())
            async for made in on_a_shared_server(REAL, options):
                yield made

else:

    @pytest.mark.skip(reason="set BOONART_TEST_QDRANT_URL to a Qdrant server for tests: the contract then runs on it")
    def test_on_a_real_server() -> None:
        """One line in the report in place of a hundred."""


async def test_all_engines_give_the_same_answers(double: QdrantProcess, tmp_path: Path) -> None:
    works = made_works(120, features=True)
    filters = (None, Equals("artist", "Blake"), Range("width", 660, 700), Not(Exists("subjects")))
    random = np.random.default_rng(11)
    queries = [unit(random.normal(size=D)) for _ in range(10)]
    prefix = own_prefix()
    engines = {
        "edge": EdgeIndex(tmp_path),
        "memory": QdrantServerIndex(":memory:"),
        "grpc": QdrantServerIndex(double.url, ServerOptions(grpc_port=double.grpc_port, prefix=prefix + "g-")),
        "rest": QdrantServerIndex(double.url, ServerOptions(prefer_grpc=False, prefix=prefix + "r-")),
    }
    answers = {}
    for name, index in engines.items():
        await index.create("tate", FULL)
        await index.upsert("tate", works)
        answers[name] = [
            [(hit.point_id, hit.work, hit.picture) for hit in found]
            for query in queries
            for side in ("image", "description")
            for where in filters
            if (found := await index.search("tate", query, name=side, limit=15, where=where))
        ]
        for text in ("Turner", "cow number 17", "places p1 Blake"):
            words = await index.search_keywords("tate", text, limit=120)
            answers[name].append(sorted((round(hit.score, 3), hit.point_id) for hit in words))
        features = await index.features("tate", [work.point_id("tate") for work in works], "description")
        answers[name].append(sorted((point, item.tokens.tobytes(), item.words) for point, item in features.items()))
        await index.drop("tate")
        await index.close()
    assert len(answers["edge"]) == len(queries) * 2 * len(filters) + 4
    for name in ("memory", "grpc", "rest"):
        assert answers[name] == answers["edge"], name


async def test_settings_lead_to_the_server(tmp_path: Path) -> None:
    process = QdrantProcess(api_key="a key").start()
    key = tmp_path / "key"
    key.write_text("a key\n")
    try:
        settings = read_settings(
            qdrant_url=process.url, qdrant_grpc_port=process.grpc_port, qdrant_api_key_file=key, qdrant_prefix="p-"
        )
        index = build_index(settings)
        assert isinstance(index, QdrantServerIndex)
        await index.create("tate", FULL)
        await index.upsert("tate", made_works(3, features=True))
        assert await index.count("tate") == 3
        await index.close()
    finally:
        process.kill()
