"""Encoder and reranker as real processes on loopback: killed, restarted, stopped and misconfigured under load."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from rpc_support import COLLECTION, ColourIndex, as_index, free_port

from boonart.encoders.fake import FakeEncoder
from boonart.errors import OutOfMemory, Unavailable
from boonart.rpc.channels import MIB, ChannelOptions
from boonart.rpc.clients import RemoteEncoder, RemoteReranker
from boonart.rpc.process import EXIT_OUT_OF_MEMORY
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc
from boonart.search import Search
from boonart.works import Answer, Query, TextEmbedding
from tests.support.collector import Collector
from tests.support.service_process import ENCODER, START_SECONDS, ServiceProcess

pytestmark = pytest.mark.e2e

TESTS = Path(__file__).parents[1]
RERANKER = [str(TESTS / "rpc_reranker_process.py")]
IN_FLIGHT = 32
BACK_WITHIN = 5.0
"""Seconds from a restarted peer's being ready until it is used again."""
REQUEST_DEADLINE = 10.0


Start = Callable[..., ServiceProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service's process; all are ended after the test."""
    started: list[ServiceProcess] = []

    def begin(arguments: list[str], port: int = 0, **settings: str) -> ServiceProcess:
        started.append(ServiceProcess(arguments, {"ENCODER": "fake", **settings}, tmp_path, port or free_port()))
        return started[-1].start()

    yield begin
    for process in started:
        process.kill()


def ended(process: ServiceProcess) -> int:
    """The exit status of a process that ends by itself."""
    assert process.popen is not None
    return process.popen.wait(START_SECONDS)


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


async def connected(encoder: ServiceProcess, reranker: ServiceProcess) -> tuple[RemoteEncoder, RemoteReranker, Load]:
    remote = RemoteEncoder(encoder.url)
    far = RemoteReranker(reranker.url, encoder_id="fake-32")
    await remote.refresh()
    await far.refresh()
    search = Search(remote, as_index(ColourIndex(FakeEncoder())), far)
    return remote, far, Load(search, [], [])


async def test_a_reranker_killed_under_load_costs_no_search_and_comes_back(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER, PAUSE="0.2")
    await asyncio.to_thread(encoder.ready)
    await asyncio.to_thread(reranker.ready)
    remote, far, load = await connected(encoder, reranker)
    async with load:
        await load.more(whole, IN_FLIGHT, 60)
        reranker.kill()
        await load.more(lambda answer: "rerank" in answer.degraded, 3 * IN_FLIGHT, 60)
        await asyncio.to_thread(reranker.start().ready)
        await load.more(whole, 1, BACK_WITHIN)
        await load.more(whole, IN_FLIGHT, 60)
    assert load.failures == []
    assert load.slowest < REQUEST_DEADLINE
    await remote.close()
    await far.close()


async def test_an_encoder_killed_under_load_leaves_the_words_until_it_comes_back(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER)
    await asyncio.to_thread(encoder.ready)
    await asyncio.to_thread(reranker.ready)
    remote, far, load = await connected(encoder, reranker)
    async with load:
        await load.more(whole, IN_FLIGHT, 60)
        encoder.kill()
        await load.more(lambda answer: "encode" in answer.degraded, 3 * IN_FLIGHT, 60)
        await asyncio.to_thread(encoder.start().ready)
        await load.more(whole, 1, BACK_WITHIN)
        await load.more(whole, IN_FLIGHT, 60)
    assert load.failures == []
    assert load.slowest < REQUEST_DEADLINE
    await remote.close()
    await far.close()


async def test_a_stop_lets_the_calls_under_way_finish(start: Start) -> None:
    encoder, reranker = start(ENCODER), start(RERANKER, PAUSE="1.0")
    await asyncio.to_thread(encoder.ready)
    await asyncio.to_thread(reranker.ready)
    remote, far, load = await connected(encoder, reranker)
    searches = [asyncio.create_task(load.search.run(Query(COLLECTION, text=f"red {n}"))) for n in range(8)]
    await asyncio.sleep(0.5)
    stopping = asyncio.create_task(asyncio.to_thread(reranker.stop))
    answers = await asyncio.gather(*searches)
    assert await stopping == 0
    assert [answer.degraded for answer in answers] == [{}] * 8
    assert await asyncio.to_thread(encoder.stop) == 0
    await remote.close()
    await far.close()


async def test_concurrent_processes_share_forward_passes(start: Start) -> None:
    metrics = free_port()
    # Each further probe would be counted too.
    encoder = start(ENCODER, METRICS_PORT=str(metrics), PROBE_INTERVAL="600")
    await asyncio.to_thread(encoder.ready)
    client = RemoteEncoder(encoder.url)
    await asyncio.to_thread(client.connect)
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
    await asyncio.to_thread(encoder.ready)
    assert encoder.popen is not None
    pid = encoder.popen.pid
    header = b"BM" + bytes(12)
    broken = header + np.random.default_rng(0).bytes(64 * MIB - len(header))

    def resident() -> int:
        status = Path(f"/proc/{pid}/status").read_text()
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


async def test_one_query_is_one_trace_through_the_services_and_their_logs(start: Start) -> None:
    collector = Collector()
    encoder = start(ENCODER, OTLP_ENDPOINT=collector.url)
    reranker = start(RERANKER, OTLP_ENDPOINT=collector.url)
    await asyncio.to_thread(encoder.ready)
    await asyncio.to_thread(reranker.ready)
    command = [sys.executable, str(TESTS / "rpc_traced_query.py"), encoder.url, reranker.url, collector.url]
    query = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await query.communicate()
    assert query.returncode == 0
    trace = output.decode().strip()
    async with asyncio.timeout(30):
        while len({service for service, _, found in collector.spans if found == trace}) < 3:
            await asyncio.sleep(0.1)
    await asyncio.to_thread(collector.stop)
    names = {(service, name) for service, name, found in collector.spans if found == trace}
    assert ("boonart-encoder", "boonart.v1.EncoderService/EncodeTexts") in names
    assert ("boonart-reranker", "boonart.v1.RerankerService/Rerank") in names
    assert ("a-test", "query") in names


@pytest.mark.parametrize(
    ("arguments", "settings", "status", "why"),
    [
        (ENCODER, {"ENCODER": "open_clip:ViT-L-14/nowhere"}, 1, "ViT-L-14"),
        (ENCODER, {"GRPC_PORT": "many"}, 2, "BOONART_GRPC_PORT"),
        (ENCODER, {"TLS_KEY": "key.pem"}, 2, "belong together"),
        (ENCODER, {"TOKEN_FILE": "nowhere"}, 1, "nowhere"),
        (ENCODER, {"ENCODER_URL": "grpc://other:50051"}, 1, "an encoder itself"),
        (["-m", "boonart_services.reranker"], {}, 1, "BOONART_ENCODER_URL"),
        (["-m", "boonart_services.reranker"], {"RERANKER": "none"}, 1, "for another or for none"),
        (["-m", "boonart_services.reranker"], {"ENCODER_URL": "encoder:50051"}, 1, "has no scheme"),
    ],
)
def test_settings_that_cannot_work_end_the_process_with_a_reason(
    start: Start, arguments: list[str], settings: dict[str, str], status: int, why: str
) -> None:
    process = start(arguments, **settings)
    assert ended(process) == status
    text = process.log.read_text()
    assert why in text
    assert "Traceback" not in text


def test_a_model_that_cannot_be_loaded_ends_the_process_with_a_traceback_in_the_log(start: Start) -> None:
    broken = "import sys; from boonart_services.encoder.main import *; settings = read_settings_as(EncoderSettings); "
    broken += "sys.exit(run_process(EncoderService(settings, lambda _: {}['a bug']), settings))"
    process = start(["-c", broken])
    assert ended(process) == 1
    assert "KeyError: 'a bug'" in process.lines()[-1]["exception"]


FULL = """
import sys
from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import FakeEncoder
from boonart.errors import OutOfMemory
from boonart_services.encoder.main import EncoderService, EncoderSettings, read_settings_as, run_process

class Full(FakeEncoder):
    def encode_texts(self, texts):
        if "large" in texts:
            raise OutOfMemory("The device is full.")
        return super().encode_texts(texts)

settings = read_settings_as(EncoderSettings)
sys.exit(run_process(EncoderService(settings, lambda _: BatchingEncoder(Full())), settings))
"""


async def test_a_device_that_is_full_ends_the_process_so_that_it_is_started_again(start: Start) -> None:
    process = start(["-c", FULL])
    await asyncio.to_thread(process.ready)
    client = RemoteEncoder(process.url)
    small, large = await client.encode_texts(["small"]), await client.encode_texts(["large"])
    await client.close()
    assert isinstance(small[0], TextEmbedding)
    assert isinstance(large[0], OutOfMemory), "the caller is told"
    assert await asyncio.to_thread(ended, process) == EXIT_OUT_OF_MEMORY


def test_a_port_that_is_taken_ends_the_process_with_a_reason(start: Start) -> None:
    first = start(ENCODER)
    first.ready()
    second = start(ENCODER, first.port)
    assert ended(second) == 1
    assert "cannot listen" in second.lines()[-1]["message"]


def test_logs_are_json_lines(start: Start) -> None:
    process = start(ENCODER)
    process.ready()
    assert process.stop() == 0
    lines = process.lines()
    assert {line["service"] for line in lines} == {"boonart-encoder"}
    assert [line["message"] for line in lines][-2:] == ["ready", "stopping"]
