"""The asynchronous shell around an encoder: concurrent requests share forward passes.

One thread runs the model. While it computes, requests queue up; when it becomes free it takes all that wait, up to
the largest batch. So a single client never waits for company, and many clients share. Nothing is computed for a
request that was cancelled or whose deadline passed in the queue.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from boonart.errors import BoonArtError, ModelError, OutOfMemory, Overloaded, Unavailable
from boonart.ports import EncoderModel
from boonart.works import ImageEmbedding, ModelCard, Picture, TextEmbedding

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BatchingLimits:
    """Bounds of the queue and of a forward pass.

    Attributes:
        texts, pictures: largest batch of each.
        queue: most items that wait; more are refused with `Overloaded`.
    """

    texts: int = 64
    pictures: int = 32
    queue: int = 2048


@dataclass(slots=True)
class BatchingFigures:
    """What has happened so far; read by metrics.

    Attributes:
        waiting: items in the queue now.
        passes: forward passes.
        items: items encoded.
        dropped: items whose caller had gone before they were computed.
        refused: items turned away because the queue was full.
    """

    waiting: int = 0
    passes: int = 0
    items: int = 0
    dropped: int = 0
    refused: int = 0
    largest_batch: int = 0


@dataclass(slots=True)
class _Item(Generic[T, R]):
    """One text or picture and the future of its embedding."""

    value: T
    future: Future[R | BoonArtError] = field(default_factory=Future)


class _Lane(Generic[T, R]):
    """The waiting items of one kind and the function that encodes a batch of them."""

    def __init__(self, encode: Callable[[Sequence[T]], list[R]], largest: int) -> None:
        self.encode = encode
        self.largest = largest
        self.waiting: deque[_Item[T, R]] = deque()


class BatchingEncoder:
    """An `ports.Encoder` over an `ports.EncoderModel`.

    Args:
        model: used by one thread only.
    """

    def __init__(self, model: EncoderModel, limits: BatchingLimits | None = None) -> None:
        self._model = model
        self._limits = limits or BatchingLimits()
        self._texts: _Lane[str, TextEmbedding] = _Lane(model.encode_texts, self._limits.texts)
        self._pictures: _Lane[Picture, ImageEmbedding] = _Lane(model.encode_images, self._limits.pictures)
        self._changed = threading.Condition()
        self._closed = False
        self.figures = BatchingFigures()
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    @property
    def card(self) -> ModelCard:
        """What the encoder is."""
        return self._model.card

    async def encode_texts(self, texts: Sequence[str]) -> list[TextEmbedding | BoonArtError]:
        """Embed texts, in order; see `ports.Encoder`."""
        return await self._submit(self._texts, texts)

    async def encode_images(self, pictures: Sequence[Picture]) -> list[ImageEmbedding | BoonArtError]:
        """Embed pictures, in order; see `ports.Encoder`."""
        return await self._submit(self._pictures, pictures)

    async def close(self) -> None:
        """Stop the thread after the pass it is in; what still waits is answered with `Unavailable`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        await asyncio.to_thread(self._thread.join)

    async def _submit(self, lane: _Lane[T, R], values: Sequence[T]) -> list[R | BoonArtError]:
        items: list[_Item[T, R]] = [_Item(value) for value in values]
        with self._changed:
            if self._closed:
                raise Unavailable("The encoder is shutting down.")
            if self.figures.waiting + len(items) > self._limits.queue and self.figures.waiting:
                self.figures.refused += len(items)
                raise Overloaded(f"{self.figures.waiting} texts and pictures wait for the encoder already.")
            lane.waiting.extend(items)
            self.figures.waiting += len(items)
            self._changed.notify()
        try:
            return list(await asyncio.gather(*(asyncio.wrap_future(item.future) for item in items)))
        finally:
            for item in items:
                item.future.cancel()

    # --- the encoder's thread ---

    def _work(self) -> None:
        lanes: list[_Lane[Any, Any]] = [self._texts, self._pictures]
        while True:
            with self._changed:
                while not self._closed and not any(lane.waiting for lane in lanes):
                    self._changed.wait()
                if self._closed:
                    self._abandon(lanes)
                    return
                # The lanes take turns, so that an ingest of pictures does not hold up text queries.
                lanes.reverse()
                lane = next(lane for lane in lanes if lane.waiting)
                batch = self._take(lane)
            if batch:
                self._encode(lane, batch)

    def _take(self, lane: _Lane[Any, Any]) -> list[_Item[Any, Any]]:
        batch: list[_Item[Any, Any]] = []
        while lane.waiting and len(batch) < lane.largest:
            item = lane.waiting.popleft()
            self.figures.waiting -= 1
            if item.future.set_running_or_notify_cancel():
                batch.append(item)
            else:
                self.figures.dropped += 1
        return batch

    def _abandon(self, lanes: Sequence[_Lane[Any, Any]]) -> None:
        for lane in lanes:
            while lane.waiting:
                item = lane.waiting.popleft()
                if item.future.set_running_or_notify_cancel():
                    item.future.set_result(Unavailable("The encoder is shutting down."))
        self.figures.waiting = 0

    def _encode(self, lane: _Lane[T, R], batch: Sequence[_Item[T, R]]) -> None:
        """Encode a batch; where that fails, find out item by item which one is at fault."""
        self.figures.passes += 1
        self.figures.items += len(batch)
        self.figures.largest_batch = max(self.figures.largest_batch, len(batch))
        try:
            results: list[R] = lane.encode([item.value for item in batch])
        except Exception as error:  # noqa: BLE001  # whatever the model raises belongs to an item, never to the thread
            if len(batch) > 1:
                half = len(batch) // 2 if isinstance(error, OutOfMemory) else 1
                for start in range(0, len(batch), half):
                    self._encode(lane, batch[start : start + half])
            else:
                batch[0].future.set_result(_as_error(error))
            return
        for item, result in zip(batch, results, strict=True):
            item.future.set_result(result)


def _as_error(error: Exception) -> BoonArtError:
    if isinstance(error, BoonArtError):
        return error
    return ModelError(f"The encoder failed on this input: {type(error).__name__}: {error}")
