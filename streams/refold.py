"""Prepares a refold: state and partials made anew, so that workers fold the raw topic again from its start.

The way out when state was lost or is wrong, or when a setting that numbers depend on has to change. No worker may
run meanwhile. Killed half-way it leaves a stack that refuses to fold and names `watchtime refold`: run it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.brokers import Address
from streams.connect import client_options
from streams.contract import topics
from streams.contract.days import dt_of_ms, shift_dt
from streams.contract.rows import TABLE_BY_TOPIC
from streams.ending import stop_consumer
from streams.fold_settings import FoldSettings, Generation
from streams.groundwork import fold_settings_of, lay
from streams.group_offsets import group_offsets
from streams.provision import Found, existing_topics, refuse_differences
from streams.restore import batches_before, begin_offset, committed_reader, end_offset, read_compacted
from streams.settings import Settings
from streams.state_records import (
    FOLDED_KEY_PREFIX,
    MARKER_KEY,
    REFOLD_KEY,
    VERSION,
    Folded,
    Marker,
    Refold,
    decode_for_refold,
    encode,
)
from streams.transactions import FencedProducer, Record

#: A member that did not say goodbye keeps its group from being changed for one session timeout.
_GROUP_WAIT_S: Final = 30.0
_RETRY_S: Final = 0.5
_DROPPED: Final = (topics.STATE, topics.PARTIALS)
#: A record that is gone may have counted as late as the day after its delivery (the viewer's own day), so the second
#: day after it is the first whole one.
_INCOMPLETE_DAYS: Final = 2
#: Begins what stands beside the group's offsets while a refold is under way.
_LEFT: Final = "refold, first_dt="


class RefoldError(Exception):
    """A refold could not be prepared."""


@dataclass(frozen=True)
class RefoldPlan:
    """What a refold will do: raw offsets by partition, the first day it recomputes, and its number."""

    begins: dict[int, int]
    ends: dict[int, int]
    first_dt: str
    generation: int


async def prepare_refold(settings: Settings) -> RefoldPlan:
    """Drop state and partials and mark every partition for folding from its first raw offset."""
    fold_settings = await fold_settings_of(settings)
    plan = await _plan(settings, fold_settings.topic_id.hex)
    # Before anything is dropped: it fails where a worker still runs, and remembers what only the markers knew.
    await _reset_group(settings, plan)
    await _delete_topics(settings.brokers, _DROPPED)
    await lay(settings)
    # The sums learn of the refold before any partition can be folded.
    for shard in range(settings.shards):
        await _announce(settings, shard, plan)
    for p in range(settings.partitions):
        await _mark(settings, fold_settings, p, plan)
    return plan


async def _plan(settings: Settings, topic_id: str) -> RefoldPlan:
    wanted = topics.topics(settings.partitions, settings.shards, client_table=settings.client_table)
    found = await existing_topics(settings.brokers, wanted)
    # Nothing is dropped under settings that do not fit the topics that stay.
    refuse_differences((topic for topic in wanted if topic.name not in _DROPPED), found)
    begins, ends, first_ms = {}, {}, 0
    async with committed_reader(settings.brokers) as reader:
        markers, left = await _markers(reader, found, topic_id), await _left(settings)
        # The first records of a topic that was made anew are not the first that were counted.
        anew = any(marker.topic_id != topic_id for marker in markers.values())
        for p in range(settings.partitions):
            raw = TopicPartition(topics.EVENTS, p)
            begins[p], ends[p] = await begin_offset(reader, raw), await end_offset(reader, raw)
            # Of what the note of a killed refold knew, nothing has gone since.
            if (begins[p] or anew) and left.get(p, (-1, ""))[0] != begins[p]:
                oldest_ms = await _oldest_ms(reader, raw, begins[p], ends[p])
                first_ms = max(first_ms, newest_lost_ms(begins[p], oldest_ms, markers.get(p), anew=anew))
        generation = max(
            [await _published_generation(reader, found), *(marker.generation for marker in markers.values())]
        )
    # A raw topic that still holds its first records holds every day whole, but for those that an earlier refold left.
    first_dts = ["", *(first_dt for _, first_dt in left.values()), *(marker.first_dt for marker in markers.values())]
    if first_ms:
        first_dts.append(shift_dt(dt_of_ms(first_ms), _INCOMPLETE_DAYS))
    return RefoldPlan(begins, ends, max(first_dts), generation + 1)


async def _oldest_ms(reader: AIOKafkaConsumer, raw: TopicPartition, begin: int, end: int) -> int:
    """Return the broker time of the oldest raw record: what is gone is older. Of an empty partition: now.

    The topic's retention would often tell an older time, but it may have been another one when records went.
    """
    if begin == end:
        return int(time.time() * 1_000)
    reader.assign([raw])
    reader.seek(raw, begin)
    record = await reader.getone(raw)
    return int(record.timestamp)


def newest_lost_ms(begin: int, oldest_ms: int, marker: Marker | None, *, anew: bool = False) -> int:
    """Return a broker time, epoch ms, that no counted record is newer than which left a raw partition; 0: see below.

    `oldest_ms`: of the oldest record that is still there, `begin` its offset. What the marker says was folded last is
    often far older: a partition that nobody wrote to for weeks is empty, and all days since then are whole. After a
    refold it says nothing (0) until a record is folded; what was gone by then is before the marker's first day.
    Until it has reached the end that it had at that refold, rows hold more than it has folded; and its offsets are not
    those of a topic that was made `anew`.
    """
    if marker is None or (anew and begin):
        return oldest_ms
    knows = marker.offset + 1 >= max(begin, marker.refold_end) and (marker.log_ms or marker.generation)
    return min(oldest_ms, marker.log_ms) if knows else oldest_ms


async def _markers(reader: AIOKafkaConsumer, found: Mapping[str, Found], topic_id: str) -> dict[int, Marker]:
    """Return the markers that are there by raw partition; they may be lost, and they may be what is wrong."""
    markers: dict[int, Marker] = {}
    for p in range(found[topics.STATE].partitions if topics.STATE in found else 0):
        state = TopicPartition(topics.STATE, p)
        stored = await read_compacted(reader, state, await end_offset(reader, state))
        if MARKER_KEY in stored:
            markers[p] = decode_for_refold(stored[MARKER_KEY], topic_id)
    return markers


async def _published_generation(reader: AIOKafkaConsumer, found: Mapping[str, Found]) -> int:
    """Return the greatest generation that published rows name; they may be lost."""
    newest = 0
    for name in TABLE_BY_TOPIC.keys() & found.keys():
        for number in range(found[name].partitions):
            newest = max(newest, await _generation_in(reader, TopicPartition(name, number)))
    return newest


async def _generation_in(reader: AIOKafkaConsumer, partition: TopicPartition) -> int:
    newest = 0
    async for records in batches_before(reader, partition, await end_offset(reader, partition)):
        for record in records:
            with contextlib.suppress(ValueError):  # somebody else's record; who reads rows tells of it
                newest = max(newest, topics.generation_of(record.headers))
    return newest


async def _delete_topics(brokers: Address, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(**client_options(brokers))
    await admin.start()
    try:
        response = await admin.delete_topics([name for name in names if name in await admin.list_topics()])
        failed = [(name, code) for name, code in response.topic_error_codes if code]
        if failed:
            raise RefoldError(f"the broker did not delete {failed}: stop every stream worker and try again")
        deadline = time.monotonic() + _GROUP_WAIT_S
        while set(names) & set(await admin.list_topics()):
            if time.monotonic() > deadline:
                raise RefoldError(f"{' and '.join(names)} are still there {_GROUP_WAIT_S:.0f} s after their deletion")
            await asyncio.sleep(_RETRY_S)
    finally:
        await admin.close()


async def _announce(settings: Settings, shard: int, plan: RefoldPlan) -> None:
    """Tell the sums of a shard to wait for every raw partition; one that has nothing to fold is there already."""
    refold = Refold(VERSION, plan.generation, settings.partitions, plan.first_dt)
    records = [Record(REFOLD_KEY, encode(refold))]
    records += [
        Record(FOLDED_KEY_PREFIX + str(p).encode(), encode(Folded(VERSION, plan.generation)))
        for p in range(settings.partitions)
        if plan.begins[p] == plan.ends[p]
    ]
    transactional_id = f"{settings.group}-{topics.TOTALS_GROUP}-{shard}"
    await _write(settings, transactional_id, TopicPartition(topics.PARTIALS, shard), records)


async def _mark(settings: Settings, fold_settings: FoldSettings, p: int, plan: RefoldPlan) -> None:
    generation = Generation(number=plan.generation, first_dt=plan.first_dt, end=plan.ends[p])
    marker = fold_settings.marker(plan.begins[p] - 1, 0, generation)
    state = TopicPartition(topics.STATE, p)
    await _write(settings, f"{settings.group}-{p}", state, [Record(MARKER_KEY, encode(marker))])


async def _write(settings: Settings, transactional_id: str, partition: TopicPartition, records: list[Record]) -> None:
    producer = await FencedProducer.started(settings.brokers, transactional_id)
    try:
        await producer.write({partition: records})
    finally:
        await producer.stop()


def _group(settings: Settings) -> str:
    return f"{settings.group}-{topics.PARTIALS_GROUP}"


async def _left(settings: Settings) -> dict[int, tuple[int, str]]:
    """Return what `_reset_group` left of a refold that was killed: by raw partition its begin, and the first day."""
    admin = AIOKafkaAdminClient(**client_options(settings.brokers))
    await admin.start()
    try:
        offsets = await group_offsets(admin, _group(settings), within_s=_GROUP_WAIT_S)
    finally:
        await admin.close()
    return {
        partition.partition: (at.offset, at.metadata.removeprefix(_LEFT))
        for partition, at in offsets.items()
        if partition.topic == topics.EVENTS and at.metadata.startswith(_LEFT)
    }


async def _reset_group(settings: Settings, plan: RefoldPlan) -> None:
    """Take the offsets of the folding group back, so that no tool takes the raw records for folded.

    Beside them stands the first day, for the next refold if this one is killed before there are markers.
    """
    consumer = AIOKafkaConsumer(
        **client_options(settings.brokers),
        group_id=_group(settings),
        enable_auto_commit=False,
    )
    left = f"{_LEFT}{plan.first_dt}"
    offsets = {TopicPartition(topics.EVENTS, p): (begin, left) for p, begin in plan.begins.items()}
    consumer.assign(list(offsets))
    await consumer.start()
    try:
        deadline = time.monotonic() + _GROUP_WAIT_S
        while True:
            try:
                await consumer.commit(offsets)
            except KafkaError as error:
                if time.monotonic() > deadline:
                    raise RefoldError(
                        f"the group of the stream workers still has members ({error!r}): stop all and try again"
                    ) from error
                await asyncio.sleep(_RETRY_S)
            else:
                return
    finally:
        await stop_consumer(consumer)
