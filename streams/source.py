"""Reads one topic for an agent: a Faust service around a consumer of its own.

Each assigned partition has a task that fences and restores (never inside the rebalance callback, where heartbeats
stop), then fetches, hands each batch to the agent's channel and waits until it is worked through. So a partition
has one batch in flight, different partitions overlap, and a revocation waits for the batch in flight to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Final

import faust
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faust import Service

from streams import failpoints, metrics
from streams.connect import client_options
from streams.ending import check_goes_on, stop_consumer
from streams.exit import end_process
from streams.membership import member_options, refuse_replacement
from streams.owner import Owner, Work
from streams.settings import Settings

#: A fetch of fewer records than this means that the log is drained.
DRAINED_RECORDS: Final = 500
#: All of a fetch of common records: one large transaction costs less than two.
MAX_RECORDS: Final = 10_000
_POLL_MS: Final = 100
#: How often the offsets of the consumer group, which only tools read, follow the work.
_GROUP_COMMIT_S: Final = 0.5
#: How long a stop waits for the broker: less than a supervisor waits for the stop.
_LEAVE_S: Final = 1.5
#: How often the group is asked whether this worker is still in it.
_WATCH_S: Final = 1.0

log = structlog.get_logger()


class PartitionLeftError(Exception):
    """A partition is held, and nobody works on it."""


class PartitionSource(Service):
    """Owns the partitions of `topic` that the consumer group gives to this worker."""

    def __init__(  # noqa: PLR0913 (each one is named at the call)
        self,
        *,
        settings: Settings,
        topic: str,
        group: str,
        channel: faust.ChannelT[Work],
        make_owner: Callable[[int], Owner],
        readiness: metrics.Readiness,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._topic = topic
        self._group = f"{settings.group}-{group}"
        self._channel = channel
        self._make_owner = make_owner
        self._readiness = readiness
        self._owners: dict[int, Owner] = {}
        self._runners: dict[int, _Runner] = {}
        self._joined = False
        self._consumer: AIOKafkaConsumer

    async def on_start(self) -> None:
        """Join the group."""
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings.brokers),
            **member_options(self._group, self._settings.instance, self._settings.session_timeout_ms),
            rebalance_timeout_ms=self._settings.session_timeout_ms,
            # A restore reads through a consumer of its own, and a worker without a partition does not poll at all.
            max_poll_interval_ms=math.inf,
            fetch_max_wait_ms=_POLL_MS,
        )
        self._consumer.subscribe([self._topic], listener=_Listener(self))
        await self._consumer.start()

    @Service.task
    async def _watch_group(self) -> None:
        """End the process on what nobody else sees.

        An error of the group: fetches raise it, but a worker without a partition has none. A consumer that only seems
        to go on. A partition whose task was cancelled by something other than its release.
        """
        while True:
            await self.sleep(_WATCH_S)
            if self.should_stop:
                return
            try:
                self._consumer._coordinator.check_errors()  # noqa: SLF001 (aiokafka tells it nowhere else)
                check_goes_on(self._consumer)
                for runner in self._runners.values():
                    runner.check_goes_on()
            except Exception as error:  # noqa: BLE001 (whatever it is, it ends the process)
                end_process(f"this worker cannot be a member of the group {self._group}", error)

    async def on_stop(self) -> None:
        """Finish the batches in flight and leave the group."""
        await self._let_go(list(self._runners))
        with contextlib.suppress(TimeoutError):  # a broker that is away is not waited for
            async with asyncio.timeout(_LEAVE_S):
                await stop_consumer(self._consumer)

    def assign(self, partitions: Iterable[int]) -> None:
        """Start to take partitions; they stay paused until they are restored."""
        for p in partitions:
            partition = TopicPartition(self._topic, p)
            self._consumer.pause(partition)
            # A partition without a position is an error to the consumer, paused or not.
            self._consumer.seek(partition, 0)
            owner = self._owners.get(p) or self._owners.setdefault(p, self._make_owner(p))
            self._runners[p] = _Runner(self._consumer, partition, owner, self._channel, self._on_ready)
        self._joined = True
        self._on_ready()

    async def revoke(self, partitions: Iterable[int]) -> None:
        """Let go of partitions: their batches in flight end first, restores under way are given up."""
        was_joined, self._joined = self._joined, False
        if was_joined:
            refuse_replacement(self._consumer, self._group, "STREAMS_INSTANCE", self._settings.instance)
        await self._let_go(partitions)

    async def _let_go(self, partitions: Iterable[int]) -> None:
        runners = [self._runners.pop(p) for p in partitions if p in self._runners]
        self._readiness.set(self._topic, ready=False)
        await asyncio.gather(*(runner.stop() for runner in runners))

    def _on_ready(self) -> None:
        ready = all(runner.ready for runner in self._runners.values())
        self._readiness.set(self._topic, ready=ready)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Hands rebalances on. aiokafka only logs what a callback raises, so nothing may leave these methods."""

    def __init__(self, source: PartitionSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        try:
            await failpoints.reach("in-revocation")
            await self._source.revoke([partition.partition for partition in revoked])
        except Exception as error:  # noqa: BLE001 (whatever it is, it ends the process)
            end_process("letting go of partitions failed", error)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        try:
            await failpoints.reach("in-assignment")
            self._source.assign([partition.partition for partition in assigned])
        except Exception as error:  # noqa: BLE001 (whatever it is, it ends the process)
            end_process("taking partitions failed", error)


class _Runner:
    """The task of one partition from its assignment to its revocation."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        owner: Owner,
        channel: faust.ChannelT[Work],
        on_ready: Callable[[], None],
    ) -> None:
        self.ready = False
        self._consumer = consumer
        self._partition = partition
        self._owner = owner
        self._channel = channel
        self._on_ready = on_ready
        self._stopping = False
        self._working = False
        self._group_offset = -1
        self._group_commit_at = 0.0
        self._task = asyncio.create_task(self._run(), name=f"{partition.topic}-{partition.partition}")

    def check_goes_on(self) -> None:
        """Raise an error when the task of a partition that is held has ended."""
        if self._task.done():
            raise PartitionLeftError(f"the task of partition {self._partition} has ended by itself: {self._task!r}")

    async def stop(self) -> None:
        """End the task behind the batch in flight, and release the partition."""
        self._stopping = True
        if not self._working:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self.ready:
            with contextlib.suppress(TimeoutError):  # a broker that is away is not waited for
                async with asyncio.timeout(_LEAVE_S):
                    await self._commit_group_offset()
        # Its next holder tells the lag: a last figure left here would keep an alarm up, or hide one.
        with contextlib.suppress(KeyError):  # let go of before anything was told
            metrics.LAG.remove(self._partition.topic, str(self._partition.partition))
        await self._owner.release()

    async def _run(self) -> None:
        try:
            await self._take()
            while not self._stopping:
                await self._step()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, it ends the process)
            end_process(f"partition {self._partition.partition} of {self._partition.topic} cannot go on", error)

    async def _take(self) -> None:
        started = time.monotonic()
        offset = await self._owner.take()
        self._consumer.seek(self._partition, offset)
        self._consumer.resume(self._partition)
        self.ready = True
        self._on_ready()
        seconds = time.monotonic() - started
        labels = {"agent": self._partition.topic, "partition": str(self._partition.partition)}
        metrics.RESTORE_SECONDS.labels(**labels).set(seconds)
        log.info(
            "partition taken",
            topic=self._partition.topic,
            partition=self._partition.partition,
            next_offset=offset,
            seconds=round(seconds, 3),
        )

    async def _step(self) -> None:
        """Fetch a batch and see it through."""
        started = time.monotonic()
        due_s = self._owner.due_in()
        timeout_ms = _POLL_MS if due_s is None else min(_POLL_MS, max(0, int(due_s * 1_000)))
        fetched = await self._consumer.getmany(self._partition, timeout_ms=timeout_ms, max_records=MAX_RECORDS)
        records = fetched.get(self._partition, [])
        due_s = self._owner.due_in()
        if records or (due_s is not None and due_s <= 0):
            self._working = True
            done = asyncio.get_running_loop().create_future()
            await self._channel.put(Work(self._owner, records, done))  # type: ignore[arg-type]  # channels take any object
            await done
            self._working = False
        if time.monotonic() >= self._group_commit_at and not self._stopping:  # a stop commits, with a limit on its time
            await self._commit_group_offset()
        if records and len(records) < DRAINED_RECORDS and not self._stopping:
            # A drained log is left alone for a moment, so that the next transaction is worth its cost.
            await asyncio.sleep(max(0.0, started + self._owner.company_s - time.monotonic()))

    async def _commit_group_offset(self) -> None:
        """Tell the group how far the work is durable. For tools only: what counts is the marker in the state."""
        self._group_commit_at = time.monotonic() + _GROUP_COMMIT_S
        if not self._owner.settled:
            return
        try:
            position = await self._consumer.position(self._partition)
            self._observe_lag(position)
            if position != self._group_offset:
                await self._consumer.commit({self._partition: position})
                self._group_offset = position
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("group offset not committed: the group is rebalancing", error=str(error))
        except KafkaError as error:
            log.warning("group offset not committed", error=str(error))

    def _observe_lag(self, position: int) -> None:
        end = self._consumer.last_stable_offset(self._partition)
        lag = 0 if end is None else max(0, end - position)
        metrics.LAG.labels(topic=self._partition.topic, partition=str(self._partition.partition)).set(lag)
