"""Owns a shard of the partials: sums shares into rows and publishes what differs, one fenced transaction at a time.

Nothing is stored: a new owner reads what is published and all shares up to the ends it finds after fencing, and only
then compares. So whatever an owner was doing when it died, the next one publishes what is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import failpoints, metrics
from streams.contract import topics
from streams.contract.days import TOTALS_DAYS, dt_of_ms, shift_dt
from streams.contract.keys import PartialKey, decode_daily_key
from streams.contract.rows import Table
from streams.restore import batches_before, committed_reader, end_offset
from streams.settings import Settings
from streams.state_records import FOLDED_KEY_PREFIX, REFOLD_KEY, Folded, Refold, Share, decode
from streams.totals import Totals
from streams.transactions import FencedProducer, Record

#: A key is published at most this often.
PUBLISH_EVERY_S: Final = 0.25
#: Rows of one transaction.
MAX_ROWS: Final = 10_000
#: Rows compared before others get their turn.
_SLICE_ROWS: Final = 1_000
_DROP_EVERY_S: Final = 3_600.0

log = structlog.get_logger(__name__)


class SummingOwner:
    """The sums of shard `q`."""

    company_s = 0.0

    def __init__(self, q: int, settings: Settings) -> None:
        self._q = q
        self._settings = settings
        self._tables = topics.daily_tables(client_table=settings.client_table)
        self._partials = TopicPartition(topics.PARTIALS, q)
        self._producer: FencedProducer | None = None
        self._totals = Totals()
        self._oldest_dt = ""
        self._publish_at = 0.0
        self._drop_at = 0.0

    async def take(self) -> int:
        """Fence, read what is published and all shares, and return the offset of the partials to read next."""
        self._producer = await FencedProducer.started(
            self._settings.brokers, f"{self._settings.group}-{topics.TOTALS_GROUP}-{self._q}"
        )
        self._totals = Totals()
        self._drop_old()
        async with committed_reader(self._settings.brokers) as reader:
            ends = {
                TopicPartition(table.topic, self._q): await end_offset(reader, TopicPartition(table.topic, self._q))
                for table in self._tables
            }
            partials_end = await end_offset(reader, self._partials)
            for table in self._tables:
                partition = TopicPartition(table.topic, self._q)
                await self._read(reader, partition, ends[partition], table)
            await self._read(reader, self._partials, partials_end, None)
        metrics.RESTORED_KEYS.labels(agent=topics.PARTIALS, partition=str(self._q)).set(len(self._totals))
        return partials_end

    async def _read(self, reader: AIOKafkaConsumer, partition: TopicPartition, end: int, table: Table | None) -> None:
        async for records in batches_before(reader, partition, end):
            for record in records:
                if table is None:
                    self._put_share(record)
                else:
                    self._put_published(table, record)
            await failpoints.reach("in-sums-restore")

    def _put_share(self, record: Any) -> None:  # noqa: ANN401 (aiokafka ships no types)
        if record.key == REFOLD_KEY:
            self._totals.put_refold(decode(Refold, record.value))
            return
        if record.key.startswith(FOLDED_KEY_PREFIX):
            p = int(record.key.removeprefix(FOLDED_KEY_PREFIX))
            self._totals.put_folded(p, decode(Folded, record.value).generation)
            return
        key = PartialKey.decode(record.key)
        if key.dt < self._oldest_dt:
            return
        if record.value is None:
            self._totals.drop_share(key)
        else:
            self._totals.put_share(key, decode(Share, record.value))

    def _put_published(self, table: Table, record: Any) -> None:  # noqa: ANN401 (aiokafka ships no types)
        try:
            dt, row_id = decode_daily_key(record.key or b"")
        except ValueError as error:
            self._tell_unreadable(table, record, error)
            return
        if dt < self._oldest_dt:
            return
        try:
            if record.value is not None:
                generation = topics.generation_of(record.headers)
                self._totals.put_published(table, dt, row_id, orjson.loads(record.value), generation)
                return
        except (AttributeError, TypeError, ValueError) as error:
            # Somebody else's. As if no row were published, so that the right one is published over it.
            self._tell_unreadable(table, record, error)
        self._totals.drop_published(table, dt, row_id)

    def _tell_unreadable(self, table: Table, record: Any, error: Exception) -> None:  # noqa: ANN401 (see above)
        metrics.UNREADABLE_ROWS.labels(table=table.name).inc()
        log.error("a record of a daily topic is no row", topic=table.topic, offset=record.offset, error=repr(error))

    async def process(self, records: Sequence[Any]) -> None:
        """Take shares, and publish when it is time."""
        for record in records:
            self._put_share(record)
        if time.monotonic() >= self._publish_at:
            await self._publish()

    async def _publish(self) -> None:
        self._publish_at = time.monotonic() + PUBLISH_EVERY_S
        self._drop_old()
        writes: dict[TopicPartition, list[Record]] = {}
        while self._totals.changed_count:
            for row in self._totals.take_differences(_SLICE_ROWS):
                headers = [(topics.GENERATION_HEADER, str(row.generation).encode())] if row.generation else None
                records = writes.setdefault(TopicPartition(row.table.topic, self._q), [])
                records.append(Record(row.key, row.value, headers))
                metrics.ROWS_PUBLISHED.labels(table=row.table.name).inc()
            if sum(map(len, writes.values())) >= MAX_ROWS:
                await self._write(writes)
                writes = {}
            # After a restore every row is looked at once: heartbeats and other partitions get their turn.
            await asyncio.sleep(0)
        if writes:
            await self._write(writes)

    async def _write(self, writes: dict[TopicPartition, list[Record]]) -> None:
        assert self._producer is not None  # noqa: S101 (taken before it is given work)
        started = time.monotonic()
        await self._producer.write(writes)
        metrics.TRANSACTIONS.labels(agent=topics.PARTIALS).inc()
        metrics.TRANSACTION_SECONDS.labels(agent=topics.PARTIALS).observe(time.monotonic() - started)

    def _drop_old(self) -> None:
        """Once an hour by the machine's clock, let days go about which nothing changes any more."""
        if time.monotonic() >= self._drop_at:
            self._oldest_dt = shift_dt(dt_of_ms(int(time.time() * 1_000)), -TOTALS_DAYS)
            self._totals.drop_days_before(self._oldest_dt)
            self._drop_at = time.monotonic() + _DROP_EVERY_S

    def due_in(self) -> float | None:
        """Return the seconds until rows have to be published; None when none changed."""
        return self._publish_at - time.monotonic() if self._totals.changed_count else None

    @property
    def settled(self) -> bool:
        """Whether everything taken is published."""
        return self._totals.settled

    async def release(self) -> None:
        """Close the producer and drop the memory: a new owner reads it all again."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
        self._totals = Totals()
