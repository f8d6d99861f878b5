"""Encoder and reranker as real processes on loopback: killed, restarted, stopped and misconfigured under load."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from rpc_support import COLLECTION, ColourIndex, as_index, free_port

from boonart.encoders.fake import FakeEncoder
from boonart.errors import Unavailable
from boonart.rpc.channels import MIB, ChannelOptions
from boonart.rpc.clients import RemoteEncoder, RemoteReranker
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc
from boonart.search import Search
from boonart.works import Answer, Query

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]
ENCODER = ["-m", "boonart_services.encoder"]
RERANKER = [str(TESTS / "rpc_reranker_process.py")]
IN_FLIGHT = 32
BACK_WITHIN = 5.0
"""Seconds from a restarted peer's being ready until it is used again."""
REQUEST_DEADLINE = 10.0


@dataclass
class Process:
    """A service's process and where its log goes."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(30)

    def lines(self) -> list[dict[str, str]]:
        # gRPC's own core writes plain lines of its own where it cannot listen.
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service's process; all are ended after the test."""
    started: list[Process] = []

    def begin(arguments: list[str], port: int | None = None, **environment: str) -> Process:
        chosen = port or free_port()
        log = tmp_path / f"{len(started)}.log"
        values = {
            "BOONART_ENCODER": "fake",
            "BOONART_GRPC_PORT": str(chosen),
            "BOONART_DRAIN_DELAY": "0.1",
            **environment,
        }
        with log.open("wb") as stream:
            popen = subprocess.Popen(
                [sys.executable, *arguments], env={**os.environ, **values}, stdout=stream, stderr=stream, cwd=tmp_path
            )
        started.append(Process(popen, chosen, log))
        return started[-1]

    yield begin
    for process in started:
        if process.popen.poll() is None:
            process.kill()


def ready(process: Process, seconds: float = 60.0) -> None:
    """Wait until the process says SERVING; a new connection each time, so that no reconnect pause counts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.popen.poll() is None, process.log.read_text()
        with grpc.insecure_channel(f"127.0.0.1:{process.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2.0)
            except grpc.RpcError:
                answer = None
        if answer is not None and answer.status == health_pb2.HealthCheckResponse.SERVING:
            return
        time.sleep(0.05)
    pytest.fail(f"not ready: {process.log.read_text()}")


@dataclass
class Load:
    """Searches that run all the time, `IN_FLIGHT` at once."""

    search: Search
    answers: list[Answer]
    failures: list[Exception]
    slowest: float = 0.0

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._ask(n)) for n in range(IN_FLIGHT)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, number: int) -> None:
        while True:
            begin = time.monotonic()
            try:
                self.answers.append(await self.search.run(Query(COLLECTION, text=f"red {number}")))
            except Unavailable as error:
                self.failures.append(error)
                await asyncio.sleep(0.02)
            self.slowest = max(self.slowest, time.monotonic() - begin)

    async def more(self, wanted: Callable[[Answer], bool], count: int, seconds: float) -> None:
        """Wait for `count` further answers of a kind."""
        seen = len(self.answers)
        async with asyncio.timeout(seconds):
            while sum(map(wanted, self.answers[seen:])) < count:
                await asyncio.sleep(0.01)


def whole(answer: Answer) -> bool:
    return not answer.degraded


async def connected(encoder: Process, reranker: Process) -> tuple[RemoteEncoder, RemoteReranker, Load]:
    remote = RemoteEncoder(encoder.url)
    far = RemoteReranker(reranker.url, encoder_id="fake-32")
    await remote.refresh()
    await far.refresh()
    search = Search(remote, as_index(ColourIndex(FakeEncoder())), far)
    return remote, far, Load(search, [], [])


async def test_a_reranker_killed_under_load_costs_no_search_and_comes_back(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER, PAUSE="0.2")
    await asyncio.to_thread(ready, encoder)
    await asyncio.to_thread(ready, reranker)
    remote, far, load = await connected(encoder, reranker)
    async with load:
        await load.more(whole, IN_FLIGHT, 60)
        reranker.kill()
        await load.more(lambda answer: "rerank" in answer.degraded, 3 * IN_FLIGHT, 60)
        again = start(RERANKER, reranker.port, PAUSE="0.2")
        await asyncio.to_thread(ready, again)
        await load.more(whole, 1, BACK_WITHIN)
        await load.more(whole, IN_FLIGHT, 60)
    assert load.failures == []
    assert load.slowest < REQUEST_DEADLINE
    await remote.close()
    await far.close()


async def test_an_encoder_killed_under_load_leaves_the_words_until_it_comes_back(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER)
    await asyncio.to_thread(ready, encoder)
    await asyncio.to_thread(ready, reranker)
    remote, far, load = await connected(encoder, reranker)
    async with load:
        await load.more(whole, IN_FLIGHT, 60)
        encoder.kill()
        await load.more(lambda answer: "encode" in answer.degraded, 3 * IN_FLIGHT, 60)
        again = start(ENCODER, encoder.port)
        await asyncio.to_thread(ready, again)
        await load.more(whole, 1, BACK_WITHIN)
        await load.more(whole, IN_FLIGHT, 60)
    assert load.failures == []
    assert load.slowest < REQUEST_DEADLINE
    await remote.close()
    await far.close()


async def test_a_stop_lets_the_calls_under_way_finish(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER, PAUSE="1.0")
    await asyncio.to_thread(ready, encoder)
    await asyncio.to_thread(ready, reranker)
    remote, far, load = await connected(encoder, reranker)
    searches = [asyncio.create_task(load.search.run(Query(COLLECTION, text=f"red {n}"))) for n in range(8)]
    await asyncio.sleep(0.5)
    reranker.popen.send_signal(signal.SIGTERM)
    answers = await asyncio.gather(*searches)
    assert await asyncio.to_thread(reranker.popen.wait, 30) == 0
    assert [answer.degraded for answer in answers] == [{}] * 8
    encoder.popen.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(encoder.popen.wait, 30) == 0
    await remote.close()
    await far.close()


async def test_concurrent_processes_share_forward_passes(start: Start) -> None:
    metrics = free_port()
    encoder = start(ENCODER, BOONART_METRICS_PORT=str(metrics))
    await asyncio.to_thread(ready, encoder)
    client = RemoteEncoder(encoder.url)
    for _ in range(4):
        await asyncio.gather(*(client.encode_texts(["red cow " * 50]) for _ in range(64)))
    await client.close()
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://127.0.0.1:{metrics}/metrics")).text
    figures = {name: float(value) for name, value in re.findall(r"^(boonart_\w+) (\S+)$", text, re.MULTILINE)}
    assert figures["boonart_encoded_items"] == 256 + 2, "256 texts, and the probe's text and picture"
    assert figures["boonart_forward_passes"] < 256
    assert figures["boonart_largest_batch"] >= 2


async def test_pictures_of_64_megabytes_leave_no_memory_behind(start: Start) -> None:
    encoder = start(ENCODER)
    await asyncio.to_thread(ready, encoder)
    header = b"BM" + bytes(12)
    broken = header + np.random.default_rng(0).bytes(64 * MIB - len(header))

    def resident() -> int:
        status = Path(f"/proc/{encoder.popen.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]

    options = ChannelOptions().arguments()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{encoder.port}", options) as channel:
        stub = encoder_pb2_grpc.EncoderServiceStub(channel)
        before, sizes = resident(), []
        for _ in range(12):
            request = encoder_pb2.EncodeImagesRequest(images=[encoder_pb2.ImageInput(file=broken)])
            response = await stub.EncodeImages(request)
            assert response.results[0].WhichOneof("result") == "error"
            sizes.append(resident())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.EncodeImages(encoder_pb2.EncodeImagesRequest(images=[encoder_pb2.ImageInput(file=broken * 2)]))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # The allocator keeps a few messages' worth; one message more a call would make 768 MiB.
    assert min(sizes[-4:]) - before < 5 * 64 * MIB, f"memory grew: {[size // MIB for size in sizes]}"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str]] = []

    async def Export(self, request, context):  # type: ignore[no-untyped-def]
        for resource in request.resource_spans:
            names = {item.key: item.value.string_value for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [(names["service.name"], span.name, span.trace_id.hex()) for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_one_query_is_one_trace_through_the_services_and_their_logs(start: Start) -> None:
    collector = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    encoder = start(ENCODER, BOONART_OTLP_ENDPOINT=endpoint)
    reranker = start(RERANKER, BOONART_OTLP_ENDPOINT=endpoint)
    await asyncio.to_thread(ready, encoder)
    await asyncio.to_thread(ready, reranker)
    command = [sys.executable, str(TESTS / "rpc_traced_query.py"), encoder.url, reranker.url, endpoint]
    query = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await query.communicate()
    assert query.returncode == 0
    trace = output.decode().strip()
    async with asyncio.timeout(30):
        while len({service for service, _, found in collector.spans if found == trace}) < 3:
            await asyncio.sleep(0.1)
    await server.stop(0)
    names = {(service, name) for service, name, found in collector.spans if found == trace}
    assert ("boonart-encoder", "boonart.v1.EncoderService/EncodeTexts") in names
    assert ("boonart-reranker", "boonart.v1.RerankerService/Rerank") in names
    assert ("a-test", "query") in names


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "why"),
    [
        (ENCODER, {"BOONART_ENCODER": "open_clip:ViT-L-14/nowhere"}, 1, "ViT-L-14"),
        (ENCODER, {"BOONART_GRPC_PORT": "many"}, 2, "BOONART_GRPC_PORT"),
        (ENCODER, {"BOONART_TLS_KEY": "key.pem"}, 2, "belong together"),
        (ENCODER, {"BOONART_TOKEN_FILE": "nowhere"}, 1, "nowhere"),
        (ENCODER, {"BOONART_ENCODER_URL": "grpc://other:50051"}, 1, "an encoder itself"),
        (["-m", "boonart_services.reranker"], {}, 1, "BOONART_ENCODER_URL"),
        (["-m", "boonart_services.reranker"], {"BOONART_RERANKER": "none"}, 1, "for another or for none"),
        (["-m", "boonart_services.reranker"], {"BOONART_ENCODER_URL": "encoder:50051"}, 1, "has no scheme"),
    ],
)
def test_settings_that_cannot_work_end_the_process_with_a_reason(
    start: Start, arguments: list[str], environment: dict[str, str], status: int, why: str
) -> None:
    process = start(arguments, **environment)
    assert process.popen.wait(60) == status
    text = process.log.read_text()
    assert why in text
    assert "Traceback" not in text


def test_a_model_that_cannot_be_loaded_ends_the_process_with_a_traceback_in_the_log(start: Start) -> None:
    broken = "import sys; from boonart_services.encoder.main import *; settings = read_settings_as(EncoderSettings); "
    broken += "sys.exit(run_process(EncoderService(settings, lambda _: {}['a bug']), settings))"
    process = start(["-c", broken])
    assert process.popen.wait(60) == 1
    assert "KeyError: 'a bug'" in process.lines()[-1]["exception"]


def test_a_port_that_is_taken_ends_the_process_with_a_reason(start: Start) -> None:
    first = start(ENCODER)
    ready(first)
    second = start(ENCODER, first.port)
    assert second.popen.wait(60) == 1
    assert "cannot listen" in second.lines()[-1]["message"]


def test_logs_are_json_lines(start: Start) -> None:
    process = start(ENCODER)
    ready(process)
    process.popen.send_signal(signal.SIGTERM)
    process.popen.wait(30)
    lines = process.lines()
    assert {line["service"] for line in lines} == {"boonart-encoder"}
    assert [line["message"] for line in lines][-2:] == ["ready", "stopping"]
