"""What a Qdrant server may do to a caller: be away, come back, hang, refuse, be used by others."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models

from boonart.errors import (
    CollectionExists,
    CollectionNotFound,
    ConfigurationError,
    IndexCorrupt,
    InvalidFilter,
    ModelMismatch,
    Unavailable,
)
from boonart.index.server import QdrantServerIndex
from boonart.index.server_options import ServerOptions
from boonart.works import Equals, IndexedWork, Manifest, Work
from tests.integration.index.contract import FULL, PLAIN, D, made_works, unit
from tests.support.qdrant_process import QdrantProcess, free_port

pytestmark = pytest.mark.integration

BACK_WITHIN = 60.0
"""Seconds after which a restarted Qdrant must be in use again; it is one on an idle machine."""


@pytest.fixture(params=[True, False], ids=["grpc", "rest"])
def prefer_grpc(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantProcess]:
    """One process for all tests, with points that outlive it; each test takes a prefix of its own."""
    process = QdrantProcess(path=tmp_path_factory.mktemp("qdrant"))
    yield process
    process.kill()


@pytest.fixture
def qdrant(shared: QdrantProcess) -> QdrantProcess:
    """A running one, whatever the test before did to it."""
    return shared if shared.process is not None else shared.start()


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex[:8]}-"


@asynccontextmanager
async def open_index(process: QdrantProcess, **options: object) -> AsyncIterator[QdrantServerIndex]:
    # On a busy machine the double takes long to start.
    given: dict[str, Any] = {"timeout": 30.0, "write_timeout": 240.0, **options}
    index = QdrantServerIndex(process.url, ServerOptions(grpc_port=process.grpc_port, **given))
    try:
        yield index
    finally:
        await index.close()


async def search(index: QdrantServerIndex, work: IndexedWork) -> str:
    (hit,) = await index.search("tate", work.image, name="image", limit=1)
    return hit.work.id


async def test_a_killed_server_is_unavailable_and_used_again_once_it_is_back(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    works = made_works(30, features=True)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", FULL)
        await index.upsert("tate", works)
        qdrant.kill()
        for call in (search(index, works[3]), index.count("tate"), index.collections(), index.get("tate", ["w00001"])):
            with pytest.raises(Unavailable, match="not available") as caught:
                await call
            assert caught.value.retry_after > 0
        qdrant.start()
        end = asyncio.get_running_loop().time() + BACK_WITHIN
        while True:
            try:
                assert await search(index, works[3]) == "w00003"
                break
            except Unavailable:
                assert asyncio.get_running_loop().time() < end, "it is back but not used"
                await asyncio.sleep(0.1)
        assert await index.content_hashes("tate") == {work.work.id: work.content_hash for work in works}
        features = await index.features("tate", [works[0].point_id("tate")], "image")
        np.testing.assert_array_equal(features[works[0].point_id("tate")].tokens, works[0].regions)


async def test_searches_in_flight_fail_as_unavailable_and_never_hang(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    works = made_works(200)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", PLAIN)
        await index.upsert("tate", works)
        running = [asyncio.create_task(search(index, works[row])) for row in range(32)]
        await asyncio.sleep(0.02)
        qdrant.kill()
        results = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 30)
        answered = [result for result in results if isinstance(result, str)]
        failed = [result for result in results if not isinstance(result, str)]
        assert all(isinstance(result, Unavailable) for result in failed), failed
        assert failed, "the server was killed too late for this test to show anything"
        assert set(answered) <= {work.work.id for work in works}


async def test_a_write_waits_through_a_restart(qdrant: QdrantProcess, prefix: str, prefer_grpc: bool) -> None:
    works = made_works(150)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", PLAIN)
        await index.upsert("tate", works[:50])
        qdrant.kill()
        writing = asyncio.create_task(index.upsert("tate", works[50:]))
        await asyncio.sleep(1.5)
        assert not writing.done(), "longer than a search would have waited"
        await asyncio.to_thread(qdrant.start)
        await writing
        assert await index.count("tate") == 150


async def test_a_write_under_way_is_repeated_after_a_restart(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    works = made_works(1500)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", PLAIN)
        writing = asyncio.create_task(index.upsert("tate", works))
        while not writing.done() and await index.count("tate") == 0:
            await asyncio.sleep(0.01)
        assert not writing.done(), "the write was over before the server could be killed"
        qdrant.kill()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(qdrant.start)
        await writing
        assert await index.content_hashes("tate") == {work.work.id: work.content_hash for work in works}


async def test_a_server_that_hangs_costs_the_deadline_and_no_more(prefer_grpc: bool) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        while await reader.read(65536):
            pass

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    index = QdrantServerIndex(
        f"http://127.0.0.1:{port}", ServerOptions(prefer_grpc=prefer_grpc, grpc_port=port, timeout=2.0)
    )
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(index.describe("tate"), 60)
        assert connections, "it was not even asked"
    finally:
        await index.close()
        for writer in connections:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_a_wrong_key_is_a_matter_of_configuration(prefer_grpc: bool) -> None:
    process = QdrantProcess(api_key="right").start()
    try:
        async with open_index(process, prefer_grpc=prefer_grpc, api_key="right") as index:
            await index.create("tate", PLAIN)
        async with open_index(process, prefer_grpc=prefer_grpc, api_key="wrong") as index:
            with pytest.raises(ConfigurationError, match="API_KEY_FILE"):
                await index.describe("tate")
    finally:
        process.kill()
    assert "right" not in repr(ServerOptions(api_key="right"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("qdrant:6333", "no scheme"),
        ("grpc://qdrant:6334", "scheme grpc"),
        ("http://", "no host"),
        ("http://qdrant:port", "cannot be read"),
        ("http://key@qdrant:6333", "more than"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        QdrantServerIndex(url)
    assert "http://HOST:6333" in str(caught.value)


async def test_one_index_serves_several_event_loops_after_each_other(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    index = QdrantServerIndex(
        qdrant.url, ServerOptions(grpc_port=qdrant.grpc_port, prefer_grpc=prefer_grpc, prefix=prefix)
    )
    await index.create("tate", PLAIN)
    await index.upsert("tate", made_works(3))
    await index.close()

    async def count() -> int:
        try:
            return await index.count("tate")
        finally:
            await index.close()

    assert await asyncio.to_thread(lambda: [asyncio.run(count()) for _ in range(2)]) == [3, 3]


async def test_two_processes_see_what_the_other_does(qdrant: QdrantProcess, prefix: str, prefer_grpc: bool) -> None:
    works = made_works(6, features=True)
    async with (
        open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as ingest,
        open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as gateway,
    ):
        await ingest.create("tate", PLAIN)
        await ingest.upsert("tate", made_works(4))
        assert await gateway.count("tate") == 4
        await ingest.upsert("tate", [IndexedWork(Work("new", extra={"wing": "west"}), "h", unit(np.ones(D)))])
        # The gateway has just read which fields there are; a filter on a new one is answered all the same.
        assert await gateway.count("tate", Equals("wing", "west")) == 1
        with pytest.raises(InvalidFilter, match=r"extra\.wing"):
            await gateway.count("tate", Equals("floor", "first"))
        version = await ingest.create_version("tate", FULL)
        await ingest.upsert("tate", works, version=version)
        await ingest.publish("tate", version)
        assert {hit.work.id for hit in await gateway.search("tate", works[0].image, name="image", limit=50)} == {
            work.work.id for work in works
        }
        await ingest.drop("tate")
        with pytest.raises(CollectionNotFound):
            await gateway.search("tate", works[0].image, name="image", limit=5)


async def payload_indexes(qdrant: QdrantProcess, name: str) -> dict[str, str]:
    """The kind of each payload index by its path."""
    client = AsyncQdrantClient(url=qdrant.url, check_compatibility=False)
    schema = (await client.get_collection(name)).payload_schema
    await client.close()
    return {path: info.data_type.value for path, info in schema.items()}


async def test_payload_fields_are_indexed(qdrant: QdrantProcess, prefix: str, prefer_grpc: bool) -> None:
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", PLAIN)
        await index.upsert("tate", made_works(3))
        kinds = await payload_indexes(qdrant, f"{prefix}tate")
    assert kinds["artist"] == "keyword"
    assert kinds["description"] == "text"
    assert kinds["extra.room"] == "integer"
    assert kinds['extra."inv.no"'] == "keyword"
    assert "content_hash" not in kinds


async def test_collections_of_other_programs_are_left_alone(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    client = AsyncQdrantClient(url=qdrant.url, check_compatibility=False)
    plain = models.VectorParams(size=4, distance=models.Distance.DOT)
    await client.create_collection(f"{prefix}theirs", vectors_config=plain)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        assert await index.collections() == []
        with pytest.raises(IndexCorrupt, match="not made by BoonArt"):
            await index.count("theirs")
        with pytest.raises(CollectionExists):
            await index.create("theirs", PLAIN)
        with pytest.raises(CollectionNotFound):
            await index.drop("nothing")
        assert [item.name for item in (await client.get_collections()).collections if item.name == f"{prefix}theirs"]
    await client.close()


async def test_installations_with_other_prefixes_do_not_meet(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    async with (
        open_index(qdrant, prefer_grpc=prefer_grpc, prefix=f"a-{prefix}") as first,
        open_index(qdrant, prefer_grpc=prefer_grpc, prefix=f"b-{prefix}") as second,
    ):
        await first.create("tate", PLAIN)
        await second.create("tate", FULL)
        await first.upsert("tate", made_works(2))
        assert [(info.name, info.count) for info in await second.collections()] == [("tate", 0)]
        await second.drop("tate")
        assert [(info.name, info.count) for info in await first.collections()] == [("tate", 2)]


async def test_a_creation_that_was_interrupted_can_be_repeated(
    qdrant: QdrantProcess, prefix: str, prefer_grpc: bool
) -> None:
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        for manifest in (PLAIN, PLAIN, FULL):
            await index._names.make("tate", 1, manifest)  # and died before it published the name
        with pytest.raises(CollectionNotFound):
            await index.count("tate")
        await index.create("tate", PLAIN)
        assert (await index.describe("tate")).manifest == PLAIN
        assert await index.count("tate") == 0


async def test_an_older_form_is_refused_with_the_command_that_mends_it(qdrant: QdrantProcess, prefix: str) -> None:
    async with open_index(qdrant, prefix=prefix) as index:
        await index.create("tate", Manifest("fake:a", D, schema_version=99))
        with pytest.raises(ModelMismatch, match="boonart reindex tate"):
            await index.count("tate")
        assert [info.manifest.schema_version for info in await index.collections()] == [99]


async def test_a_snapshot_brings_back_what_was_there(qdrant: QdrantProcess, prefix: str, prefer_grpc: bool) -> None:
    works = made_works(8, features=True)
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc) as index:
        await index.create("tate", FULL)
        await index.upsert("tate", works)
        assert await index.snapshots("tate") == []
        snapshot = await index.create_snapshot("tate")
        assert [item.name for item in await index.snapshots("tate")] == [snapshot.name]
        await index.delete("tate", [work.work.id for work in works[:5]])
        assert await index.count("tate") == 3
        version = await index.restore_snapshot("tate", f"file:///qdrant/snapshots/tate.v1/{snapshot.name}")
        info = await index.describe("tate")
        assert (info.version, info.count, info.manifest) == (version, 8, FULL)
        assert version == 2
        assert await index.count("tate", Equals("room", 1)) == 2, "the fields came back too"
        kinds = await payload_indexes(qdrant, f"{prefix}tate")
        assert (kinds["artist"], kinds["extra.room"]) == ("keyword", "integer"), "and are indexed again"


async def test_more_copies_than_nodes_are_not_asked_for(qdrant: QdrantProcess, prefix: str, prefer_grpc: bool) -> None:
    # The double refuses a replication factor that it cannot give.
    async with open_index(qdrant, prefix=prefix, prefer_grpc=prefer_grpc, replicas=2, write_consistency=2) as index:
        await index.create("tate", PLAIN)
        assert await index.count("tate") == 0


async def test_a_cluster_gets_the_shards_and_copies_of_the_settings(prefer_grpc: bool) -> None:
    process = QdrantProcess(nodes=3).start()
    client = AsyncQdrantClient(url=process.url, check_compatibility=False)
    try:
        wanted = {"shards": 6, "replicas": 2, "write_consistency": 2}
        async with open_index(process, prefer_grpc=prefer_grpc, **wanted) as index:
            await index.create("tate", PLAIN)
            params = (await client.get_collection("tate")).config.params
            assert (params.shard_number, params.replication_factor, params.write_consistency_factor) == (6, 2, 2)
            # A snapshot of one node would be a part of the collection, and restored look like all of it.
            for refused in (index.create_snapshot("tate"), index.restore_snapshot("tate", "file:///tate.snapshot")):
                with pytest.raises(ConfigurationError, match="3 nodes") as caught:
                    await refused
                assert "docs/deploy.md" in caught.value.hint
    finally:
        await client.close()
        process.kill()


async def test_nobody_listens(prefer_grpc: bool) -> None:
    options = ServerOptions(prefer_grpc=prefer_grpc, grpc_port=free_port())
    index = QdrantServerIndex(f"http://127.0.0.1:{free_port()}", options)
    with pytest.raises(Unavailable):
        await index.collections()
    await index.close()
