"""A consumer group whose partitions are each held by a lane.

One loop polls, so that the group sees a living member whatever the lake does; each partition has one task that
locates, and then runs, its lane. A rebalance waits for the write in flight of each lane, not longer than a bound:
all writes are conditional, so that one which comes too late is refused by the store or changes nothing.
Anything that is not understood ends the process by the error that `run` raises.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from sinks import metrics
from sinks.lanes import Lane
from sinks.precedence import ReadAgainError
from sinks.settings import Settings
from streams.connect import client_options
from streams.ending import StoppedError, check_goes_on, end, unless_stopped
from streams.membership import member_options, refuse_replacement

MAX_RECORDS: Final = 2_000
_POLL_MS: Final = 100
_COMMIT_S: Final = 0.3
#: How long a stop waits for an assignment under way: who leaves in the middle of one keeps the others waiting.
_ASSIGNMENT_S: Final = 3.0
#: How long a rebalance waits for its members: longer than any of them waits for its writes.
_REBALANCE_MS: Final = 15_000
#: How long a rebalance waits for writes in flight, and a stop for the last files.
REVOKE_S: Final = 5.0
FLUSH_S: Final = 6.0
#: How long the last commits may take.
LAST_COMMIT_S: Final = 1.5
#: How long it may take to leave the group.
LEAVE_S: Final = 1.5

log = structlog.get_logger(__name__)


class _Held:
    """A lane and the task that holds it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.task: asyncio.Task[None] | None = None
        self.located = False
        self.paused = False
        self.ending = False
        self.committed: int | None = None


class Group:
    """One member of a consumer group."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        topics: Collection[str],
        make_lane: Callable[[TopicPartition], Lane],
    ) -> None:
        self._settings = settings
        self._name = f"{settings.group}-{name}"
        self._topics = topics
        self._make_lane = make_lane
        self._held: dict[TopicPartition, _Held] = {}
        self._joined = False
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()
        self._consumer: AIOKafkaConsumer
        self._leaving: asyncio.Task[None]

    @property
    def ready(self) -> bool:
        """Whether partitions were assigned and all of them have been read to where the log ended."""
        return self._joined and all(held.lane.ready for held in self._held.values())

    async def run(self, stop: asyncio.Event) -> None:
        """Hold partitions until `stop` is set, then write what is left; raises what went wrong."""
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings.brokers),
            **member_options(self._name, self._settings.instance, self._settings.session_timeout_ms),
            rebalance_timeout_ms=_REBALANCE_MS,
            fetch_max_wait_ms=_POLL_MS,
        )
        self._consumer.subscribe(self._topics, listener=_Listener(self))
        try:
            try:
                await unless_stopped(stop, self._consumer.start())
            except StoppedError:
                return
            committer = asyncio.create_task(self._keep_committing())
            try:
                await self._poll(stop)
                await self._let_go(flush=True, within_s=FLUSH_S)
            finally:
                await end(committer)
            self._raise_failure()
            await self._commit_last()
        finally:
            await self._cancel_all()
            # A rebalance that others hold up is not waited for; the process ends soon.
            self._leaving = asyncio.create_task(self._consumer.stop())
            await asyncio.wait({self._leaving}, timeout=LEAVE_S)

    async def _poll(self, stop: asyncio.Event) -> None:
        """Feed the lanes until `stop` is set; raises what went wrong.

        Neither a stop nor a failure waits for records: aiokafka, once it has given an assignment up, waits for the next
        one without limit, and a member that was replaced while it slept joins no more.
        """
        with contextlib.suppress(StoppedError):
            await unless_stopped(self._failed, self._feed(stop))
        self._raise_failure()

    async def _feed(self, stop: asyncio.Event) -> None:
        # Where the listener has ended aiokafka's task, its consumer raises CancelledError.
        while not (stop.is_set() or self._failed.is_set()):
            try:
                async with asyncio.timeout(_ASSIGNMENT_S):
                    fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=MAX_RECORDS)
            except TimeoutError:
                continue
            for partition, held in list(self._held.items()):
                if held.located:
                    held.lane.feed(fetched.get(partition, ()), await self._consumer.position(partition))
                    self._throttle(partition, held)

    def _throttle(self, partition: TopicPartition, held: _Held) -> None:
        if held.lane.full != held.paused:
            held.paused = held.lane.full
            (self._consumer.pause if held.paused else self._consumer.resume)(partition)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Take partitions. Nothing is awaited here: the group hears no heartbeats meanwhile."""
        if self._failed.is_set():
            return
        assigned = set(partitions)
        for partition in assigned:
            self._consumer.pause(partition)
            # aiokafka raises for a partition without a position, paused or not; the lane's task sets the right one.
            self._consumer.seek(partition, 0)
        for topic, partition in self._held.keys() - assigned:
            metrics.let_go(topic, partition)
        self._held = {partition: self._held.get(partition) or self._new(partition) for partition in assigned}
        for partition, held in self._held.items():
            held.ending = False
            held.task = asyncio.create_task(
                self._hold(partition, held), name=f"{partition.topic}-{partition.partition}"
            )
        self._joined = True
        log.info("partitions assigned", group=self._name, partitions=sorted(f"{t}-{p}" for t, p in assigned))

    async def revoke(self) -> None:
        """Let go of all partitions; memory of those that come right back is kept."""
        was_joined, self._joined = self._joined, False
        if was_joined:
            refuse_replacement(self._consumer, self._name, "SINKS_INSTANCE", self._settings.instance)
        await self._let_go(flush=False, within_s=REVOKE_S)
        await self._commit_last()

    def fail(self, error: BaseException) -> None:
        """Note what ends the process; the first failure is the one to tell."""
        self._failure = self._failure or error
        self._failed.set()

    def _raise_failure(self) -> None:
        if self._failure:
            raise self._failure

    def _new(self, partition: TopicPartition) -> _Held:
        return _Held(self._make_lane(partition))

    async def _hold(self, partition: TopicPartition, held: _Held) -> None:
        try:
            while True:
                start = (await self._consumer.beginning_offsets([partition]))[partition]
                end = (await self._consumer.end_offsets([partition]))[partition]
                try:
                    offset = await held.lane.locate(start, end)
                    self._consumer.seek(partition, offset)
                    self._consumer.resume(partition)
                    held.located, held.paused = True, False
                    metrics.RESTORES.labels(topic=partition.topic).inc()
                    await held.lane.run()
                except ReadAgainError as why:
                    held.located = False
                    if held.ending:
                        return
                    self._consumer.pause(partition)
                    log.warning("reading again", topic=partition.topic, partition=partition.partition, why=str(why))
                else:
                    return
        except Exception as error:  # noqa: BLE001 -- whatever it is, `_poll` raises it
            self.fail(error)

    async def _let_go(self, *, flush: bool, within_s: float) -> None:
        """End all lanes' tasks: those that locate at once, those that write after what is in flight (or left)."""
        tasks = {held.task for held in self._held.values() if held.task}
        for held in self._held.values():
            held.ending = True
            if held.located:
                held.lane.stop(flush=flush)
            elif held.task:
                held.task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            if late:
                log.warning("writes in flight are left behind", group=self._name, partitions=len(late))
        await self._cancel_all()

    async def _cancel_all(self) -> None:
        tasks = [held.task for held in self._held.values() if held.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for held in self._held.values():
            held.task, held.located = None, False

    async def _keep_committing(self) -> None:
        try:
            while True:
                await asyncio.sleep(_COMMIT_S)
                check_goes_on(self._consumer)
                await self._observe()
                # Between two assignments the group may know this member no more. aiokafka takes the refusal of a commit
                # as news about the membership that it is just asking for, and asks again: commits that go on would make
                # it ask for ever.
                if self._joined:
                    await self._commit()
        except Exception as error:  # noqa: BLE001 -- as in `_hold`
            self.fail(error)

    async def _observe(self) -> None:
        for partition, held in self._held.items():
            if held.located and (stable := self._consumer.last_stable_offset(partition)) is not None:
                held.lane.observe(max(0, stable - await self._consumer.position(partition)))

    async def _commit_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_COMMIT_S):
                await self._commit()
        except TimeoutError:
            # Files say themselves how far they go; the next holder reads that, and commits.
            log.warning("the last offsets were not committed in time", group=self._name)

    async def _commit(self) -> None:
        """Tell the group how far the lake is. For tools only: what counts is what the objects say."""
        offsets = {
            partition: done
            for partition, held in self._held.items()
            if (done := held.lane.done()) is not None and done != held.committed
        }
        if not offsets:
            return
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed: the group is rebalancing", group=self._name, why=str(error))
            return
        for partition, done in offsets.items():
            if held := self._held.get(partition):
                held.committed = done


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Hands rebalances on.

    aiokafka only logs what a callback raises, and then joins the group all the same. So a failure is noted for
    the poll loop, and a cancellation ends aiokafka's task: a worker that was replaced must not join once more.
    """

    def __init__(self, group: Group) -> None:
        self._group = group

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 -- always all
        try:
            await self._group.revoke()
        except Exception as error:
            self._group.fail(error)
            raise asyncio.CancelledError from error

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        try:
            self._group.assign(assigned)
        except Exception as error:
            self._group.fail(error)
            raise asyncio.CancelledError from error
