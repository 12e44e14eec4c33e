"""What forgetting a client writes into topics: the control record, and tombstones of what no fold holds any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.contract.days import TOTALS_DAYS, dt_of_ms, shift_dt
from streams.contract.keys import PartialKey, decode_daily_key, partition_of
from streams.contract.rows import CLIENT
from streams.contract.topics import CONTROL_FORGET, CONTROL_HEADER, EVENTS, PARTIALS, STATE
from streams.restore import begin_offset, committed_reader, end_offset, read_compacted
from streams.state_records import MARKER_KEY, Share, decode, is_piece_key


@dataclass(frozen=True)
class ControlRecord:
    """Where the control record stands."""

    partition: int
    offset: int


async def send_control(bootstrap_servers: str, client_id: str) -> ControlRecord:
    """Append the record that makes the holder of the client's partition drop its state."""
    key = client_id.encode()
    async with _producer(bootstrap_servers) as producer:
        partition = partition_of(key, len(await producer.partitions_for(EVENTS)))
        sent = await producer.send_and_wait(
            EVENTS, b"", key=key, partition=partition, headers=[(CONTROL_HEADER, CONTROL_FORGET)]
        )
    return ControlRecord(partition, int(sent.offset))


async def bury_old_shares(bootstrap_servers: str, client_id: str, control: ControlRecord) -> int:
    """Write tombstones of the client's shares of days that no fold holds any more; return how many.

    The fold has withdrawn those of the days it holds. Nobody writes the others again: no record reaches their days.
    """
    async with committed_reader(bootstrap_servers) as reader:
        found = [
            (TopicPartition(topic, partition.partition), key)
            for topic in (PARTIALS, STATE)
            for partition in await _partitions(reader, topic)
            for key, value in (await read_compacted(reader, partition, await end_offset(reader, partition))).items()
            if _is_old_share(key, value, client_id, control)
        ]
    await _bury(bootstrap_servers, found)
    return len(found)


def _is_old_share(key: bytes, value: bytes, client_id: str, control: ControlRecord) -> bool:
    if key == MARKER_KEY or key.startswith(b"_") or is_piece_key(key):
        return False
    place = PartialKey.decode(key)
    if (place.kind, place.row_id) != (CLIENT.kind, client_id):
        return False
    # A share that goes further is of a client that has come back.
    return place.p != control.partition or decode(Share, value).offset <= control.offset


async def bury_old_rows(bootstrap_servers: str, client_id: str, *, summed: bool) -> tuple[int, set[str]]:
    """Write tombstones of the client's rows that sums do not look after; return how many, and the days that stay.

    `summed`: whether the sums keep the client table; then they look after days up to their age, and a row that is
    left there is of a client that has come back.
    """
    oldest_summed = shift_dt(dt_of_ms(time.time_ns() // 1_000_000), -TOTALS_DAYS)
    stays: Callable[[str], bool] = lambda dt: summed and dt >= oldest_summed  # noqa: E731 - one line is clearer here
    buried, kept = [], set()
    async with committed_reader(bootstrap_servers) as reader:
        for partition in await _partitions(reader, CLIENT.topic):
            rows = await read_compacted(reader, partition, await end_offset(reader, partition))
            for key in rows:
                dt, row_id = decode_daily_key(key)
                if row_id != client_id:
                    continue
                if stays(dt):
                    kept.add(dt)
                else:
                    buried.append((partition, key))
    await _bury(bootstrap_servers, buried)
    return len(buried), kept


async def mentions(bootstrap_servers: str, client_id: str) -> dict[str, int]:
    """Return in how many records of each topic the client's id stands; for tests and for the curious."""
    needle, counts = client_id.encode(), {}
    async with committed_reader(bootstrap_servers) as reader:
        for topic in sorted(name for name in await reader.topics() if name.startswith("watch.")):
            counts[topic] = 0
            for partition in await _partitions(reader, topic):
                counts[topic] += await _count(reader, partition, needle)
    return counts


async def _count(reader: AIOKafkaConsumer, partition: TopicPartition, needle: bytes) -> int:
    count, end = 0, await end_offset(reader, partition)
    reader.assign([partition])
    reader.seek(partition, await begin_offset(reader, partition))
    while await reader.position(partition) < end:
        for record in (await reader.getmany(partition, timeout_ms=1_000)).get(partition, ()):
            count += needle in (record.key or b"") or needle in (record.value or b"")
    return count


async def _partitions(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    if topic not in await reader.topics():
        return []
    return [TopicPartition(topic, number) for number in sorted(reader.partitions_for_topic(topic) or ())]


async def _bury(bootstrap_servers: str, keys: list[tuple[TopicPartition, bytes]]) -> None:
    if not keys:
        return
    async with _producer(bootstrap_servers) as producer:
        sent = [
            await producer.send(partition.topic, None, key=key, partition=partition.partition)
            for partition, key in keys
        ]
        for acknowledged in sent:
            await acknowledged


def _producer(bootstrap_servers: str) -> Any:  # noqa: ANN401 - aiokafka ships no types
    return AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True)
