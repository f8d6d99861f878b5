"""The encoder's servicer and client over a real connection."""

import asyncio
import io

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image
from rpc_support import CountingEncoder, batching, encoder_server, serving_settings, until

from boonart.encoders.batching import BatchingLimits
from boonart.encoders.fake import FakeEncoder
from boonart.errors import (
    BoonArtError,
    DeadlineExceeded,
    InvalidRequest,
    ModelMismatch,
    OutOfMemory,
    Overloaded,
    PictureTooLarge,
    Unavailable,
    UnsupportedPicture,
)
from boonart.rpc.channels import MIB, ChannelOptions
from boonart.rpc.clients import MAX_ITEMS, RemoteEncoder
from boonart.rpc.deadlines import within
from boonart.rpc.v1 import encoder_pb2, encoder_pb2_grpc
from boonart.works import ImageEmbedding, Picture, TextEmbedding

pytestmark = pytest.mark.integration


def picture(colour: tuple[int, int, int], side: int = 32) -> Picture:
    return Picture(np.full((side, side, 3), colour, np.uint8), (side, side), "PNG")


async def test_remote_and_local_give_the_same_numbers() -> None:
    model = FakeEncoder()
    pictures = [picture((200, 40, 40)), picture((50, 80, 190), side=7)]
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        assert await client.refresh() == model.card
        texts = await client.encode_texts(["a red cow", "", "der blaue Reiter — 青"])
        images = await client.encode_images(pictures)
        await client.close()
    for remote, local in zip(texts, model.encode_texts(["a red cow", "", "der blaue Reiter — 青"]), strict=True):
        assert isinstance(remote, TextEmbedding)
        assert remote.words == local.words
        np.testing.assert_array_equal(remote.global_vector, local.global_vector)
        np.testing.assert_array_equal(remote.tokens, local.tokens)
    for seen, own in zip(images, model.encode_images(pictures), strict=True):
        assert isinstance(seen, ImageEmbedding)
        np.testing.assert_array_equal(seen.global_vector, own.global_vector)
        np.testing.assert_array_equal(seen.tokens, own.tokens)


async def test_many_inputs_are_sent_in_several_messages_and_come_back_in_order() -> None:
    count = 2 * MAX_ITEMS + 3
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, max_items=MAX_ITEMS) as server:
        client = RemoteEncoder(server.url, options=ChannelOptions(max_message_bytes=MIB))
        results = await client.encode_texts([f"word{n}" for n in range(count)])
        # 40 pictures of 48 KB do not fit into one message of 1 MiB.
        images = await client.encode_images([picture((n, 0, 0), side=128) for n in range(40)])
        await client.close()
    assert [result.words for result in results if isinstance(result, TextEmbedding)] == [
        (f"word{n}",) for n in range(count)
    ]
    assert len([image for image in images if isinstance(image, ImageEmbedding)]) == 40


async def test_nothing_asked_is_nothing_answered() -> None:
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        assert await client.encode_texts([]) == []
        assert await client.encode_images([]) == []
        await client.close()


async def test_concurrent_requests_share_forward_passes() -> None:
    model = CountingEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        await client.refresh()
        model.gate.clear()
        first = asyncio.create_task(client.encode_texts(["first"]))
        await until(model.at_gate.is_set)
        others = [asyncio.create_task(client.encode_texts([f"text{n}"])) for n in range(16)]
        await until(lambda: encoder.figures.waiting == 16)
        model.gate.set()
        await asyncio.gather(first, *others)
        await client.close()
    assert [len(texts) for texts in model.passes] == [1, 16]


async def test_work_whose_deadline_has_passed_is_dropped_and_not_computed() -> None:
    model = CountingEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url, timeout=0.3)
        await client.refresh()
        model.gate.clear()
        first = asyncio.create_task(client.encode_texts(["first"]))
        await until(model.at_gate.is_set)
        with pytest.raises(DeadlineExceeded):
            await client.encode_texts(["late"])
        with pytest.raises(DeadlineExceeded):
            await first
        await asyncio.sleep(0.1)
        model.gate.set()
        await until(lambda: encoder.figures.dropped == 1)
        await client.close()
    assert [text for texts in model.passes for text in texts] == ["first"]


async def test_the_requests_own_deadline_is_passed_on() -> None:
    seen: list[float | None] = []

    class Servicer(encoder_pb2_grpc.EncoderServiceServicer):
        async def EncodeTexts(self, request, context):  # type: ignore[no-untyped-def]
            seen.append(context.time_remaining())
            return encoder_pb2.EncodeTextsResponse()

    server = grpc.aio.server()
    encoder_pb2_grpc.add_EncoderServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = RemoteEncoder(f"grpc://127.0.0.1:{port}", timeout=60.0)
    client._card = FakeEncoder().card
    async with within(5.0):
        with pytest.raises(ModelMismatch):
            await client.encode_texts(["cow"])
    await client.close()
    await server.stop(0)
    assert seen[0] is not None
    assert seen[0] <= 5.0


async def test_a_caller_that_goes_away_takes_its_work_with_it() -> None:
    model = CountingEncoder()
    async with batching(model) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        await client.refresh()
        model.gate.clear()
        first = asyncio.create_task(client.encode_texts(["first"]))
        await until(model.at_gate.is_set)
        second = asyncio.create_task(client.encode_texts(["second"]))
        await until(lambda: encoder.figures.waiting == 1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await asyncio.sleep(0.1)
        model.gate.set()
        await first
        await until(lambda: encoder.figures.dropped == 1)
        await client.close()
    assert [text for texts in model.passes for text in texts] == ["first"]


async def test_a_full_queue_says_when_to_come_back() -> None:
    model = CountingEncoder()
    async with (
        batching(model, BatchingLimits(queue=1)) as encoder,
        encoder_server(encoder) as server,
    ):
        client = RemoteEncoder(server.url)
        await client.refresh()
        model.gate.clear()
        first = asyncio.create_task(client.encode_texts(["first"]))
        await until(model.at_gate.is_set)
        second = asyncio.create_task(client.encode_texts(["second"]))
        await until(lambda: encoder.figures.waiting == 1)
        with pytest.raises(Overloaded) as caught:
            await client.encode_texts(["third", "fourth"])
        model.gate.set()
        await asyncio.gather(first, second)
        await client.close()
        assert 'code="overloaded"' in server.metrics.text()
    assert caught.value.retry_after > 0


async def test_a_bad_picture_is_its_own_error_and_the_others_are_encoded() -> None:
    good = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 40, 40)).save(good, "PNG")
    request = encoder_pb2.EncodeImagesRequest(
        images=[
            encoder_pb2.ImageInput(file=good.getvalue()),
            encoder_pb2.ImageInput(file=b"no picture at all"),
            encoder_pb2.ImageInput(),
            encoder_pb2.ImageInput(decoded=encoder_pb2.DecodedPicture()),
        ]
    )
    async with (
        batching(FakeEncoder()) as encoder,
        encoder_server(encoder) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        response = await encoder_pb2_grpc.EncoderServiceStub(channel).EncodeImages(request)
    kinds = [result.WhichOneof("result") for result in response.results]
    assert kinds == ["embedding", "error", "error", "error"]
    codes = [result.error.code for result in response.results[1:]]
    assert codes == [UnsupportedPicture.code, InvalidRequest.code, InvalidRequest.code]
    assert response.results[2].error.field == "images[2]"


async def test_too_many_inputs_are_refused() -> None:
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, max_items=2) as server:
        client = RemoteEncoder(server.url)
        with pytest.raises(InvalidRequest, match="3 texts; at most 2"):
            await client.encode_texts(["a", "b", "c"])
        await client.close()


async def test_a_message_over_the_limit_is_refused_and_the_server_lives() -> None:
    async with (
        batching(FakeEncoder()) as encoder,
        encoder_server(encoder, settings=serving_settings(max_message_bytes=MIB)) as server,
    ):
        client = RemoteEncoder(server.url)
        with pytest.raises(InvalidRequest, match="larger than allowed"):
            await client.encode_images([picture((1, 2, 3), side=1024)])
        assert len(await client.encode_texts(["cow"])) == 1
        await client.close()


async def test_a_picture_over_the_clients_limit_is_its_own_error() -> None:
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url, options=ChannelOptions(max_message_bytes=MIB))
        results = await client.encode_images([picture((1, 2, 3), side=1024), picture((1, 2, 3))])
        await client.close()
    assert isinstance(results[0], PictureTooLarge)
    assert isinstance(results[1], ImageEmbedding)


async def test_a_picture_file_of_64_megabytes_is_taken() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4700, 4700, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "BMP")
    data = file.getvalue()
    assert 63 * MIB < len(data) < 64 * MIB
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder) as server:
        options = ChannelOptions().arguments()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
            request = encoder_pb2.EncodeImagesRequest(images=[encoder_pb2.ImageInput(file=data)])
            response = await encoder_pb2_grpc.EncoderServiceStub(channel).EncodeImages(request)
    assert response.results[0].WhichOneof("result") == "embedding"


class BrokenEncoder(FakeEncoder):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def encode_texts(self, texts):  # type: ignore[no-untyped-def,override]
        raise self._error

    async def encode_images(self, pictures):  # type: ignore[no-untyped-def,override]
        return [self._error for _ in pictures]


async def test_a_bug_in_the_server_shows_no_trace_to_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    async with encoder_server(BrokenEncoder(KeyError("secret inside"))) as server:  # type: ignore[arg-type]
        client = RemoteEncoder(server.url)
        with pytest.raises(BoonArtError) as caught:
            await client.encode_texts(["cow"])
        await client.close()
    assert type(caught.value) is BoonArtError
    assert "secret" not in str(caught.value)
    assert "secret inside" in caplog.text


async def test_out_of_memory_asks_for_a_restart() -> None:
    async with encoder_server(BrokenEncoder(OutOfMemory("Full."))) as server:  # type: ignore[arg-type]
        client = RemoteEncoder(server.url)
        with pytest.raises(OutOfMemory):
            await client.encode_texts(["cow"])
        results = await client.encode_images([picture((1, 2, 3))])
        await client.close()
    assert isinstance(results[0], OutOfMemory)
    assert [type(error) for error in server.failures] == [OutOfMemory, OutOfMemory]


async def test_a_server_that_loads_is_not_serving_and_says_so() -> None:
    async with encoder_server(None) as server:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            name = "boonart.v1.EncoderService"
            loading = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            await server.server.set_serving(True)
            serving = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            whole = await stub.Check(health_pb2.HealthCheckRequest())
        client = RemoteEncoder(server.url)
        with pytest.raises(Unavailable, match="loading"):
            await client.encode_texts(["cow"])
        await client.close()
    kind = health_pb2.HealthCheckResponse
    assert [loading.status, serving.status, whole.status] == [kind.NOT_SERVING, kind.SERVING, kind.SERVING]


async def test_a_stop_is_said_first_and_calls_are_taken_until_balancers_have_seen_it() -> None:
    kind = health_pb2.HealthCheckResponse
    settings = serving_settings(drain_delay=1.0)
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder, settings=settings) as server:
        client = RemoteEncoder(server.url)
        await client.refresh()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            seen = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await seen.read()).status == kind.SERVING
            stopping = asyncio.create_task(server.server.stop())
            assert (await seen.read()).status == kind.NOT_SERVING
            assert not stopping.done()
            assert len(await client.encode_texts(["cow"])) == 1
            seen.cancel()
        await stopping
        with pytest.raises(Unavailable):
            await client.encode_texts(["cow"])
        await client.close()


async def test_reflection_names_the_services() -> None:
    async with encoder_server(None) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        names = [service.name async for answer in call for service in answer.list_services_response.service]
    assert "boonart.v1.EncoderService" in names
    assert "grpc.health.v1.Health" in names


async def test_calls_are_counted() -> None:
    async with batching(FakeEncoder()) as encoder, encoder_server(encoder) as server:
        client = RemoteEncoder(server.url)
        await client.encode_texts(["cow"])
        await client.close()
        text = server.metrics.text()
    assert 'boonart_requests_total{code="ok",method="boonart.v1.EncoderService/EncodeTexts"} 1.0' in text
    assert "boonart_requests_running 0.0" in text
