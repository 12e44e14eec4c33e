"""What forgetting a client writes into topics: the control record, and tombstones of what no fold holds any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from sinks.reconcile_settle import Log
from streams.brokers import Address
from streams.connect import client_options
from streams.contract.keys import PartialKey, decode_daily_key, partition_of
from streams.contract.rows import CLIENT
from streams.contract.topics import CONTROL_FORGET, CONTROL_HEADER, EVENTS, PARTIALS, STATE
from streams.restore import committed_reader, read_compacted
from streams.state_records import Share, decode, is_piece_key


@dataclass(frozen=True)
class ControlRecord:
    """Where the control record stands."""

    partition: int
    offset: int


async def send_control(brokers: Address, client_id: str) -> ControlRecord:
    """Append the record that makes the holder of the client's partition drop its state."""
    key = client_id.encode()
    async with _producer(brokers) as producer:
        partition = partition_of(key, len(await producer.partitions_for(EVENTS)))
        sent = await producer.send_and_wait(
            EVENTS, b"", key=key, partition=partition, headers=[(CONTROL_HEADER, CONTROL_FORGET)]
        )
    return ControlRecord(partition, int(sent.offset))


async def bury_old_shares(brokers: Address, client_id: str, control: ControlRecord) -> int:
    """Write tombstones of the client's shares of days that no fold holds any more; return how many.

    The fold has withdrawn those of the days it holds. Nobody writes the others again: no record reaches their days.
    """
    found = [
        (partition, key)
        for topic in (PARTIALS, STATE)
        for partition, values in (await last_values(brokers, topic)).items()
        for key, value in values.items()
        if _is_old_share(key, value, client_id, control)
    ]
    await _bury(brokers, found)
    return len(found)


def _is_old_share(key: bytes, value: bytes, client_id: str, control: ControlRecord) -> bool:
    place = _share_of(client_id, key)
    # A share that goes further is of a client that has come back.
    return place is not None and (place.p != control.partition or decode(Share, value).offset <= control.offset)


def _share_of(client_id: str, key: bytes) -> PartialKey | None:
    """Return the key of a share of the client's row, None for any other key of state or partials."""
    if key.startswith(b"_") or is_piece_key(key):
        return None
    place = PartialKey.decode(key)
    return place if (place.kind, place.row_id) == (CLIENT.kind, client_id) else None


async def bury_old_rows(brokers: Address, client_id: str, *, summed: bool) -> tuple[int, set[str]]:
    """Write tombstones of the client's rows that sums do not look after; return how many, and the days that stay.

    `summed`: whether the sums keep the client table; then they look after rows that have a share, and one that has it
    still is of a client that has come back. Of old days, and of those that a refold left alone, there is no share.
    """
    buried, kept = [], set()
    found = await last_values(brokers, CLIENT.topic)
    # After the rows: the share of a row is written before it.
    shared = await _shared_days(brokers, client_id) if summed else set()
    for partition, rows in found.items():
        for key in rows:
            try:
                dt, row_id = decode_daily_key(key)
            except ValueError:
                continue  # no row, and told by those who read rows
            if row_id != client_id:
                continue
            if dt in shared:
                kept.add(dt)
            else:
                buried.append((partition, key))
    await _bury(brokers, buried)
    return len(buried), kept


async def _shared_days(brokers: Address, client_id: str) -> set[str]:
    """Return the days of which there is a share of the client's row."""
    found = await last_values(brokers, PARTIALS)
    return {place.dt for values in found.values() for key in values if (place := _share_of(client_id, key))}


async def last_values(brokers: Address, topic: str) -> dict[TopicPartition, dict[bytes, bytes]]:
    """Return the last value of each key of a compacted topic, by partition; nothing when there is no such topic."""
    async with Log(brokers) as log:
        ends = await log.ends(topic)
    if not ends:
        return {}
    async with committed_reader(brokers) as reader:
        return {partition: await read_compacted(reader, partition, end) for partition, end in ends.items()}


async def _bury(brokers: Address, keys: list[tuple[TopicPartition, bytes]]) -> None:
    if not keys:
        return
    async with _producer(brokers) as producer:
        sent = [
            await producer.send(partition.topic, None, key=key, partition=partition.partition)
            for partition, key in keys
        ]
        for acknowledged in sent:
            await acknowledged


def _producer(brokers: Address) -> Any:  # noqa: ANN401 - aiokafka ships no types
    return AIOKafkaProducer(**client_options(brokers), acks="all", enable_idempotence=True)
