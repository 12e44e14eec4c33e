"""How far the stages behind the gateway are: rate, lag, what is not in files yet. For the live page."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError

from gateway.held_days import TABLES
from streams.contract.topics import EVENTS, PARTIALS_GROUP, REJECTED, SINKS_GROUP

_RATE_OVER_S: Final = 10.0

Partitions = dict[str, list[TopicPartition]]


@dataclass
class Health:
    """What is known; None: not known yet."""

    #: Events that the totals grew by, a second.
    rate: float | None = None
    #: Records (POSTs) that are not counted yet.
    lag: int | None = None
    #: Changed rows that are not in files yet.
    files_behind: int | None = None
    #: When the sinks were last seen to have written (epoch ms).
    files_ts: int | None = None
    #: Records in the topic of rejected events, which keeps them for 30 days.
    rejected: int | None = None
    #: Records of the daily topics that hold no row, and so are not shown.
    unreadable: int = 0


class Rate:
    """A rate over the last seconds, from a number that grows."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, now_s: float, total: int) -> float | None:
        """Note a total and return how much it grew a second; None until two were seen."""
        seen = self._seen
        if seen and total < seen[-1][1]:  # read anew
            seen.clear()
        seen.append((now_s, total))
        while len(seen) > 2 and seen[1][0] <= now_s - _RATE_OVER_S:  # noqa: PLR2004 - two make a difference
            seen.popleft()
        (then_s, before), (_, after) = seen[0], seen[-1]
        return (after - before) / (now_s - then_s) if now_s > then_s else None


class HealthReader:
    """Asks the broker, and keeps what it said."""

    def __init__(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str, partitions: Partitions
    ) -> None:
        self.health = Health()
        self._admin = admin
        self._consumer = consumer
        self._group = group
        self._all = partitions
        self._written: int | None = None

    async def look(self) -> None:
        """Ask for ends and committed offsets; KafkaError when the broker does not answer."""
        ends, done = await self._progress(PARTIALS_GROUP, [EVENTS])
        self.health.lag = _behind(ends, done)
        ends, done = await self._progress(SINKS_GROUP, [table.topic for table in TABLES])
        self.health.files_behind = _behind(ends, done)
        written = sum(done.values())
        if self._written is not None and written > self._written:
            self.health.files_ts = time.time_ns() // 1_000_000
        self._written = written
        rejected = self._partitions([REJECTED])
        ends = await self._consumer.end_offsets(rejected)
        begins = await self._consumer.beginning_offsets(rejected)
        self.health.rejected = sum(ends.values()) - sum(begins.values())

    def told(self) -> dict[str, Any]:
        """Return what is known, for JSON."""
        return asdict(self.health)

    async def _progress(self, group: str, topics: Iterable[str]) -> tuple[dict[Any, int], dict[Any, int]]:
        partitions = self._partitions(topics)
        ends: dict[Any, int] = await self._consumer.end_offsets(partitions)
        begins = await self._consumer.beginning_offsets(partitions)
        try:
            committed = await self._admin.list_consumer_group_offsets(f"{self._group}-{group}", partitions=partitions)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError):
            committed = {}  # nobody has committed anything on this broker yet
        offsets = {at: committed[at].offset if at in committed else -1 for at in partitions}
        return ends, {at: max(offset, begins[at]) for at, offset in offsets.items()}

    def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [partition for topic in topics for partition in self._all[topic]]


async def partitions_of(admin: AIOKafkaAdminClient, topics: list[str]) -> Partitions:
    """Return the partitions of topics; OSError when one does not exist."""
    found = {}
    for topic in await admin.describe_topics(topics):
        name = topic["topic"]
        found[name] = [TopicPartition(name, partition["partition"]) for partition in topic["partitions"]]
    if missing := [name for name in topics if not found.get(name)]:
        raise OSError(f"there is no topic {', '.join(missing)}: the streams stage makes them when it starts")
    return found


def _behind(ends: dict[Any, int], done: dict[Any, int]) -> int:
    return sum(max(end - done[at], 0) for at, end in ends.items())
