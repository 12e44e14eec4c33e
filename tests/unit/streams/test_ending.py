"""What aiokafka keeps from ending ends all the same, and a consumer that only seems to go on is seen."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from streams import ending
from streams.ending import ConsumerEndedError, StoppedError, check_goes_on, end, stop_consumer, unless_stopped


async def forever() -> None:
    await asyncio.Event().wait()


async def done() -> None:
    """End at once."""


class Consumer:
    """Of aiokafka's, the parts that are looked at."""

    def __init__(self, stopped=None, **tasks):
        self._stopped = stopped
        self._fetcher = SimpleNamespace(_fetch_task=tasks.get("fetches"))
        self._client = SimpleNamespace(_sync_task=tasks.get("metadata"), close=self._close)
        self.closed = False

    async def stop(self):
        if self._stopped:
            raise self._stopped

    async def _close(self):
        self.closed = True


async def test_a_stop_that_raises_a_cancellation_of_its_own_is_finished():
    consumer = Consumer(asyncio.CancelledError())
    await stop_consumer(consumer)
    assert consumer.closed


async def test_an_error_of_a_stop_is_raised():
    with pytest.raises(OSError, match="gone"):
        await stop_consumer(Consumer(OSError("gone")))


async def test_a_consumer_whose_tasks_go_on_is_none_that_ended():
    async with asyncio.TaskGroup() as tasks:
        going_on = tasks.create_task(forever())
        check_goes_on(Consumer(fetches=going_on, metadata=None))
        going_on.cancel()


@pytest.mark.parametrize("work", ["fetches", "metadata"])
async def test_a_consumer_that_lost_a_task_is_named(work):
    ended = asyncio.create_task(done())
    await ended
    with pytest.raises(ConsumerEndedError, match=f"no task for {work}"):
        check_goes_on(Consumer(**{work: ended}))


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch):
    async def lose_one():
        with contextlib.suppress(asyncio.CancelledError):
            await forever()
        await forever()

    monkeypatch.setattr(ending, "_AGAIN_S", 0.01)
    task = asyncio.create_task(lose_one())
    await asyncio.sleep(0)
    await asyncio.wait_for(end(task), 1)
    assert task.cancelled()


async def test_a_stop_ends_work_and_work_that_is_done_counts():
    stop = asyncio.Event()
    assert await unless_stopped(stop, asyncio.sleep(0, "result")) == "result"
    stop.set()
    with pytest.raises(StoppedError):
        await unless_stopped(stop, forever())
