"""Concurrent requests over one model."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from boonart.encoders.batching import BatchingEncoder, BatchingLimits, StagedPictures
from boonart.encoders.fake import FakeEncoder
from boonart.errors import (
    BoonArtError,
    DeadlineExceeded,
    ModelError,
    OutOfMemory,
    Overloaded,
    PictureError,
    Unavailable,
)
from boonart.ports import Encoder
from boonart.works import ImageEmbedding, ModelCard, Picture, TextEmbedding

LONG = 20.0
"""Seconds after which a test has hung; nothing takes that long."""


class Gate:
    """A model whose passes wait until the test lets them go."""

    def __init__(self) -> None:
        self.inner = FakeEncoder()
        self.batches: list[list[Any]] = []
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)

    @property
    def card(self) -> ModelCard:
        return self.inner.card

    def _pass(self, inputs: Sequence[Any]) -> None:
        self.batches.append(list(inputs))
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.open.wait(LONG)

    def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding]:
        self._pass(texts)
        if "bad" in texts:
            raise ValueError("no such word")
        if "refused" in texts:
            raise PictureError("not this one")
        if "large" in texts and len(texts) > 1:
            raise OutOfMemory("too much at once")
        if "short" in texts:
            return []
        found = self.inner.encode_texts(texts)
        for row, text in enumerate(texts):
            if text == "nan":
                found[row].global_vector[:] = np.nan
        return found

    def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding]:
        self._pass(pictures)
        return self.inner.encode_images(pictures)


class Staged(Gate):
    """The same, its pictures prepared apart."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared_in: set[str] = set()

    def prepare_images(self, pictures: Sequence[Picture]) -> npt.NDArray[Any]:
        self.prepared_in.add(threading.current_thread().name)
        if any(picture.format == "BAD" for picture in pictures):
            raise ValueError("cannot be prepared")
        return np.stack([np.broadcast_to(picture.pixels[0, 0], (8, 8, 3)) for picture in pictures])

    def forward_images(self, prepared: npt.NDArray[Any]) -> tuple[Any, ...]:
        self._pass(list(prepared))
        return (self.inner.encode_images([Picture(one, (8, 8), "PNG") for one in prepared]),)

    def finish_images(self, *outputs: Any) -> list[ImageEmbedding]:
        found: list[ImageEmbedding] = outputs[0]
        return found


def plain(colour: tuple[int, int, int], form: str = "PNG") -> Picture:
    return Picture(np.full((16, 16, 3), colour, np.uint8), (16, 16), form)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not true():
            await asyncio.sleep(0.001)


async def held(gate: Gate, encoder: BatchingEncoder) -> asyncio.Task[Any]:
    """Start a request and hold its pass in the model, so that what follows has to queue."""
    gate.open.clear()
    task = asyncio.create_task(encoder.encode_texts(["first"]))
    await until(lambda: gate.entered.acquire(blocking=False))
    return task


def queued(encoder: BatchingEncoder, number: int) -> Callable[[], bool]:
    return lambda: encoder.figures.waiting == number


async def test_it_is_an_encoder_and_gives_the_models_own_answers(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    assert isinstance(encoder, Encoder)
    assert encoder.card == gate.card
    texts = ["a red cow", "a blue horse"]
    for found, own in zip(await encoder.encode_texts(texts), gate.inner.encode_texts(texts), strict=True):
        assert isinstance(found, TextEmbedding)
        np.testing.assert_array_equal(found.global_vector, own.global_vector)
    assert await encoder.encode_texts([]) == []
    await encoder.close()


async def test_a_single_client_is_computed_at_once(gate: Gate) -> None:
    """There is no waiting for company: each request alone is its own pass."""
    encoder = BatchingEncoder(gate)
    for text in ("one", "two", "three"):
        await encoder.encode_texts([text])
    assert gate.batches == [["one"], ["two"], ["three"]]
    await encoder.close()


async def test_what_waits_shares_the_next_pass(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    first = await held(gate, encoder)
    rest = [asyncio.create_task(encoder.encode_texts([str(number)])) for number in range(5)]
    await until(queued(encoder, 5))
    gate.open.set()
    await asyncio.gather(first, *rest)
    assert gate.batches == [["first"], ["0", "1", "2", "3", "4"]]
    assert encoder.figures.passes == 2
    assert encoder.figures.items == 6
    assert encoder.figures.largest_batch == 5
    assert len(gate.threads) == 1
    await encoder.close()


async def test_no_batch_is_larger_than_allowed(gate: Gate) -> None:
    encoder = BatchingEncoder(gate, BatchingLimits(texts=3))
    texts = [str(number) for number in range(20)]
    results = await encoder.encode_texts(texts)
    assert max(map(len, gate.batches)) == 3
    assert [result.words for result in results if isinstance(result, TextEmbedding)] == [(text,) for text in texts]
    assert encoder.figures.waiting == 0
    await encoder.close()


async def test_a_full_queue_refuses_and_recovers(gate: Gate) -> None:
    encoder = BatchingEncoder(gate, BatchingLimits(queue=3))
    first = await held(gate, encoder)
    rest = asyncio.create_task(encoder.encode_texts(["a", "b", "c"]))
    await until(queued(encoder, 3))
    with pytest.raises(Overloaded):
        await encoder.encode_texts(["d"])
    assert encoder.figures.refused == 1
    gate.open.set()
    await asyncio.gather(first, rest)
    assert len(await encoder.encode_texts(["d"])) == 1
    await encoder.close()


async def test_a_request_larger_than_the_queue_is_served_when_nothing_waits(gate: Gate) -> None:
    encoder = BatchingEncoder(gate, BatchingLimits(queue=3, texts=2))
    assert len(await encoder.encode_texts([str(number) for number in range(11)])) == 11
    await encoder.close()


@pytest.mark.parametrize(("word", "error"), [("bad", ModelError), ("refused", PictureError), ("nan", ModelError)])
async def test_a_bad_item_fails_alone(gate: Gate, word: str, error: type[BoonArtError]) -> None:
    encoder = BatchingEncoder(gate)
    first = await held(gate, encoder)
    good = asyncio.create_task(encoder.encode_texts(["good"]))
    await until(queued(encoder, 1))
    mixed = asyncio.create_task(encoder.encode_texts(["fine", word, "well"]))
    await until(queued(encoder, 4))
    gate.open.set()
    await first
    assert [type(result) for result in await good] == [TextEmbedding]
    assert [type(result) for result in await mixed] == [TextEmbedding, error, TextEmbedding]
    assert encoder.figures.items == 5
    await encoder.close()


async def test_a_model_that_answers_with_too_few_does_not_end_the_thread(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    (result,) = await encoder.encode_texts(["short"])
    assert isinstance(result, ModelError)
    assert "0 embeddings for 1" in result.message
    assert len(await encoder.encode_texts(["good"])) == 1
    await encoder.close()


async def test_where_memory_runs_out_the_batch_is_halved(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    results = await encoder.encode_texts(["a", "b", "c", "large"])
    assert [type(result) for result in results] == [TextEmbedding] * 4
    assert [len(batch) for batch in gate.batches] == [4, 2, 2, 1, 1]
    await encoder.close()


async def test_a_cancelled_item_is_not_computed(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    first = await held(gate, encoder)
    gone = asyncio.create_task(encoder.encode_texts(["gone"]))
    stays = asyncio.create_task(encoder.encode_texts(["stays"]))
    await until(queued(encoder, 2))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    gate.open.set()
    await asyncio.gather(first, stays)
    assert gate.batches == [["first"], ["stays"]]
    assert encoder.figures.dropped == 1
    assert encoder.figures.waiting == 0
    await encoder.close()


async def test_a_passed_deadline_answers_and_is_not_computed(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    first = await held(gate, encoder)
    with pytest.raises(DeadlineExceeded):
        await encoder.encode_texts(["late"], deadline=asyncio.get_running_loop().time() + 0.01)
    gate.open.set()
    await first
    assert (await encoder.encode_texts(["next"]))[0]
    assert ["late"] not in gate.batches
    await encoder.close()


async def test_what_waited_too_long_is_dropped(gate: Gate) -> None:
    now = [100.0]
    encoder = BatchingEncoder(gate, BatchingLimits(longest_wait_s=5.0), clock=lambda: now[0])
    first = await held(gate, encoder)
    late = asyncio.create_task(encoder.encode_texts(["late"]))
    await until(queued(encoder, 1))
    now[0] += 4.0
    later = asyncio.create_task(encoder.encode_texts(["later"]))
    await until(queued(encoder, 2))
    now[0] += 2.0
    gate.open.set()
    with pytest.raises(DeadlineExceeded, match="waited too long"):
        await late
    await asyncio.gather(first, later)
    assert gate.batches == [["first"], ["later"]]
    assert encoder.figures.dropped == 1
    assert encoder.figures.waiting == 0
    await encoder.close()


async def test_texts_do_not_wait_behind_many_pictures(gate: Gate) -> None:
    encoder = BatchingEncoder(gate, BatchingLimits(pictures=2))
    first = await held(gate, encoder)
    pictures = asyncio.create_task(encoder.encode_images([plain((250, 0, 0))] * 12))
    await until(queued(encoder, 12))
    text = asyncio.create_task(encoder.encode_texts(["query"]))
    await until(queued(encoder, 13))
    gate.open.set()
    await asyncio.gather(first, text, pictures)
    assert gate.batches.index(["query"]) <= 2
    await encoder.close()


async def test_pictures_are_prepared_in_other_threads() -> None:
    model = Staged()
    assert isinstance(model, StagedPictures)
    encoder = BatchingEncoder(model)
    reds = [plain((200 + number, 20, 20)) for number in range(30)]
    results = await encoder.encode_images(reds)
    for picture, result in zip(reds, results, strict=True):
        assert isinstance(result, ImageEmbedding)
        own = model.inner.encode_images([Picture(picture.pixels[:8, :8], (8, 8), "PNG")])[0]
        np.testing.assert_array_equal(result.global_vector, own.global_vector)
    assert model.prepared_in
    assert not model.prepared_in & model.threads
    assert encoder.figures.waiting == 0
    await encoder.close()


async def test_a_picture_that_cannot_be_prepared_fails_alone() -> None:
    encoder = BatchingEncoder(Staged())
    results = await encoder.encode_images([plain((1, 2, 3)), plain((1, 2, 3), "BAD"), plain((1, 2, 3))])
    assert [type(result) for result in results] == [ImageEmbedding, ModelError, ImageEmbedding]
    assert encoder.figures.waiting == 0
    await encoder.close()


async def test_closing_answers_what_still_waits(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    first = await held(gate, encoder)
    waiting = asyncio.create_task(encoder.encode_texts(["waits"]))
    await until(queued(encoder, 1))
    closing = asyncio.create_task(encoder.close())
    await asyncio.sleep(0.01)
    gate.open.set()
    with pytest.raises(Unavailable, match="shutting down"):
        await waiting
    assert len(await first) == 1
    await closing
    with pytest.raises(Unavailable, match="shutting down"):
        await encoder.encode_texts(["after"])


def test_it_serves_several_event_loops(gate: Gate) -> None:
    encoder = BatchingEncoder(gate)
    lengths: list[int] = []

    def work() -> None:
        for _ in range(20):
            lengths.append(len(asyncio.run(encoder.encode_texts(["a", "b"]))))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert lengths == [2] * 60
    asyncio.run(encoder.close())


async def test_many_clients_that_come_and_go_leave_nothing_behind(gate: Gate) -> None:
    encoder = BatchingEncoder(gate, BatchingLimits(texts=4, queue=40))
    random = np.random.default_rng(3)

    async def client(number: int) -> None:
        for turn in range(10):
            task = asyncio.create_task(encoder.encode_texts([f"{number}-{turn}"] * int(random.integers(1, 6))))
            await asyncio.sleep(0)
            if random.random() < 0.3:
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    await asyncio.gather(*(client(number) for number in range(20)))
    await until(queued(encoder, 0))
    assert len(await encoder.encode_texts(["after"])) == 1
    await encoder.close()
