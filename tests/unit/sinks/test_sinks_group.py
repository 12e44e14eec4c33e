"""What a member of a group does when partitions come and go, without a broker."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition

from sinks import metrics
from sinks.group import Group
from sinks.settings import Settings
from sinks.store import MemoryStore
from streams.contract.rows import CHANNEL
from tests.unit.sinks.table_lanes import lane_on

HERE, GONE = TopicPartition(CHANNEL.topic, 0), TopicPartition(CHANNEL.topic, 1)


class QuietConsumer:
    """A consumer of an empty topic."""

    def __init__(self):
        self._woken = asyncio.Event()

    def wake(self):
        self._woken.set()

    def pause(self, _):
        """Do nothing."""

    resume = pause

    def seek(self, _, offset):
        """Do nothing."""

    async def beginning_offsets(self, partitions):
        return dict.fromkeys(partitions, 0)

    end_offsets = beginning_offsets

    async def getmany(self, **_):
        """Wait for an assignment without limit, as aiokafka does when its own task has ended, or refuse to."""
        if self._woken.is_set():
            raise asyncio.CancelledError
        await self._woken.wait()
        return {}


def figures(partition):
    labels = {"topic": partition.topic, "partition": str(partition.partition)}
    names = ("lag_records", "dirty_seconds", "rows_held")
    return [metrics.REGISTRY.get_sample_value(f"watchtime_sinks_{name}", labels) for name in names]


async def test_a_partition_that_another_worker_took_leaves_no_figures_behind():
    lanes = {partition: lane_on(MemoryStore(), shard=partition.partition) for partition in (HERE, GONE)}
    group = Group(Settings(lake="file:///lake"), "tables", [CHANNEL.topic], lanes.__getitem__)
    group._consumer = QuietConsumer()
    group.assign(lanes)
    for lane in lanes.values():
        lane.observe(7)

    await group._let_go(flush=False, within_s=1)
    group.assign([HERE])

    assert (figures(HERE), figures(GONE)) == ([7, 0, 0], [None, None, None])
    await group._let_go(flush=False, within_s=1)


@pytest.mark.parametrize("turns", range(6))
async def test_a_failure_is_raised_while_records_are_waited_for_without_limit(turns):
    """Whether the wait then lasts for ever, or ends a few turns of the loop later and can begin no more."""
    group, consumer = Group(Settings(lake="file:///lake"), "tables", [CHANNEL.topic], lambda _: None), QuietConsumer()
    group._consumer = consumer
    polling = asyncio.create_task(group._poll(asyncio.Event()))
    await asyncio.sleep(0)

    group.fail(ValueError("replaced"))
    for _ in range(turns):
        await asyncio.sleep(0)
    consumer.wake()

    with pytest.raises(ValueError, match="replaced"):
        await asyncio.wait_for(polling, 1)
