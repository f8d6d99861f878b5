import asyncio

import pytest

from boonart.errors import DeadlineExceeded
from boonart.rpc.deadlines import remaining, within


async def test_without_a_deadline_nothing_remains_to_be_said() -> None:
    assert remaining() is None


async def test_the_nearer_deadline_counts_and_the_outer_one_comes_back() -> None:
    async with within(100.0):
        async with within(5.0):
            inner = remaining()
        async with within(1000.0):
            capped = remaining()
        outer = remaining()
    assert inner is not None
    assert inner <= 5.0
    assert capped is not None
    assert capped <= 100.0
    assert outer is not None
    assert 5.0 < outer <= 100.0
    assert remaining() is None


async def test_work_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def limited() -> None:
        async with within(0.01):
            await work()

    with pytest.raises(DeadlineExceeded):
        await limited()
    assert cancelled.is_set()


async def test_work_is_not_begun_after_its_time() -> None:
    begun = False
    with pytest.raises(DeadlineExceeded):
        async with within(0.0):
            begun = True
    assert not begun


async def test_a_timeout_of_the_body_itself_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with within(30.0):
            raise TimeoutError


async def test_a_task_that_is_started_inside_inherits_the_deadline() -> None:
    async def ask() -> float | None:
        return remaining()

    async with within(10.0):
        left = await asyncio.create_task(ask())
    assert left is not None
