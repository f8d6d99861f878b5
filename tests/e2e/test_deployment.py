"""The distributed shape as it is deployed: gateway, encoder, reranker and Qdrant's double, each a process, over REST
and gRPC; the same answers as embedded, and what is left when a part is killed, stuck or cut off."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from gateway_support import client_of, painting
from rpc_support import Wire

from boonart.encoders.fake import COLOURS
from boonart.rpc.v1 import common_pb2, search_pb2, search_pb2_grpc
from boonart_services.gateway.main import create_app
from tests.e2e import compose_smoke
from tests.support.collector import Collector
from tests.support.deployment import COLLECTION, RERANKER_NAME, WORKS, Deployment
from tests.support.service_process import ServiceProcess

# One worker runs them all, so that the processes are started once.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("deployment"), pytest.mark.timeout(600)]

IN_FLIGHT = 32
BACK_WITHIN = 5.0
"""Seconds from a restarted part's being ready until it is used again."""
PATIENCE = 90.0
TOLERANCE = 1e-3
PICTURE = painting(COLOURS["green"])


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Deployment]:
    made = Deployment(tmp_path_factory.mktemp("deployment"), otlp=collector.url)
    try:
        yield made.start()
    finally:
        made.end()


@asynccontextmanager
async def rest(gateway: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=60, trust_env=False) as client:
        yield client


@asynccontextmanager
async def stub(gateway: ServiceProcess) -> AsyncIterator["search_pb2_grpc.SearchServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        yield search_pb2_grpc.SearchServiceStub(channel)


async def eventually(holds: Callable[[], Any], seconds: float) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


# --- the same answers ------------------------------------------------------------------------------------


BODIES: list[dict[str, Any]] = [
    {"text": "a red house beside a blue tree", "rerank": ranker}
    for ranker in ("default", "none", "late", "vitr", "role")
]
BODIES += [{"text": text, "limit": 30, "candidates": 20} for text in ("yellow", "a green tree", "zebra in the snow")]
BODIES += [
    {"text": "white house", "filter": {"eq": {"field": "artist", "value": "Ada Grey"}}},
    {"text": "white", "filter": {"not": {"eq": {"field": "artist", "value": "Ada Grey"}}}},
    {"image": base64.b64encode(PICTURE).decode()},
    {"image": base64.b64encode(PICTURE).decode(), "target": "works"},
    {"like": "w05"},
    {"text": "brown house", "explain": True, "limit": 3},
]


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Two answers in the form of REST: ids and order, scores within the tolerance, and how they came about."""
    for name in ("target", "ranker", "degraded", "models", "collection"):
        assert ours[name] == theirs[name], name
    assert [hit["work"] for hit in ours["hits"]] == [hit["work"] for hit in theirs["hits"]]
    for mine, other in zip(ours["hits"], theirs["hits"], strict=True):
        assert set(mine) == set(other)
        for name in ("score", "global_score", "relation_score", "relevance"):
            if name in mine:
                assert mine[name] == pytest.approx(other[name], abs=TOLERANCE)
        assert mine.get("picture", {}).get("width") == other.get("picture", {}).get("width")
        for one, two in zip(mine.get("explanation", ()), other.get("explanation", ()), strict=True):
            assert one["word"] == two["word"]
            np.testing.assert_allclose(one["weights"], two["weights"], atol=TOLERANCE)


async def test_embedded_and_distributed_give_the_same_hits(deployed: Deployment) -> None:
    parts = await asyncio.to_thread(deployed.embedded)
    try:
        async with client_of(create_app(parts)) as near, rest(deployed.gateway) as far:
            for body in BODIES:
                here, there = await near.post("/v1/search", json=body), await far.post("/v1/search", json=body)
                assert (here.status_code, there.status_code) == (200, 200), (here.text, there.text)
                assert here.json()["hits"], body
                assert_same(here.json(), there.json())
            reranked = (await far.post("/v1/search", json=BODIES[3])).json()
            assert reranked["ranker"] == "vitr"
            assert reranked["models"]["reranker"].startswith(RERANKER_NAME)
            orders = {
                tuple(hit["work"]["id"] for hit in (await far.post("/v1/search", json=body)).json()["hits"])
                for body in BODIES[:5]
            }
            assert len(orders) > 1, "the reranker must change something, or this compares nothing"
    finally:
        await parts.close()


async def test_grpc_and_rest_give_the_same_hits(deployed: Deployment) -> None:
    rankers = {
        "none": common_pb2.RANKER_NONE,
        "late": common_pb2.RANKER_LATE,
        "vitr": common_pb2.RANKER_VITR,
        "role": common_pb2.RANKER_ROLE,
    }
    async with rest(deployed.gateway) as http, stub(deployed.gateway) as service:
        listed = await service.ListCollections(search_pb2.ListCollectionsRequest())
        assert [(found.name, found.count) for found in listed.collections] == [(COLLECTION, WORKS)]
        for name, ranker in rankers.items():
            message = search_pb2.SearchRequest(text="a red house", rerank=ranker, limit=12)
            body = {"text": "a red house", "rerank": name, "limit": 12}
            answer, other = await service.Search(message, timeout=20), (await http.post("/v1/search", json=body)).json()
            assert [hit.work.id for hit in answer.hits] == [hit["work"]["id"] for hit in other["hits"]]
            for mine, hit in zip(answer.hits, other["hits"], strict=True):
                assert mine.score == pytest.approx(hit["score"], abs=TOLERANCE)
        answer = await service.Search(search_pb2.SearchRequest(picture=PICTURE, limit=5), timeout=20)
        other = (await http.post("/v1/search", json={"image": base64.b64encode(PICTURE).decode(), "limit": 5})).json()
        assert [hit.work.id for hit in answer.hits] == [hit["work"]["id"] for hit in other["hits"]]
        picture = await service.GetPicture(search_pb2.GetPictureRequest(work_id="w01"), timeout=20)
        assert picture.data == (await http.get("/v1/works/w01/image")).content


async def test_one_query_is_one_trace_through_all_services(deployed: Deployment, collector: Collector) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    async with rest(deployed.gateway) as http:
        assert (await http.post("/v1/search", json={"text": "red"}, headers=headers)).json()["ranker"] == "default"
    wanted = {
        ("boonart-gateway", "POST /v1/search"),
        ("boonart-gateway", "encode"),
        ("boonart-gateway", "candidates"),
        ("boonart-gateway", "rerank"),
        ("boonart-encoder", "boonart.v1.EncoderService/EncodeTexts"),
        ("boonart-reranker", "boonart.v1.RerankerService/Rerank"),
    }

    async def sent() -> bool:
        return wanted <= {(service, name) for service, name, found in collector.spans if found == trace}

    await eventually(sent, PATIENCE)
    logged = [line for line in deployed.gateway.lines() if line.get("trace_id") == trace]
    assert [line["message"].split(" in ")[0] for line in logged] == ["POST /v1/search 200"]


async def test_every_service_counts_what_it_does(deployed: Deployment) -> None:
    async with rest(deployed.gateway) as http, stub(deployed.gateway) as service:
        await service.Search(search_pb2.SearchRequest(text="a red house", limit=1), timeout=20)
        assert (await http.post("/v1/search", json={"text": "a red house"})).status_code == 200
    text = deployed.gateway.metrics()
    for sample in (
        'boonart_requests_total{code="200",method="POST /v1/search"}',
        'boonart_requests_total{code="ok",method="boonart.v1.SearchService/Search"}',
        'boonart_stage_seconds_count{stage="rerank"}',
        "boonart_ready 1.0",
    ):
        assert sample in text


# --- a part that goes and comes back ---------------------------------------------------------------------


@dataclass
class Seen:
    """An answer as a client saw it: HTTP status, what was degraded, whether it carried a time to come back."""

    status: int
    degraded: dict[str, str]
    retry_after: str


@dataclass
class Load:
    """Searches that run all the time, `IN_FLIGHT` at once, over REST."""

    client: httpx.AsyncClient
    seen: list[Seen] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "Load":
        self.tasks = [asyncio.create_task(self._ask(n)) for n in range(IN_FLIGHT)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        for result in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), f"a client was cut off: {result!r}"

    async def _ask(self, number: int) -> None:
        while True:
            response = await self.client.post("/v1/search", json={"text": f"a red house {number}", "limit": 5})
            body = response.json()
            self.seen.append(
                Seen(response.status_code, body.get("degraded", {}), response.headers.get("retry-after", ""))
            )
            if response.status_code != 200:
                await asyncio.sleep(0.05)

    async def more(self, wanted: Callable[[Seen], bool], count: int, seconds: float = PATIENCE) -> None:
        """Wait for `count` further answers of a kind."""
        begin = len(self.seen)
        async with asyncio.timeout(seconds):
            while sum(map(wanted, self.seen[begin:])) < count:
                await asyncio.sleep(0.02)

    def check(self, *statuses: int) -> None:
        """All answers had one of these statuses; one that is late would be a 504."""
        assert {seen.status for seen in self.seen} <= set(statuses)


def whole(seen: Seen) -> bool:
    return seen.status == 200 and not seen.degraded


@asynccontextmanager
async def load(gateway: ServiceProcess) -> AsyncIterator[Load]:
    # A connection that has been idle is not used again: the gateway may be closing it just then.
    limits = httpx.Limits(max_connections=2 * IN_FLIGHT, keepalive_expiry=1.0)
    async with (
        httpx.AsyncClient(base_url=gateway.http_url, timeout=60, trust_env=False, limits=limits) as client,
        Load(client) as running,
    ):
        await running.more(whole, IN_FLIGHT)
        yield running


async def test_a_killed_reranker_costs_no_search(deployed: Deployment) -> None:
    before = degraded_so_far(deployed, "rerank")
    async with load(deployed.gateway) as running:
        deployed.reranker.kill()
        await running.more(lambda seen: list(seen.degraded) == ["rerank"], 3 * IN_FLIGHT)
        begin = len(running.seen)
        await running.more(lambda seen: True, IN_FLIGHT)
        assert all(seen.degraded for seen in running.seen[begin:]), "without a reranker nothing is reranked"
        await asyncio.to_thread(deployed.reranker.start().ready)
        await running.more(whole, 1, BACK_WITHIN)
        await running.more(whole, IN_FLIGHT)
    running.check(200)
    assert degraded_so_far(deployed, "rerank") - before >= 3 * IN_FLIGHT


async def test_a_killed_encoder_leaves_the_words(deployed: Deployment) -> None:
    before = degraded_so_far(deployed, "encode")
    async with load(deployed.gateway) as running:
        deployed.encoder.kill()
        await running.more(lambda seen: list(seen.degraded) == ["encode"], 3 * IN_FLIGHT)
        body = {"text": "yellow", "rerank": "vitr", "limit": 50}
        words = (await running.client.post("/v1/search", json=body)).json()
        assert words["hits"]
        assert all("yellow" in str(hit["work"]).lower() for hit in words["hits"])
        assert set(words["degraded"]) == {"encode", "rerank"}
        picture = await running.client.post("/v1/search", json={"image": base64.b64encode(PICTURE).decode()})
        assert (picture.status_code, picture.json()["code"]) == (503, "unavailable")
        assert int(picture.headers["retry-after"]) >= 1
        like = await running.client.post("/v1/search", json={"like": "w05"})
        assert (like.status_code, like.json()["degraded"]) == (200, {})
        ready = await running.client.get("/readyz")
        assert ready.status_code == 200, "it answers, so it must not be taken out"
        assert "encode" in ready.json().get("degraded", {"encode": "still fresh"})
        await asyncio.to_thread(deployed.encoder.start().ready)
        await running.more(whole, 1, BACK_WITHIN)
        await running.more(whole, IN_FLIGHT)
    running.check(200)
    assert degraded_so_far(deployed, "encode") - before >= 3 * IN_FLIGHT


async def test_without_qdrant_one_is_told_to_come_back(deployed: Deployment) -> None:
    async with load(deployed.gateway) as running:
        deployed.qdrant.kill()
        await running.more(lambda seen: seen.status == 503 and bool(seen.retry_after), 3 * IN_FLIGHT)

        async def away() -> bool:
            return (await running.client.get("/readyz")).status_code == 503

        await eventually(away, PATIENCE)

        async def not_serving() -> bool:
            return not await asyncio.to_thread(deployed.gateway.serving)

        await eventually(not_serving, PATIENCE)
        assert (await running.client.get("/healthz")).status_code == 200
        async with stub(deployed.gateway) as service:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await service.Search(search_pb2.SearchRequest(text="red"), timeout=20)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "Qdrant" in str(caught.value.details())
        await asyncio.to_thread(deployed.qdrant.start)
        await running.more(whole, 1, BACK_WITHIN)
        await running.more(whole, IN_FLIGHT)
        await asyncio.to_thread(deployed.gateway.ready)
    running.check(200, 503)
    assert all(seen.retry_after for seen in running.seen if seen.status == 503)


def as_stack(deployed: Deployment) -> compose_smoke.Stack:
    """The processes as `make compose-smoke` sees containers."""
    parts = {
        "qdrant": deployed.qdrant,
        "encoder": deployed.encoder,
        "reranker": deployed.reranker,
        "gateway": deployed.gateway,
    }
    return compose_smoke.Stack(
        url=deployed.gateway.http_url,
        grpc=f"127.0.0.1:{deployed.gateway.port}",
        token="",
        query={"collection": COLLECTION, "text": "a red house", "limit": 5},
        kill=lambda name: parts[name].kill(),
        start=lambda name: parts[name].start(),
    )


def test_the_checks_of_a_compose_stack_hold_for_processes(
    deployed: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    compose_smoke.check(as_stack(deployed))
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in said)
    for what in ("gRPC", "the reranker is used", "the encoder is used", "Qdrant is used", "gateway is back", "order"):
        assert any(what in line for line in said), what


def test_the_checks_of_a_compose_stack_notice_what_does_not_happen(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = as_stack(deployed)
    with compose_smoke.Load(stack) as load:
        load.check("all is well", lambda seen: seen.whole, 200)
        with pytest.raises(SystemExit, match="there were answers"):
            load.check("nobody is there", lambda seen: seen.whole, compose_smoke.CUT)
        monkeypatch.setattr(compose_smoke, "PATIENCE", 1.0)
        with pytest.raises(SystemExit, match="FAILED the reranker is away"):
            load.check("the reranker is away", compose_smoke.lacks("rerank"), 200)


def degraded_so_far(deployed: Deployment, stage: str) -> float:
    wanted = f'boonart_degraded_total{{stage="{stage}"}} '
    lines = [line for line in deployed.gateway.metrics().splitlines() if line.startswith(wanted)]
    return float(lines[0].removeprefix(wanted)) if lines else 0.0


# --- slow and cut lines ----------------------------------------------------------------------------------


async def test_stuck_lines_cost_a_stage_or_an_answer_in_time_and_heal(deployed: Deployment) -> None:
    async with (
        Wire(deployed.encoder.port) as to_encoder,
        Wire(deployed.reranker.port) as to_reranker,
        Wire(deployed.qdrant.grpc_port) as to_qdrant,
    ):
        gateway = deployed.another_gateway(
            ENCODER_URL=f"grpc://127.0.0.1:{to_encoder.port}",
            RERANKER_URL=f"grpc://127.0.0.1:{to_reranker.port}",
            QDRANT_GRPC_PORT=str(to_qdrant.port),
            QDRANT_TIMEOUT="4",
            ENCODE_DEADLINE="4",
            RERANK_DEADLINE="4",
        ).start()
        await asyncio.to_thread(gateway.ready)
        async with rest(gateway) as client:

            async def ask() -> tuple[int, str, str]:
                response = await client.post("/v1/search", json={"text": "a red house", "limit": 5})
                return (
                    response.status_code,
                    " ".join(response.json().get("degraded", ())),
                    response.headers.get("retry-after", ""),
                )

            assert await ask() == (200, "", "")
            for wire, expected in (
                (to_reranker, (200, "rerank", "")),
                (to_encoder, (200, "encode", "")),
                (to_qdrant, (504, "", "2")),
            ):
                wire.to_client.clear()
                answers = await asyncio.gather(*(ask() for _ in range(8)))
                assert answers.count(expected) or wire is to_qdrant
                # On a busy machine another stage may be late too; nobody waits longer or is told less for that.
                for status, degraded, retry in answers:
                    assert (status == 200 and degraded) if wire is not to_qdrant else (status in (503, 504) and retry)
                wire.to_client.set()

                async def healed() -> bool:
                    return await ask() == (200, "", "")

                await eventually(healed, PATIENCE)
        assert await asyncio.to_thread(gateway.stop) == 0


# --- stopping --------------------------------------------------------------------------------------------


async def test_a_stop_lets_what_is_under_way_finish_at_both_doors(deployed: Deployment) -> None:
    gateway = deployed.another_gateway(DRAIN_DELAY="3").start()  # long enough for all to arrive on a busy machine
    await asyncio.to_thread(gateway.ready)
    async with rest(gateway) as http, stub(gateway) as service:
        await http.post("/v1/search", json={"text": "red"})
        over_rest = [asyncio.create_task(http.post("/v1/search", json={"text": f"red {n}"})) for n in range(8)]
        over_grpc = [
            asyncio.ensure_future(service.Search(search_pb2.SearchRequest(text=f"red {n}"), timeout=20))
            for n in range(8)
        ]
        await asyncio.sleep(0.1)
        ended = asyncio.create_task(asyncio.to_thread(gateway.stop))
        answers = await asyncio.gather(*over_rest)
        assert [answer.status_code for answer in answers] == [200] * 8
        for answer in await asyncio.gather(*over_grpc):
            assert answer.hits
        assert await ended == 0
    assert "Traceback" not in gateway.log.read_text()


# --- settings that cannot work ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ENCODER_URL": "127.0.0.1:50051"}, "has no scheme"),
        ({"RERANKER_URL": "reranker:50052"}, "has no scheme"),
        ({"QDRANT_URL": "qdrant:6333"}, "has no scheme"),
        ({"TLS_CA": "nowhere.pem"}, "nowhere.pem"),
        ({"TOKEN_FILE": "nowhere"}, "nowhere"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_gateway_that_cannot_work_says_why_and_ends(deployed: Deployment, settings: dict[str, str], why: str) -> None:
    gateway = deployed.another_gateway(**settings).start()
    assert gateway.popen is not None
    assert gateway.popen.wait(PATIENCE) == 1
    text = gateway.log.read_text()
    assert why in text
    assert "Traceback" not in text


OTHER_ENCODER = """
import sys
from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import FakeEncoder
from boonart_services.encoder.main import EncoderService, EncoderSettings, read_settings_as, run_process
settings = read_settings_as(EncoderSettings)
sys.exit(run_process(EncoderService(settings, lambda _: BatchingEncoder(FakeEncoder(64))), settings))
"""


def test_models_and_tokens_that_do_not_belong_together_are_refused_at_start(deployed: Deployment) -> None:
    ours, theirs = deployed.folder / "ours", deployed.folder / "theirs"
    ours.write_text("a token")
    theirs.write_text("another token")
    environment = {**deployed.encoder.environment, "TOKEN_FILE": str(theirs)}
    other = ServiceProcess(["-c", OTHER_ENCODER], environment, deployed.folder)
    deployed.others.append(other)
    other.start().ready()
    cases = [
        ({"TOKEN_FILE": str(ours)}, "refused our token"),
        ({"TOKEN_FILE": str(theirs)}, "belongs to the encoder fake-32; in use is fake-64"),
        ({"TOKEN_FILE": str(theirs), "RERANKER": "none"}, f"boonart reindex {COLLECTION}"),
    ]
    gateways = [deployed.another_gateway(ENCODER_URL=other.url, **settings).start() for settings, _ in cases]
    for gateway, (_, why) in zip(gateways, cases, strict=True):
        assert gateway.popen is not None
        assert gateway.popen.wait(PATIENCE) == 1
        assert why in gateway.log.read_text()
        assert "Traceback" not in gateway.log.read_text()
    # The refused caller has done no harm.
    assert other.serving()
