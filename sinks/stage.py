"""One sinks worker: the daily files and the raw archive, two consumer groups in one process and event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from sinks import metrics
from sinks.archive import ArchiveLane
from sinks.day_files import Destination
from sinks.group import Group
from sinks.lanes import Lane
from sinks.layout import settle_layout
from sinks.raw_objects import RawObjects
from sinks.settings import Settings
from sinks.store import Store
from sinks.worker import TableLane
from streams.brokers import Brokers
from streams.connect import client_options
from streams.contract.rows import TABLE_BY_TOPIC
from streams.contract.topics import ARCHIVE_GROUP, EVENTS, SINKS_GROUP, daily_tables
from streams.ending import StoppedError, stop_consumer, unless_stopped
from streams.topic_id import topic_ids

_READY_POLL_S: Final = 0.1
_STAGE: Final = "sinks"

log = structlog.get_logger(__name__)


class ShardCountError(Exception):
    """The daily topics do not have the same number of partitions."""


async def run_stage(settings: Settings, store: Store, stop: asyncio.Event) -> None:
    """Write files and raw objects until `stop` is set; raises what went wrong."""
    metrics.READY.labels(stage=_STAGE).set(0)
    try:
        groups = await unless_stopped(stop, _prepare(settings, store))
    except StoppedError:  # with nothing yet to be written
        return
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(group.run(stop)) for group in groups]
        tasks.create_task(_keep_ready(groups, running))


async def _prepare(settings: Settings, store: Store) -> list[Group]:
    """Check that lake and topics fit together; return the groups that write."""
    topics = [table.topic for table in daily_tables(client_table=settings.client_table)]
    ids = await topic_ids(settings.brokers, [EVENTS, *topics])
    shards = await _shards(settings.brokers, topics)
    topic_names = {topic: str(ids[topic]) for topic in topics}
    await settle_layout(store, settings.form, shards, topic_names, settings.day_rule)
    destination = Destination(store=store, form=settings.form, shards=shards, refresh_s=settings.refresh_s)

    def table_lane(partition: TopicPartition) -> Lane:
        topic_id = str(ids[partition.topic])
        return TableLane(TABLE_BY_TOPIC[partition.topic], partition.partition, topic_id, destination)

    return [
        Group(settings, SINKS_GROUP, topics, table_lane),
        Group(settings, ARCHIVE_GROUP, [EVENTS], lambda p: _archive_lane(settings, store, ids[EVENTS], p)),
    ]


def _archive_lane(settings: Settings, store: Store, topic_id: uuid.UUID, partition: TopicPartition) -> Lane:
    return ArchiveLane(RawObjects(store, EVENTS, topic_id, partition.partition), settings.refresh_s)


async def _keep_ready(groups: Iterable[Group], running: list[asyncio.Task[None]]) -> None:
    """Show whether the stage is ready, until the groups end."""
    was = False
    while not all(task.done() for task in running):
        ready = all(group.ready for group in groups)
        if ready != was:
            metrics.READY.labels(stage=_STAGE).set(ready)
            log.info("ready" if ready else "not ready: partitions are being taken")
            was = ready
        await asyncio.wait(running, timeout=_READY_POLL_S)
    metrics.READY.labels(stage=_STAGE).set(0)


async def _shards(brokers: Brokers, topics: list[str]) -> int:
    """Return the number of partitions that all daily topics have."""
    consumer = AIOKafkaConsumer(*topics, **client_options(brokers))
    await consumer.start()
    try:
        counts = {topic: len(consumer.partitions_for_topic(topic) or ()) for topic in topics}
    finally:
        await stop_consumer(consumer)
    if len(set(counts.values())) != 1:
        raise ShardCountError(f"daily topics differ in partitions: {counts}; `watchtime topics` says which are wrong")
    return next(iter(counts.values()))
