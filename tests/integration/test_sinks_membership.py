"""What a sinks worker tells its consumer group, and when."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError

from sinks.archive import ArchiveLane
from sinks.group import Group
from sinks.raw_objects import RawObjects
from sinks.store import MemoryStore, StoreRefused
from streams.contract.topics import ARCHIVE_GROUP, EVENTS
from streams.ending import ConsumerEndedError
from streams.topic_id import topic_ids
from tests.clock import now_ms
from tests.sinks_stage import committed, line, publisher, settings, until

#: Several times as long as commits are apart.
QUIET_S = 1.5


async def archive(broker, prefix, lane=ArchiveLane):
    """Return the group that archives into a store of its own."""
    (topic_id,) = (await topic_ids(broker, [EVENTS])).values()

    def make_lane(partition):
        return lane(RawObjects(MemoryStore(), EVENTS, topic_id, partition.partition), 0.1)

    return Group(settings(broker, prefix), ARCHIVE_GROUP, [EVENTS], make_lane)


async def test_between_two_assignments_nothing_is_committed(fresh_topics, group_prefix, monkeypatch):
    """A commit that is refused makes aiokafka join once more: one every 0.3 s would keep a slow join from ending."""
    broker = await fresh_topics(partitions=1)
    stop, tries = asyncio.Event(), 0

    async def refuse(_consumer, _offsets):
        nonlocal tries
        tries += 1
        raise CommitFailedError

    async def is_tried():
        return tries > 1

    async def is_committed():
        return await committed(broker, f"{group_prefix}-{ARCHIVE_GROUP}", EVENTS, 0) == 1

    async def is_ready():
        return group.ready

    group = await archive(broker, group_prefix)
    async with publisher(broker) as publish:
        running = asyncio.create_task(group.run(stop))
        await until(is_ready, "the group has its partition")
        monkeypatch.setattr(AIOKafkaConsumer, "commit", refuse)
        await publish.events(0, [line(1, now_ms())])
        await until(is_tried, "a commit that was refused is tried again")

        await group.revoke()
        before = tries
        await asyncio.sleep(QUIET_S)

        assert tries == before
        monkeypatch.undo()
        group.assign([TopicPartition(EVENTS, 0)])
        await until(is_committed, "after the next assignment commits go on")
        stop.set()
        await running


class RefusingLane(ArchiveLane):
    """An archive whose last object is refused."""

    async def run(self):
        await super().run()
        raise StoreRefused("no more writes")


async def test_a_stop_whose_last_writes_are_refused_is_no_clean_one(fresh_topics, group_prefix):
    broker = await fresh_topics(partitions=1)
    stop = asyncio.Event()

    async def is_ready():
        return group.ready

    group = await archive(broker, group_prefix, RefusingLane)
    running = asyncio.create_task(group.run(stop))
    await until(is_ready, "the group has its partition")
    stop.set()
    with pytest.raises(StoreRefused, match="no more writes"):
        await running


async def test_a_consumer_that_fetches_no_more_is_the_end_of_the_group(fresh_topics, group_prefix):
    """It would stay a member, give nothing for ever, and look like one that has read all."""
    broker = await fresh_topics(partitions=1)

    async def is_ready():
        return group.ready

    group = await archive(broker, group_prefix)
    running = asyncio.create_task(group.run(asyncio.Event()))
    await until(is_ready, "the group has its partition")
    group._consumer._fetcher._fetch_task.cancel()
    with pytest.raises(ConsumerEndedError, match="no task for fetches"):
        await asyncio.wait_for(running, 10)
