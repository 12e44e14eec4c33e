"""Reads a partition of a compacted topic from its start to its end, as a restarting owner must."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import failpoints
from streams.brokers import Address
from streams.connect import client_options
from streams.contract.topics import MAX_MESSAGE_BYTES
from streams.ending import check_goes_on, stop_consumer

_MAX_RECORDS: Final = 50_000


@asynccontextmanager
async def committed_reader(brokers: Address) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer without a group that sees committed records only."""
    consumer = AIOKafkaConsumer(
        **client_options(brokers),
        isolation_level="read_committed",
        auto_offset_reset="none",
        enable_auto_commit=False,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await stop_consumer(consumer)


async def end_offset(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    """Return the offset behind the last committed record (or transaction marker) of a partition."""
    return int((await consumer.end_offsets([partition]))[partition])


async def begin_offset(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    """Return the offset of the oldest record of a partition."""
    return int((await consumer.beginning_offsets([partition]))[partition])


async def batches_before(
    consumer: AIOKafkaConsumer, partition: TopicPartition, end: int
) -> AsyncIterator[Sequence[Any]]:
    """Give the records of a partition before `end`, a fetch at a time."""
    consumer.assign([partition])
    consumer.seek(partition, await begin_offset(consumer, partition))
    # The last offsets before the end may be transaction markers, which no record shows.
    while await consumer.position(partition) < end:
        fetched = await consumer.getmany(partition, timeout_ms=1_000, max_records=_MAX_RECORDS)
        if not fetched:
            check_goes_on(consumer)
        yield fetched.get(partition, ())


async def read_compacted(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    end: int,
    *,
    old_before_ms: int = 0,
    old: set[bytes] | None = None,
) -> dict[bytes, bytes]:
    """Return the last value of each key before `end`; keys that were taken away are left out.

    `old` takes up the keys whose last record was appended before `old_before_ms`.
    """
    latest: dict[bytes, bytes] = {}
    async for records in batches_before(consumer, partition, end):
        for record in records:
            if record.value is None:
                latest.pop(record.key, None)
            else:
                latest[record.key] = record.value
            if old is not None:
                if record.timestamp < old_before_ms:
                    old.add(record.key)
                elif old:
                    old.discard(record.key)
        await failpoints.reach("in-restore")
    return latest
