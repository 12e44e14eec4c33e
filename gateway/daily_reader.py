"""Reads the daily topics into memory while somebody looks, and only then.

Nobody looks most of the time, and the gateway's one thread has events to take: so the topics are read from their
start when the first viewer comes, followed as long as there is one, and let go some minutes after the last. Reading
pauses between fetches, so that it never takes more than a part of the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from aiohttp import web
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from gateway.held_days import TABLES, HeldDays
from gateway.pipeline_health import HealthReader, Rate, partitions_of
from streams.brokers import Address, BrokersError
from streams.connect import client_options
from streams.contract.topics import EVENTS, REJECTED, generation_of
from streams.ending import check_goes_on, end, stop_consumer

#: How long the topics are followed after the last look, seconds.
FOLLOW_S: Final = 300.0
_DAILY: Final = [table.topic for table in TABLES]
_RETRY_S: Final = 2.0
_HEALTH_S: Final = 2.0
_FETCH_MS: Final = 250
_FETCH_RECORDS: Final = 1_000
_FETCH_BYTES: Final = 256 * 1024
#: Pause after a fetch, in times of what it took: reading takes a third of the thread at first, then a tenth.
_PAUSE_AT_FIRST: Final = 2.0
_PAUSE: Final = 9.0

log = structlog.get_logger(__name__)


class Reader:
    """What is held and known, without a source; as it stands the in-memory twin for tests."""

    def __init__(self, rows: int) -> None:
        self.days: Final = HeldDays(rows)
        #: Set while all that was in the topics at the start has been read.
        self.caught_up: Final = asyncio.Event()
        #: What is known of the pipeline.
        self.health: dict[str, Any] = {}
        #: Part of the topics that has been read, 0 to 1.
        self.progress = 0.0

    def look(self) -> None:
        """Say that somebody looks."""

    async def ready(self, within_s: float) -> bool:
        """Return whether all rows are here, after waiting a little for them."""
        self.look()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.caught_up.wait(), within_s)
        return self.caught_up.is_set()

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Do nothing while the application runs."""
        yield


class DailyReader(Reader):
    """Keeps what is held up to date while somebody looks."""

    def __init__(self, brokers: Address, group: str, rows: int) -> None:
        super().__init__(rows)
        self._brokers = brokers
        self._group = group
        self._looked_s = float("-inf")
        self._looked = asyncio.Event()
        #: Records since the start of the topics that hold no row.
        self._unreadable = 0

    def look(self) -> None:
        """Say that somebody looks."""
        self._looked_s = time.monotonic()
        self._looked.set()

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Read while the application runs and somebody looks."""
        task = asyncio.create_task(self._keep())
        yield
        await end(task)

    async def _keep(self) -> None:
        while True:
            self._looked.clear()
            if not self._wanted():
                await self._looked.wait()
            try:
                await self._follow()
            except (BrokersError, KafkaError, OSError, TimeoutError) as error:
                log.warning("daily topics cannot be read, trying again", why=repr(error))
                await asyncio.sleep(_RETRY_S)
            except Exception:
                log.exception("daily topics cannot be read, trying again")
                await asyncio.sleep(_RETRY_S)
            finally:
                self.caught_up.clear()
                self.days.clear()
                self.health = {}

    def _wanted(self) -> bool:
        return time.monotonic() - self._looked_s < FOLLOW_S

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            **client_options(self._brokers),
            client_id="watchtime-gateway-live",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        admin = AIOKafkaAdminClient(**client_options(self._brokers), client_id="watchtime-gateway-live")
        health: asyncio.Task[None] | None = None
        try:
            await consumer.start()
            await admin.start()
            partitions = await partitions_of(admin, [*_DAILY, EVENTS, REJECTED])
            reader = HealthReader(admin, consumer, self._group, partitions)
            daily = [partition for topic in _DAILY for partition in partitions[topic]]
            consumer.assign(daily)
            await consumer.seek_to_beginning(*daily)
            health = asyncio.create_task(self._watch_health(reader))
            await self._read(consumer)
        finally:
            if health is not None:
                await end(health)
            await admin.close()
            await stop_consumer(consumer)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        whole = sum(ends.values()) - sum(begins.values())
        self._unreadable = 0
        while self._wanted():
            fetched = await consumer.getmany(timeout_ms=_FETCH_MS, max_records=_FETCH_RECORDS)
            if not fetched:
                check_goes_on(consumer)
            started_s = time.perf_counter()
            for at, records in fetched.items():
                for record in records:
                    try:
                        generation = generation_of(record.headers)
                        if not self.days.apply(at.topic, record.key, record.value, generation):
                            return  # begin anew
                    except ValueError as error:
                        self._pass_over(record, error)
            if not self.caught_up.is_set():
                left = sum([max(ends[at] - await consumer.position(at), 0) for at in partitions])
                self.progress = 1.0 - left / whole if whole else 1.0
                if left == 0:
                    self.caught_up.set()
            if fetched:
                pause = _PAUSE if self.caught_up.is_set() else _PAUSE_AT_FIRST
                await asyncio.sleep((time.perf_counter() - started_s) * pause)

    def _pass_over(self, record: ConsumerRecord, error: ValueError) -> None:
        """Count a record without a row, and tell of the first: the others are likely to be of the same making."""
        self._unreadable += 1
        if self._unreadable == 1:
            place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.error(
                "a daily topic holds a record that is no row; further ones are only counted", **place, why=str(error)
            )

    async def _watch_health(self, reader: HealthReader) -> None:
        """Look again and again; what the broker does not tell is shown as unknown."""
        rate = Rate()
        while True:
            try:
                await reader.look()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("the pipeline's progress is not known", why=repr(error))
            except Exception:
                log.exception("the pipeline's progress is not known")
            if self.caught_up.is_set():
                reader.health.rate = rate.update(time.monotonic(), self.days.counted())
            reader.health.unreadable = self._unreadable
            self.health = reader.told()
            await asyncio.sleep(_HEALTH_S)
