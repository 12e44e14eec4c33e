"""What a source does where no partition is held."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnknownError

from streams import metrics, source
from streams.ending import ConsumerEndedError
from streams.settings import Settings


class EndedError(Exception):
    """Stands for the end of the process."""


def refuse() -> NoReturn:
    raise UnknownError


def agree() -> None:
    """Nothing is wrong."""


@pytest.fixture(name="spare")
async def spare_fixture(monkeypatch: pytest.MonkeyPatch) -> source.PartitionSource:
    """A source in whose group, and with whose consumer, all is well."""

    def end(what: str, error: BaseException) -> NoReturn:
        raise EndedError(what) from error

    nothing: Any = None
    spare = source.PartitionSource(
        settings=Settings(group="g"),
        topic="t",
        group="partials",
        channel=nothing,
        make_owner=nothing,
        readiness=metrics.Readiness(["t"]),
    )
    spare._consumer = SimpleNamespace(
        _coordinator=SimpleNamespace(check_errors=agree),
        _fetcher=SimpleNamespace(_fetch_task=None),
        _client=SimpleNamespace(_sync_task=None),
    )
    monkeypatch.setattr(source, "end_process", end)
    monkeypatch.setattr(source, "_WATCH_S", 0.0)
    return spare


async def cause_of_end(spare: source.PartitionSource) -> BaseException | None:
    with pytest.raises(EndedError, match="group g-partials") as found:
        await asyncio.wait_for(source.PartitionSource._watch_group.fun(spare), 1)
    return found.value.__cause__


async def ended_task() -> asyncio.Task[None]:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    return task


async def test_an_error_of_the_group_ends_the_process_though_nothing_is_fetched(spare):
    spare._consumer._coordinator.check_errors = refuse
    assert isinstance(await cause_of_end(spare), UnknownError)


async def test_a_consumer_that_fetches_no_more_ends_the_process(spare):
    spare._consumer._fetcher._fetch_task = await ended_task()
    assert isinstance(await cause_of_end(spare), ConsumerEndedError)


async def test_a_partition_that_is_held_and_worked_on_by_nobody_ends_the_process(spare):
    class Waiting:
        """An owner that never gets to its partition."""

        async def take(self) -> None:
            await asyncio.Event().wait()

    runner = source._Runner(spare._consumer, TopicPartition("t", 0), Waiting(), None, agree)
    spare._runners[0] = runner
    await asyncio.sleep(0)
    runner._task.cancel()
    assert isinstance(await cause_of_end(spare), source.PartitionLeftError)
