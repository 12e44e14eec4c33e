"""Ends waits, tasks and consumers for sure, and sees a consumer that has ended by itself.

aiokafka leaves that to its caller: it may lose a cancellation that meets an answer of the broker, raise one of its own
out of a stop, and go on without a task that it needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

#: A task that was cancelled and goes on is cancelled again after this time.
_AGAIN_S: Final = 2.0

T = TypeVar("T")


class StoppedError(Exception):
    """A stop came before the work was done."""


class ConsumerEndedError(KafkaError):  # type: ignore[misc]  # aiokafka ships no types
    """A consumer has lost a task without which it gives no more records, and no error either."""


async def unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    """Return what the work returns; StoppedError, with the work cancelled, when `stop` is set before that."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise StoppedError
    finally:
        stopping.cancel()
        await end(working)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended. Whoever wants to know its error has asked for it before."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
    if not task.cancelled():
        task.exception()  # or asyncio tells of it as of one that nobody knows


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer; raises what goes wrong, but no CancelledError that is nobody's.

    While a fetch is put off, as it is when the broker is away, aiokafka cancels it, lets that cancellation out of its
    own stop, and leaves its connections open.
    """
    stopping = asyncio.create_task(consumer.stop())
    try:
        await asyncio.wait({stopping})
    finally:
        stopping.cancel()
    if stopping.cancelled():
        await consumer._client.close()  # noqa: SLF001 (what was left out)
    else:
        stopping.result()


def check_goes_on(consumer: AIOKafkaConsumer) -> None:
    """Raise ConsumerEndedError when a task of a started consumer has ended that aiokafka itself never looks at."""
    for work, task in (("fetches", consumer._fetcher._fetch_task), ("metadata", consumer._client._sync_task)):  # noqa: SLF001 (aiokafka tells it nowhere else)
        if task is not None and task.done():
            why = None if task.cancelled() else task.exception()
            raise ConsumerEndedError(f"the consumer has no task for {work} any more: {why!r}") from why
