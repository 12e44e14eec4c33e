"""Owns a raw partition: folds its records into the partition's state, one fenced transaction for each micro-batch."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import metrics
from streams.clients import REFRESH_HOURS
from streams.connect import client_options
from streams.contract import topics
from streams.contract.days import HOUR_MS
from streams.ending import stop_consumer
from streams.fold_settings import FoldSettings
from streams.partition_state import Changes, PartitionState
from streams.restore import begin_offset, committed_reader, end_offset, read_compacted
from streams.settings import Settings
from streams.state_records import MARKER_KEY, is_piece_key
from streams.transactions import FencedProducer, Record

#: Bounds of one micro-batch: changed keys and seconds of folding before it is written (a fetch bounds the bytes).
MAX_PENDING: Final = 12_000
MAX_FOLD_S: Final = 0.5
#: The bounds are looked at each time that so many events are folded: to look takes as long as to fold half an event.
LOOK_EVERY_EVENTS: Final = 200
#: How long folding may keep the event loop, and with it the heartbeats, to itself.
_SLICE_S: Final = 0.05
#: An idle partition writes its marker this often, so that the topic's retention does not take it.
_HOURLY_S: Final = 3_600.0


class StateLostError(Exception):
    """The state of a partition that was folded before is gone."""


class RawGapError(Exception):
    """The raw topic does not hold the record that has to be folded next."""


class FoldingOwner:
    """The fold of raw partition `p`."""

    #: A small batch waits this long for company.
    company_s = 0.1

    def __init__(self, p: int, settings: Settings, fold_settings: FoldSettings) -> None:
        self._p = p
        self._settings = settings
        self._fold_settings = fold_settings
        self._raw = TopicPartition(topics.EVENTS, p)
        self._state_partition = TopicPartition(topics.STATE, p)
        self._producer: FencedProducer | None = None
        self._state: PartitionState | None = None
        #: End of the state partition right behind this worker's last transaction; -1: not known.
        self._state_end = -1
        #: Whether the partition has no marker yet; it may have an end all the same, that of a transaction that failed.
        self._is_new = False
        self._hourly_at = 0.0
        #: How many given-up sequence numbers the metric has.
        self._given_up = 0
        self._invalid = 0

    async def take(self) -> int:
        """Fence, restore what is not in memory, and return the raw offset to read next."""
        self._producer = await FencedProducer.started(self._settings.brokers, f"{self._settings.group}-{self._p}")
        async with committed_reader(self._settings.brokers) as reader:
            end = await end_offset(reader, self._state_partition)
            if self._state is None or end != self._state_end:
                self._state = await self._restored(reader, end)
                self._state_end = end
                self._given_up = self._invalid = 0
            await self._check_raw_extent(reader, self._state.offset + 1)
        if self._is_new:
            # A new partition gets its marker before anything else may tell that it was folded.
            await self._commit()
            self._is_new = False
        # A worker that never lives for an hour has to tidy up too.
        self._hourly_at = 0.0
        return self._state.offset + 1

    async def _restored(self, reader: AIOKafkaConsumer, end: int) -> PartitionState:
        old: set[bytes] = set()
        old_before_ms = int(time.time() * 1_000) - REFRESH_HOURS * HOUR_MS
        stored = await read_compacted(reader, self._state_partition, end, old_before_ms=old_before_ms, old=old)
        metrics.RESTORED_KEYS.labels(agent=topics.EVENTS, partition=str(self._p)).set(len(stored))
        self._is_new = MARKER_KEY not in stored
        if not self._is_new:
            state = await asyncio.to_thread(PartitionState.restored, self._p, self._fold_settings, stored)
            state.clients.write_again(filter(is_piece_key, old & stored.keys()))
            return state
        if stored or await self._was_folded_before():
            raise StateLostError(
                f"partition {self._p} of {topics.STATE} has no marker although the partition was folded before: "
                "its state was lost; `watchtime refold` folds the raw topic again"
            )
        state = PartitionState(self._p, self._fold_settings)
        state.offset = await begin_offset(reader, self._raw) - 1
        return state

    async def _was_folded_before(self) -> bool:
        """Return whether the consumer group has an offset for this partition."""
        group = f"{self._settings.group}-{topics.PARTIALS_GROUP}"
        consumer = AIOKafkaConsumer(**client_options(self._settings.brokers), group_id=group, enable_auto_commit=False)
        consumer.assign([self._raw])
        await consumer.start()
        try:
            return await consumer.committed(self._raw) is not None
        finally:
            await stop_consumer(consumer)

    async def _check_raw_extent(self, reader: AIOKafkaConsumer, next_offset: int) -> None:
        begin, end = await begin_offset(reader, self._raw), await end_offset(reader, self._raw)
        if not begin <= next_offset <= end:
            raise RawGapError(
                f"partition {self._p} of {topics.EVENTS} has to be folded from offset {next_offset}, "
                f"but holds {begin} to {end}: records were deleted before they were folded, or the topic was "
                "made anew; `watchtime refold` starts again from what is there"
            )

    async def process(self, records: Sequence[Any]) -> None:
        """Fold records and write what changed, in as many transactions as the bounds ask for."""
        assert self._state is not None  # noqa: S101 (taken before it is given work)
        state, events, look_at = self._state, 0, LOOK_EVERY_EVENTS
        started = slice_started = time.monotonic()
        for record in records:
            events += self._fold(state, record)
            if events < look_at:
                continue
            look_at = events + LOOK_EVERY_EVENTS
            now = time.monotonic()
            if state.pending >= MAX_PENDING or now - started >= MAX_FOLD_S:
                await self._commit()
                started = slice_started = time.monotonic()
            elif now - slice_started >= _SLICE_S:
                await asyncio.sleep(0)
                slice_started = time.monotonic()
        await self._commit()
        metrics.EVENTS.inc(events)
        metrics.RECORDS.inc(len(records))

    @staticmethod
    def _fold(state: PartitionState, record: Any) -> int:  # noqa: ANN401 (aiokafka ships no types)
        if record.headers and topics.is_forget(record.headers):
            state.forget(record.offset, record.timestamp, (record.key or b"").decode(errors="replace"))
            return 0
        return state.fold(record.offset, record.timestamp, record.value or b"")

    async def _commit(self) -> None:
        """Write one transaction: changed partials and state, the marker last."""
        assert self._state is not None  # noqa: S101 (see process)
        assert self._producer is not None  # noqa: S101
        started = time.monotonic()
        self._state_end = -1
        self._tidy(self._state)
        last = await self._producer.write(self._writes(self._state.take_changes()))
        marker_offset = last[self._state_partition]
        # Behind the marker comes the transaction's own end marker.
        self._state_end = marker_offset + 2 if marker_offset >= 0 else -1
        self._measure(self._state)
        metrics.TRANSACTIONS.labels(agent=topics.EVENTS).inc()
        metrics.TRANSACTION_SECONDS.labels(agent=topics.EVENTS).observe(time.monotonic() - started)

    def _writes(self, changes: Changes) -> dict[TopicPartition, list[Record]]:
        writes = {
            TopicPartition(topics.PARTIALS, shard): [Record(key, value) for key, value in partials]
            for shard, partials in changes.partials.items()
        }
        if changes.rejected:
            writes[TopicPartition(topics.REJECTED, 0)] = [Record(None, value) for value in changes.rejected]
        writes[self._state_partition] = [Record(key, value) for key, value in changes.state]
        return writes

    def _tidy(self, state: PartitionState) -> None:
        """Once an hour: let old days and departed clients go, and keep the pieces of the others young."""
        if self.due_in() <= 0:
            state.drop_old()
            state.clients.refresh(int(time.time() * 1_000) // HOUR_MS)
            self._hourly_at = time.monotonic() + _HOURLY_S

    def _measure(self, state: PartitionState) -> None:
        metrics.CLIENTS.labels(partition=str(self._p)).set(len(state.clients))
        metrics.GIVEN_UP.inc(state.clients.dedupe.given_up - self._given_up)
        self._given_up = state.clients.dedupe.given_up
        metrics.INVALID.inc(state.rejects.count - self._invalid)
        self._invalid = state.rejects.count

    def due_in(self) -> float:
        """Return the seconds until the marker has to be written again."""
        return self._hourly_at - time.monotonic()

    @property
    def settled(self) -> bool:
        """Always: a batch is processed when its transaction is committed."""
        return True

    async def release(self) -> None:
        """Close the producer; the memory stays."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
        with contextlib.suppress(KeyError):  # let go of before anything was told
            metrics.CLIENTS.remove(str(self._p))
