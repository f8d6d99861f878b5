"""What a search answers when a remote part is down, slow, back with another model, or cut off."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rpc_support import (
    COLLECTION,
    COLOUR_WORDS,
    ColourIndex,
    CountingEncoder,
    FakeReranker,
    Wire,
    as_index,
    batching,
    encoder_server,
    free_port,
    reranker_server,
    serving_settings,
    until,
)

from boonart.encoders.fake import FakeEncoder
from boonart.errors import ConfigurationError, DeadlineExceeded, InvalidRequest, ModelMismatch, Unavailable
from boonart.ports import RerankRequest
from boonart.rpc.channels import ChannelOptions
from boonart.rpc.clients import RemoteEncoder, RemoteReranker
from boonart.rpc.deadlines import within
from boonart.search import Search
from boonart.works import REGIONS, Candidate, ImageEmbedding, Picture, Query, Ranker, TextEmbedding, Work

pytestmark = pytest.mark.integration

QUERY = Query(COLLECTION, text="something red")
CANDIDATES = [Candidate("near", Work("1"), 0.9, "h1"), Candidate("far", Work("2"), 0.1, "h2")]


def text() -> TextEmbedding:
    return FakeEncoder().encode_texts(["red cow"])[0]


async def test_remote_and_local_rerankers_say_the_same() -> None:
    reranker = FakeReranker()
    request = RerankRequest(COLLECTION, text(), CANDIDATES)
    image = ImageEmbedding(np.ones(32, np.float32), np.ones((REGIONS, 16), np.float16))
    async with reranker_server(reranker) as server:
        client = RemoteReranker(server.url, encoder_id="fake-32")
        assert await client.refresh() == reranker.card
        assert await client.rerank(request) == await reranker.rerank(request)
        for remote, local in (
            (await client.prepare_texts([text()]), await reranker.prepare_texts([text()])),
            (await client.prepare_images([image]), await reranker.prepare_images([image])),
        ):
            np.testing.assert_array_equal(remote[0], local[0])
        assert await client.prepare_texts([]) == []
        with pytest.raises(InvalidRequest, match="RANKER_NONE"):
            await client.rerank(RerankRequest(COLLECTION, text(), CANDIDATES, Ranker.NONE))
        await client.close()


async def test_a_search_over_both_remote_parts_is_reranked() -> None:
    model = FakeEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as near, reranker_server(FakeReranker()) as far:
        remote, reranker = RemoteEncoder(near.url), RemoteReranker(far.url)
        await remote.refresh()
        await reranker.refresh()
        answer = await Search(remote, as_index(ColourIndex(model)), reranker).run(QUERY)
        local = await Search(encoder, as_index(ColourIndex(model)), FakeReranker()).run(QUERY)
        await remote.close()
        await reranker.close()
    assert answer.degraded == {}
    assert answer.hits == local.hits
    assert answer.hits[-1].work.id == "red", "the fake reverses the order"
    assert answer.models == {"encoder": "fake-32", "reranker": "fake-reranker"}


async def test_a_reranker_that_goes_and_comes_back() -> None:
    model = FakeEncoder()
    port = free_port()
    async with batching(model) as encoder:
        reranker = RemoteReranker(f"grpc://127.0.0.1:{port}")
        search = Search(encoder, as_index(ColourIndex(model)), reranker)
        async with reranker_server(FakeReranker(), settings=serving_settings(grpc_port=port)):
            await reranker.refresh()
            before = await search.run(QUERY)
        without = await search.run(QUERY)
        async with reranker_server(FakeReranker(), settings=serving_settings(grpc_port=port)):
            async with asyncio.timeout(20):
                while (after := await search.run(QUERY)).degraded:
                    await asyncio.sleep(0.1)
        await reranker.close()
    assert before.degraded == {}
    assert list(without.degraded) == ["rerank"]
    assert "cannot be reached" in without.degraded["rerank"]
    assert without.hits[0].work.id == "red"
    assert after.hits == before.hits


async def test_a_reranker_that_is_away_from_the_start_is_used_once_it_comes() -> None:
    model = FakeEncoder()
    port = free_port()
    async with batching(model) as encoder:
        reranker = RemoteReranker(f"grpc://127.0.0.1:{port}")
        search = Search(encoder, as_index(ColourIndex(model)), reranker)
        without = await search.run(QUERY)
        unasked = await search.run(replace(QUERY, rerank=Ranker.NONE))
        async with reranker_server(FakeReranker(), settings=serving_settings(grpc_port=port)), asyncio.timeout(20):
            while (after := await search.run(QUERY)).degraded:
                await asyncio.sleep(0.05)
        await reranker.close()
    assert "not been reached" in without.degraded["rerank"]
    assert without.hits[0].work.id == "red"
    assert unasked.degraded == {}
    assert after.hits[-1].work.id == "red"


async def test_a_reranker_that_comes_later_is_used_by_the_next_search() -> None:
    model = FakeEncoder()
    port = free_port()
    async with batching(model) as encoder:
        reranker = RemoteReranker(f"grpc://127.0.0.1:{port}")
        search = Search(encoder, as_index(ColourIndex(model)), reranker)
        # The search that comes first has a deadline, which must not end the client's own questions.
        async with within(5.0):
            without = await search.run(QUERY)
        async with reranker_server(FakeReranker(), settings=serving_settings(grpc_port=port)):
            await until(lambda: reranker._card is not None)
            answer = await search.run(QUERY)
        await reranker.close()
    assert list(without.degraded) == ["rerank"]
    assert answer.degraded == {}


async def test_a_slow_reranker_is_given_up_and_its_work_cancelled() -> None:
    model, slow = FakeEncoder(), FakeReranker(pause=60.0)
    async with batching(model) as encoder, reranker_server(slow) as server:
        reranker = RemoteReranker(server.url)
        await reranker.refresh()
        answer = await Search(encoder, as_index(ColourIndex(model)), reranker, rerank_deadline=0.3).run(QUERY)
        await until(lambda: "boonart_requests_running 0.0" in server.metrics.text())
        await reranker.close()
    assert list(answer.degraded) == ["rerank"]
    assert (slow.begun, slow.finished) == (1, 0)


async def test_a_full_reranker_refuses_at_once_and_the_search_goes_on() -> None:
    model, slow = FakeEncoder(), FakeReranker(pause=1.0)
    async with batching(model) as encoder, reranker_server(slow, max_queries=2) as server:
        reranker = RemoteReranker(server.url)
        await reranker.refresh()
        search = Search(encoder, as_index(ColourIndex(model)), reranker)
        answers = await asyncio.gather(*(search.run(QUERY) for _ in range(6)))
        await reranker.close()
    assert slow.begun == 2
    assert sum(answer.degraded == {} for answer in answers) == 2
    refused = [answer.degraded["rerank"] for answer in answers if answer.degraded]
    assert refused == ["The reranker's queue is full."] * 4


async def test_an_encoder_that_is_away_leaves_the_words_and_comes_back() -> None:
    model = FakeEncoder()
    port = free_port()
    client = RemoteEncoder(f"grpc://127.0.0.1:{port}")
    async with batching(model) as encoder:
        async with encoder_server(encoder, settings=serving_settings(grpc_port=port)):
            await client.refresh()
        search = Search(client, as_index(ColourIndex(model)))
        without = await search.run(QUERY)
        with pytest.raises(Unavailable, match="cannot be reached") as caught:
            await search.run(Query(COLLECTION, picture=Picture(np.zeros((8, 8, 3), np.uint8), (8, 8), "PNG")))
        async with encoder_server(encoder, settings=serving_settings(grpc_port=port)), asyncio.timeout(20):
            while (answer := await search.run(QUERY)).degraded:
                await asyncio.sleep(0.1)
    await client.close()
    assert [hit.work.id for hit in without.hits] == ["red"], "the others do not say the word"
    assert "cannot be reached" in without.degraded["encode"]
    assert caught.value.retry_after > 0
    assert answer.hits[0].work.id == "red"
    assert len(answer.hits) == len(COLOUR_WORDS)


async def test_an_encoder_that_is_stuck_leaves_the_words_in_time() -> None:
    model = CountingEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        await client.refresh()
        model.gate.clear()
        search = Search(client, as_index(ColourIndex(model)), encode_deadline=0.3)
        answers = await asyncio.gather(*(search.run(QUERY) for _ in range(8)))
        await until(lambda: "boonart_requests_running 0.0" in server.metrics.text())
        model.gate.set()
        await client.close()
    assert [list(answer.degraded) for answer in answers] == [["encode"]] * 8
    computed = [texts for texts in model.passes if QUERY.text in texts]
    assert len(computed) <= 1, "only what was under way when its callers gave up; what still waited is not computed"


async def test_of_two_replicas_one_may_be_away() -> None:
    model = FakeEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(f"grpc://127.0.0.1:{free_port()},{server.url}")
        for _ in range(6):
            assert len(await client.encode_texts(["cow"])) == 1
        await client.close()


async def test_calls_are_spread_over_the_replicas() -> None:
    models = [CountingEncoder(), CountingEncoder()]
    async with (
        batching(models[0]) as one,
        batching(models[1]) as two,
        encoder_server(one) as first,
        encoder_server(two) as second,
    ):
        client = RemoteEncoder(f"{first.url},{second.url}")
        for _ in range(10):
            await client.encode_texts(["cow"])
        await client.close()
    assert [len(model.passes) for model in models] == [5, 5]


async def test_a_cut_line_is_a_deadline_and_heals() -> None:
    model = FakeEncoder()
    options = ChannelOptions(keepalive=0.3, keepalive_timeout=0.3)
    async with batching(model) as encoder, encoder_server(encoder) as server, Wire(server.port) as wire:
        client = RemoteEncoder(f"grpc://127.0.0.1:{wire.port}", timeout=1.0, options=options)
        assert len(await client.encode_texts(["cow"])) == 1
        wire.to_client.clear()
        # Silence until the deadline, or until the keepalive finds that the line is dead.
        with pytest.raises(Unavailable):
            await client.encode_texts(["cow"])
        wire.to_client.set()
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.encode_texts(["cow"])
                    break
                except Unavailable:
                    await asyncio.sleep(0.1)
        await client.close()


def connections(port: int) -> int:
    """TCP connections that the server at this port holds open."""
    tables = [table for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if table.exists()]
    if not tables:
        pytest.skip("no /proc/net/tcp to see connections in")
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


async def test_a_client_that_stops_reading_holds_up_nobody() -> None:
    model = FakeEncoder(size=4096, width=2048)
    settings = serving_settings(keepalive=1.0, keepalive_timeout=1.0, call_deadline=10.0)
    async with (
        batching(model) as encoder,
        encoder_server(encoder, settings=settings) as server,
        Wire(server.port) as wire,
    ):
        stuck = RemoteEncoder(f"grpc://127.0.0.1:{wire.port}", timeout=60.0)
        await stuck.refresh()
        wire.to_client.clear()
        # 24 answers of 0.4 MB that nobody takes off the line.
        words = [" ".join(["cow"] * 100)]
        calls = [asyncio.create_task(stuck.encode_texts(words)) for _ in range(24)]
        await until(lambda: "boonart_requests_running 0.0" not in server.metrics.text())
        other = RemoteEncoder(server.url)
        assert len(await other.encode_texts(["cow"])) == 1
        assert connections(server.port) == 2
        await until(lambda: "boonart_requests_running 0.0" in server.metrics.text())
        # The server asks whether the client lives, hears nothing and closes the connection.
        await until(lambda: connections(server.port) == 1)
        assert len(await other.encode_texts(["cow"])) == 1
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await other.close()
        await stuck.close()


# --- models that do not fit ------------------------------------------------------------------------------


async def test_a_reranker_of_another_encoder_is_refused() -> None:
    async with reranker_server(FakeReranker(encoder_id="open_clip")) as server:
        client = RemoteReranker(server.url, encoder_id="fake-32")
        with pytest.raises(ModelMismatch, match="belongs to the encoder open_clip; in use is fake-32"):
            await client.refresh()
        with pytest.raises(ModelMismatch, match="belongs to the encoder open_clip"):
            await asyncio.to_thread(RemoteReranker(server.url, encoder_id="fake-32").connect, 5.0)
        # A search goes on in global order all the same.
        with pytest.raises(Unavailable, match="belongs to the encoder"):
            await client.rerank(RerankRequest(COLLECTION, text(), CANDIDATES))
        await client.close()


async def test_a_peer_that_comes_back_with_another_model_is_refused() -> None:
    port = free_port()
    settings = serving_settings(grpc_port=port)
    client = RemoteEncoder(f"grpc://127.0.0.1:{port}")
    async with batching(FakeEncoder(32)) as encoder, encoder_server(encoder, settings=settings):
        await client.encode_texts(["cow"])
    async with batching(FakeEncoder(64)) as encoder, encoder_server(encoder, settings=settings), asyncio.timeout(20):
        while True:
            try:
                with pytest.raises(ModelMismatch, match="now serves the model fake-64; it served fake-32"):
                    await client.encode_texts(["cow"])
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    assert client.card.id == "fake-32"
    await client.close()


async def test_the_card_never_waits_and_is_fetched_in_the_background() -> None:
    port = free_port()
    client = RemoteReranker(f"grpc://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match="not been reached"):
        _ = client.card
    async with reranker_server(FakeReranker(), settings=serving_settings(grpc_port=port)), asyncio.timeout(20):
        while True:
            try:
                card = client.card
                break
            except Unavailable:
                await asyncio.sleep(0.05)
    assert card.id == "fake-reranker"
    await client.close()


async def test_connect_waits_for_a_peer_that_comes_up() -> None:
    port = free_port()
    client = RemoteEncoder(f"grpc://127.0.0.1:{port}")
    waiting = asyncio.create_task(asyncio.to_thread(client.connect, 30.0))
    await asyncio.sleep(0.3)
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, settings=serving_settings(grpc_port=port)):
        assert (await waiting).id == "fake-32"
        assert len(await client.encode_texts(["cow"])) == 1
        await client.close()


async def test_connect_gives_up_after_its_time() -> None:
    client = RemoteEncoder(f"grpc://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        await asyncio.to_thread(client.connect, 0.5)


async def test_no_time_left_asks_nobody() -> None:
    client = RemoteEncoder(f"grpc://127.0.0.1:{free_port()}", timeout=0.0)
    client._card = FakeEncoder().card
    with pytest.raises(DeadlineExceeded, match="before"):
        await client.encode_texts(["cow"])
    await client.close()


def test_an_address_without_a_scheme_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no scheme"):
        RemoteReranker("reranker:50052")
