"""The asynchronous shell around an encoder: concurrent requests share forward passes.

One thread runs the model. While it computes, requests queue up; when it becomes free it takes all that wait, up to
the largest batch. So a single client never waits for company, and many clients share. Pictures are brought into the
network's size by further threads meanwhile, where the model can do that apart. Nothing is computed for a request that
was cancelled or that waited too long.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from boonart.all_cores import with_all_cores
from boonart.errors import BoonArtError, DeadlineExceeded, ModelError, OutOfMemory, Overloaded, Unavailable
from boonart.ports import EncoderModel
from boonart.works import ImageEmbedding, ModelCard, Picture, TextEmbedding

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger(__name__)


@runtime_checkable
class StagedPictures(Protocol):
    """What an `EncoderModel` may offer beside `encode_images`, so that its stages run in different threads."""

    def prepare_images(self, pictures: Sequence[Picture]) -> npt.NDArray[Any]:
        """Pictures as the network takes them, stacked on the first axis; thread-safe, without the network."""

    def forward_images(self, prepared: npt.NDArray[Any]) -> tuple[Any, ...]:
        """The network alone, over what `prepare_images` made; concatenated batches are a batch."""

    def finish_images(self, *outputs: Any) -> list[ImageEmbedding]:
        """What `forward_images` gave, as embeddings."""


@dataclass(frozen=True, slots=True)
class BatchingLimits:
    """Bounds of the queue and of a forward pass.

    Attributes:
        texts, pictures: largest batch of each. A text waits for one batch of pictures at most, and on a CPU more
            than eight at once gain no speed; a GPU likes more.
        queue: most items that wait; more are refused with `Overloaded`.
        longest_wait_s: an item that waited longer than this, in seconds, is answered with `DeadlineExceeded`.
        threads: that prepare pictures.
    """

    texts: int = 64
    pictures: int = 8
    queue: int = 2048
    longest_wait_s: float = 60.0
    threads: int = min(4, os.cpu_count() or 1)


@dataclass(slots=True)
class BatchingFigures:
    """What has happened so far; read by metrics.

    Attributes:
        waiting: items in the queue now.
        passes: forward passes.
        items: items encoded.
        dropped: items whose caller had gone, or whose time was over, before they were computed.
        refused: items turned away because the queue was full.
    """

    waiting: int = 0
    passes: int = 0
    items: int = 0
    dropped: int = 0
    refused: int = 0
    largest_batch: int = 0


@dataclass(slots=True, eq=False)
class _Item(Generic[T, R]):
    """One text or picture, or what was prepared from it, and the future of its embedding."""

    value: T
    entered: float = 0.0
    future: Future[R | BoonArtError] = field(default_factory=Future)


class _Lane(Generic[T, R]):
    """The waiting items of one kind, and how they are encoded.

    Args:
        encode: a batch of values, prepared where there is a `prepare`.
        prepare: brings one value into the form that `encode` takes; None where that is no work.
    """

    def __init__(
        self, encode: Callable[[Sequence[Any]], list[R]], largest: int, prepare: Callable[[T], Any] | None = None
    ) -> None:
        self.encode = encode
        self.largest = largest
        self.prepare = prepare
        self.preparing: set[_Item[T, R]] = set()
        self.waiting: deque[_Item[T, R]] = deque()


class BatchingEncoder:
    """An `ports.Encoder` over an `ports.EncoderModel`; to be called from any event loop, or several.

    Args:
        model: its forward passes run in one thread only. Where it is `StagedPictures`, pictures are prepared in
            further threads.
        clock: seconds that only grow; what waits is timed by it.
    """

    def __init__(
        self,
        model: EncoderModel,
        limits: BatchingLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._clock = clock
        self._limits = limits or BatchingLimits()
        self._texts: _Lane[str, TextEmbedding] = _Lane(model.encode_texts, self._limits.texts)
        self._pictures = _picture_lane(model, self._limits.pictures)
        self._changed = threading.Condition()
        self._closed = False
        self.figures = BatchingFigures()
        self._helpers = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="prepare-pictures")
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    @property
    def card(self) -> ModelCard:
        """What the encoder is."""
        return self._model.card

    async def encode_texts(
        self, texts: Sequence[str], *, deadline: float | None = None
    ) -> list[TextEmbedding | BoonArtError]:
        """Embed texts, in order; see `ports.Encoder`.

        Args:
            deadline: when to give up, in the event loop's own time; None waits as long as the queue allows.
        """
        return await self._submit(self._texts, texts, deadline)

    async def encode_images(
        self, pictures: Sequence[Picture], *, deadline: float | None = None
    ) -> list[ImageEmbedding | BoonArtError]:
        """Embed pictures, in order; see `ports.Encoder` and `encode_texts`."""
        return await self._submit(self._pictures, pictures, deadline)

    async def close(self) -> None:
        """Stop the threads after the pass they are in; what still waits is answered with `Unavailable`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._helpers.shutdown, cancel_futures=True)

    async def _submit(self, lane: _Lane[T, R], values: Sequence[T], deadline: float | None) -> list[R | BoonArtError]:
        items: list[_Item[T, R]] = [_Item(value) for value in values]
        self._admit(len(items))
        try:
            async with asyncio.timeout_at(deadline):
                results = await self._feed(lane, items)
        except TimeoutError as error:
            raise DeadlineExceeded("The encoder had no answer in time.") from error
        for result in results:
            if isinstance(result, Unavailable) and not isinstance(result, OutOfMemory):
                raise result
        return results

    def _admit(self, count: int) -> None:
        """Count a request in, or refuse it.

        A request larger than the whole queue is let in when nothing else waits: it would never be otherwise.
        """
        with self._changed:
            if self._closed:
                raise Unavailable("The encoder is shutting down.")
            if self.figures.waiting and self.figures.waiting + count > self._limits.queue:
                self.figures.refused += count
                raise Overloaded(f"{self.figures.waiting} texts and pictures wait for the encoder already.")
            self.figures.waiting += count

    async def _feed(self, lane: _Lane[T, R], items: list[_Item[T, R]]) -> list[R | BoonArtError]:
        """Queue the items of a request, at most four batches at a time, and wait for them.

        So a large request neither fills the memory with prepared pictures nor outlives the longest wait by itself.
        """
        step = 2 * lane.largest
        futures: list[asyncio.Future[R | BoonArtError]] = []
        queued = 0
        try:
            for start in range(0, len(items), step):
                await asyncio.gather(*futures[: max(0, start - step)])
                part = items[start : start + step]
                queued += len(part)
                self._queue(lane, part)
                futures += [asyncio.wrap_future(item.future) for item in part]
            return list(await asyncio.gather(*futures))
        finally:
            for item in items:
                item.future.cancel()
            with self._changed:
                self.figures.waiting -= len(items) - queued

    def _queue(self, lane: _Lane[T, R], items: Sequence[_Item[T, R]]) -> None:
        with self._changed:
            if self._closed:
                self._answer(items, Unavailable("The encoder is shutting down."))
                return
            for item in items:
                item.entered = self._clock()
            if lane.prepare is None:
                lane.waiting.extend(items)
                self._changed.notify_all()
                return
            lane.preparing.update(items)
            for item in items:
                self._helpers.submit(self._prepare, lane, item)

    def _prepare(self, lane: _Lane[Any, Any], item: _Item[Any, Any]) -> None:
        """In a helper's thread: bring one item into the network's form and put it into the queue."""
        failure: BoonArtError | None = None
        assert lane.prepare is not None, "only items of such a lane are prepared"
        try:
            if not item.future.cancelled():
                item.value = lane.prepare(item.value)
        except Exception as error:  # noqa: BLE001  # whatever it raises belongs to this item
            failure = _as_error(error)
        with self._changed:
            if item not in lane.preparing:
                return
            lane.preparing.discard(item)
            if failure is None:
                lane.waiting.append(item)
                self._changed.notify_all()
            else:
                self._answer([item], failure)

    # --- the encoder's thread ---

    def _work(self) -> None:
        lanes: list[_Lane[Any, Any]] = [self._texts, self._pictures]
        try:
            while True:
                with self._changed:
                    while not self._closed and not any(lane.waiting for lane in lanes):
                        self._changed.wait()
                    if self._closed:
                        return
                    # The lanes take turns, so that an ingest of pictures does not hold up text queries.
                    lanes.reverse()
                    lane = next(lane for lane in lanes if lane.waiting)
                    batch = self._take(lane)
                if batch:
                    self._encode(lane, batch)
        except Exception:
            logger.exception("the encoder's thread has ended")
            raise
        finally:
            with self._changed:
                self._closed = True
                for lane in lanes:
                    self._answer([*lane.waiting, *lane.preparing], Unavailable("The encoder is shutting down."))
                    lane.waiting.clear()
                    lane.preparing.clear()

    def _take(self, lane: _Lane[Any, Any]) -> list[_Item[Any, Any]]:
        batch: list[_Item[Any, Any]] = []
        oldest = self._clock() - self._limits.longest_wait_s
        while lane.waiting and len(batch) < lane.largest:
            item = lane.waiting.popleft()
            if item.entered < oldest:
                self.figures.dropped += 1
                self._answer([item], DeadlineExceeded("This waited too long for the encoder, which is overloaded."))
                continue
            self.figures.waiting -= 1
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
            else:
                self.figures.dropped += 1
        return batch

    def _answer(self, items: Sequence[_Item[Any, Any]], error: BoonArtError) -> None:
        """Answer items that were queued but will not be encoded."""
        self.figures.waiting -= len(items)
        for item in items:
            if item.future.set_running_or_notify_cancel():
                item.future.set_result(error)

    def _encode(self, lane: _Lane[Any, Any], batch: Sequence[_Item[Any, Any]]) -> None:
        """Encode a batch; where that fails, find out item by item which one is at fault."""
        self.figures.passes += 1
        self.figures.largest_batch = max(self.figures.largest_batch, len(batch))
        try:
            results = with_all_cores(lane.encode, [item.value for item in batch])
            if len(results) != len(batch):
                raise ModelError(f"The encoder gave {len(results)} embeddings for {len(batch)} inputs.")
        except Exception as error:  # noqa: BLE001  # whatever the model raises belongs to an item, never to the thread
            if len(batch) > 1:
                part = len(batch) // 2 if isinstance(error, OutOfMemory) else 1
                for start in range(0, len(batch), part):
                    self._encode(lane, batch[start : start + part])
            else:
                self.figures.items += 1
                batch[0].future.set_result(_as_error(error))
            return
        self.figures.items += len(batch)
        for item, result in zip(batch, results, strict=True):
            item.future.set_result(_checked(result))


def _picture_lane(model: EncoderModel, largest: int) -> _Lane[Picture, ImageEmbedding]:
    if not isinstance(model, StagedPictures):
        return _Lane(model.encode_images, largest)
    staged = cast(StagedPictures, model)

    def encode(prepared: Sequence[npt.NDArray[Any]]) -> list[ImageEmbedding]:
        return staged.finish_images(*staged.forward_images(np.concatenate(prepared)))

    return _Lane(encode, largest, lambda picture: staged.prepare_images([picture]))


def _checked(result: TextEmbedding | ImageEmbedding) -> TextEmbedding | ImageEmbedding | BoonArtError:
    """The embedding, or an error where it would poison every comparison that it takes part in."""
    if np.isfinite(result.global_vector).all():
        return result
    return ModelError("The encoder's answer to this input holds values that are no numbers.")


def _as_error(error: Exception) -> BoonArtError:
    if isinstance(error, BoonArtError):
        return error
    return ModelError(f"The encoder failed on this input: {type(error).__name__}: {error}")
