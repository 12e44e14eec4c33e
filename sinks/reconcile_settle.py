"""Waits until everything acknowledged so far has passed through every stage, by the offsets that stages commit.

Raw ends first; then folding and archive up to there; then the ends of the partials, and totals up to there; then the
ends of the daily topics, and the files up to there. Later events only add to what is waited for by somebody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.brokers import Address
from streams.connect import client_options
from streams.contract.topics import (
    ARCHIVE_GROUP,
    EVENTS,
    PARTIALS,
    PARTIALS_GROUP,
    SINKS_GROUP,
    TOTALS_GROUP,
    daily_tables,
)
from streams.ending import stop_consumer

_POLL_S: Final = 0.2

Offsets = dict[TopicPartition, int]
#: Told while waiting: group, topic and how many records are still to be passed.
OnWait = Callable[[str, str, int], None]


class NotSettledError(Exception):
    """A stage did not reach, in time, what was acknowledged."""


class Log:
    """Read-only view of the broker: where partitions begin and end, and what groups have committed."""

    def __init__(self, brokers: Address) -> None:
        """Prepare the clients; `async with` connects them."""
        # Ends behind open transactions: a commit is acknowledged before its markers are in the partitions, so that the
        # end which read_committed readers get to may still lie before records that a group has counted as written.
        self._consumer: Final = AIOKafkaConsumer(**client_options(brokers), isolation_level="read_uncommitted")
        self._admin: Final = AIOKafkaAdminClient(**client_options(brokers))

    async def __aenter__(self) -> Self:
        """Connect."""
        try:
            await self._consumer.start()
            await self._admin.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._close()

    async def _close(self) -> None:
        await self._admin.close()
        await stop_consumer(self._consumer)

    async def ends(self, topic: str) -> Offsets:
        """Return the end offset of each partition of a topic; nothing when there is no such topic."""
        return {p: int(end) for p, end in (await self._consumer.end_offsets(await self._partitions(topic))).items()}

    async def starts(self, topic: str) -> Offsets:
        """Return the first offset of each partition of a topic."""
        return {p: int(at) for p, at in (await self._consumer.beginning_offsets(await self._partitions(topic))).items()}

    async def since(self, topic: str, since_ms: int) -> Offsets:
        """Return the first offset that the broker took at `since_ms` or later; partitions without are left out."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(await self._partitions(topic), since_ms))
        return {partition: int(at.offset) for partition, at in found.items() if at}

    async def committed(self, group: str) -> Offsets:
        """Return what a group has committed; partitions without an offset are left out."""
        found = await _asked(lambda: self._admin.list_consumer_group_offsets(group))
        return {partition: entry.offset for partition, entry in found.items() if entry.offset >= 0}

    async def has_lines(self, partition: TopicPartition, start: int, end: int) -> bool:
        """Tell whether any record from `start` up to before `end` carries lines (a control record has none)."""
        self._consumer.assign([partition])
        self._consumer.seek(partition, start)
        while await self._consumer.position(partition) < end:
            for record in (await self._consumer.getmany(timeout_ms=500)).get(partition, []):
                if record.offset < end and record.value:
                    return True
        return False

    async def topics(self) -> set[str]:
        """Return the names of all topics."""
        return set(await _asked(self._admin.list_topics))

    async def _partitions(self, topic: str) -> list[TopicPartition]:
        described = await _asked(lambda: self._admin.describe_topics([topic]))
        return [TopicPartition(topic, entry["partition"]) for entry in described[0]["partitions"]]


async def _asked(ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - aiokafka ships no types
    """Ask, and once more when the broker has hung up: it does when a login has lasted its time."""
    try:
        return await ask()
    except KafkaConnectionError:
        return await ask()


async def settle(log: Log, group: str, deadline: float, on_wait: OnWait, *, client_table: bool) -> Offsets:
    """Wait until all that is acknowledged now is in files and archive; return the raw ends that are covered.

    `deadline` is a `time.monotonic()`; NotSettledError when it passes.
    """
    raw_ends = await log.ends(EVENTS)
    await _reach(log, f"{group}-{PARTIALS_GROUP}", raw_ends, deadline, on_wait)
    await _reach(log, f"{group}-{ARCHIVE_GROUP}", raw_ends, deadline, on_wait)
    await _reach(log, f"{group}-{TOTALS_GROUP}", await log.ends(PARTIALS), deadline, on_wait)
    daily: Offsets = {}
    for table in daily_tables(client_table=client_table):
        daily |= await log.ends(table.topic)
    await _reach(log, f"{group}-{SINKS_GROUP}", daily, deadline, on_wait)
    return raw_ends


async def _reach(log: Log, group: str, ends: Offsets, deadline: float, on_wait: OnWait) -> None:
    starts: Offsets = {}
    for topic in {partition.topic for partition in ends}:
        starts |= await log.starts(topic)
    while True:
        try:
            behind = lag(ends, starts, await log.committed(group))
        except KafkaError as error:
            if time.monotonic() > deadline:
                raise NotSettledError(f"the broker does not tell the offsets of group {group}: {error!r}") from error
            behind = {}
        else:
            if not behind:
                return
        if time.monotonic() > deadline:
            where = ", ".join(f"{p.topic}/{p.partition}: {count}" for p, count in sorted(behind.items()))
            raise NotSettledError(
                f"group {group} is behind by records ({where}): is its stage running? See `watchtime status`; "
                "with more time: --wait",
            )
        on_wait(group, ", ".join(sorted({partition.topic for partition in behind})), sum(behind.values()))
        await asyncio.sleep(_POLL_S)


def lag(ends: Mapping[TopicPartition, int], starts: Mapping[TopicPartition, int], committed: Offsets) -> Offsets:
    """Return how many records of each partition are not passed; only partitions that are behind."""
    behind = {partition: end - committed.get(partition, starts.get(partition, 0)) for partition, end in ends.items()}
    return {partition: count for partition, count in behind.items() if count > 0}
