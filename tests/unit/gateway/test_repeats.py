"""Requests with a key are done once, and what becomes of those that are sent again."""

import asyncio

import pytest

from boonart.errors import (
    BoonArtError,
    CollectionExists,
    IdempotencyMismatch,
    InvalidRequest,
    Overloaded,
    RequestInProgress,
    WorkIndexError,
)
from boonart_services.gateway import repeats
from boonart_services.gateway.repeats import Repeats

HERE = ("key 1", "POST /v1/collections")


class Work:
    """Counts how often it is done."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.done = 0
        self.error = error
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> int:
        self.done += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.done


async def test_the_same_request_is_done_once() -> None:
    kept, work = Repeats(), Work()
    assert await kept.once(HERE, "k", b"body", work) == (1, False)
    assert await kept.once(HERE, "k", b"body", work) == (1, True)
    assert await kept.once(HERE, "other", b"body", work) == (2, False)
    assert await kept.once(("key 2", HERE[1]), "k", b"body", work) == (3, False)
    assert await kept.once((HERE[0], "DELETE /v1/collections/a"), "k", b"body", work) == (4, False)


async def test_a_key_is_refused_with_another_body() -> None:
    kept, work = Repeats(), Work()
    await kept.once(HERE, "k", b"body", work)
    with pytest.raises(IdempotencyMismatch):
        await kept.once(HERE, "k", b"another", work)
    assert work.done == 1


async def test_a_request_under_way_is_not_begun_again() -> None:
    kept, work = Repeats(), Work()
    work.gate.clear()
    first = asyncio.create_task(kept.once(HERE, "k", b"body", work))
    while not work.done:
        await asyncio.sleep(0)
    with pytest.raises(RequestInProgress) as caught:
        await kept.once(HERE, "k", b"body", work)
    assert caught.value.retry_after > 0
    work.gate.set()
    assert await first == (1, False)
    assert await kept.once(HERE, "k", b"body", work) == (1, True)


async def test_a_refusal_is_kept() -> None:
    kept, work = Repeats(), Work(CollectionExists("It is there."))
    for _ in range(2):
        with pytest.raises(CollectionExists):
            await kept.once(HERE, "k", b"body", work)
    assert work.done == 1


@pytest.mark.parametrize(
    "error",
    [
        WorkIndexError("It fails."),
        Overloaded("It is full."),
        BoonArtError("A bug."),
        ValueError(),
        asyncio.CancelledError(),
    ],
)
async def test_what_may_succeed_later_is_not_kept(error: BaseException) -> None:
    kept, work = Repeats(), Work(error)
    with pytest.raises(type(error)):
        await kept.once(HERE, "k", b"body", work)
    work.error = None
    assert await kept.once(HERE, "k", b"body", work) == (2, False)


async def test_answers_are_forgotten_after_a_day_and_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, work = Repeats(), Work()
    monkeypatch.setattr(repeats, "MOST_KEPT", 2)
    for key in ("a", "b", "c"):
        await kept.once(HERE, key, b"", work)
    assert await kept.once(HERE, "c", b"", work) == (3, True)
    assert await kept.once(HERE, "a", b"", work) == (4, False)
    monkeypatch.setattr(repeats, "KEPT_SECONDS", 0.0)
    assert await kept.once(HERE, "a", b"", work) == (5, False)


@pytest.mark.parametrize("key", ["k" * 256, "k\n", "schlüssel"])
async def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="255"):
        await Repeats().once(HERE, key, b"", Work())
