"""The way to the broker: records go in, and only their acknowledgement by all in-sync replicas comes back.

A producer that fails once is not trusted again. Whatever it was (no acknowledgement in time, a sequence out of
order, a fenced epoch, a broker that no longer answers), it is thrown away with all it still holds, and a new one
with a new identity takes its place. What was under way then has an unclear outcome: its clients hear 503 and
repeat the request, and streams drop what they get twice. So no state of a producer outlives the broker's trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import structlog
from aiokafka.errors import KafkaError

from gateway.intake import Record
from gateway.producer import Producer
from streams.contract import topics

#: The longest a request waits for acknowledgements. Its client shall hear within 5 s.
ACK_TIMEOUT_S: Final = 4.0
#: How often the broker is asked whether it is there, and the wait after an attempt to reach it failed.
PROBE_INTERVAL_S: Final = 1.0
RETRY_INTERVAL_S: Final = 0.25
_STOP_TIMEOUT_S: Final = 3.0

log = structlog.get_logger(__name__)


class UnavailableError(Exception):
    """The broker does not take records right now, or did not say whether it took these."""


class Publisher(Protocol):
    """Where accepted and rejected events go."""

    #: Called each time a connection is given up.
    on_loss: Callable[[], None]

    @property
    def ready(self) -> bool:
        """Whether records would be taken now."""

    async def start(self) -> None:
        """Begin to reach for the broker; returns at once."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when all records are acknowledged; UnavailableError when that is not known in time."""

    async def stop(self) -> None:
        """Let go of the broker."""


class MemoryPublisher:
    """Keeps records in a list; the twin for tests."""

    def __init__(self) -> None:
        self.ready = True
        self.records: list[Record] = []
        #: Publishing waits for this; cleared by tests that want requests in flight.
        self.open = asyncio.Event()
        self.open.set()
        self.on_loss: Callable[[], None] = _ignore

    async def start(self) -> None:
        """Nothing to reach for."""

    async def publish(self, records: Sequence[Record]) -> None:
        """Keep the records, unless `ready` was set to False."""
        await self.open.wait()
        if not self.ready:
            raise UnavailableError("the test said so")
        self.records += records

    async def stop(self) -> None:
        """Nothing to let go of."""


class KafkaPublisher:
    """Publishes through one idempotent producer at a time."""

    def __init__(self, bootstrap_servers: str, *, linger_ms: int = 0) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._linger_ms = linger_ms
        self._producer: Producer | None = None
        self._lost = asyncio.Event()
        self._why = "the broker has not answered yet"
        self._keeper: asyncio.Task[None] | None = None
        self._farewells: set[asyncio.Task[None]] = set()
        self.on_loss: Callable[[], None] = _ignore

    @property
    def ready(self) -> bool:
        """Whether a producer is connected and both topics exist."""
        return self._producer is not None

    async def start(self) -> None:
        """Begin to reach for the broker; returns at once."""
        self._keeper = asyncio.create_task(self._keep())

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when the broker has acknowledged all records; UnavailableError when that is not known in time."""
        producer = self._producer
        if producer is None:
            raise UnavailableError(self._why)
        acks: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                for topic, key, value in records:
                    acks.append(await producer.send(topic, value, key))
                for ack in acks:
                    await ack
        except TimeoutError as error:
            self._give_up(producer, f"no acknowledgement within {ACK_TIMEOUT_S:g} s")
            raise UnavailableError(self._why) from error
        except KafkaError as error:
            self._give_up(producer, repr(error))
            raise UnavailableError(self._why) from error
        finally:
            for ack in acks:
                _forget(ack)

    async def stop(self) -> None:
        """Let go of the broker; all requests have been answered by now, so nothing is left to flush."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._producer is not None:
            self._dismiss(self._producer)
            self._producer = None
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=_STOP_TIMEOUT_S)

    def _give_up(self, producer: Producer, why: str) -> None:
        """Stop using a producer; later calls for the same one do nothing."""
        if producer is not self._producer:
            return
        self._producer = None
        self._why = why
        self._lost.set()
        self.on_loss()
        log.warning("broker lost", why=why)
        self._dismiss(producer)

    def _dismiss(self, producer: Producer) -> None:
        farewell = asyncio.create_task(producer.abandon())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _keep(self) -> None:
        """Hold a connection as long as the gateway lives."""
        while True:
            producer = await self._connected()
            self._lost.clear()
            self._producer = producer
            log.info("broker reached", bootstrap_servers=self._bootstrap_servers)
            while not self._lost.is_set():
                if not await self._answers(producer):
                    self._give_up(producer, "the broker does not answer")
                    break
                await _wait(self._lost, PROBE_INTERVAL_S)

    async def _connected(self) -> Producer:
        """Return a started producer that sees both topics, however long that takes."""
        while True:
            producer = Producer(self._bootstrap_servers, linger_ms=self._linger_ms)
            sought = "broker"
            try:
                async with asyncio.timeout(ACK_TIMEOUT_S):
                    await producer.start()
                    for topic in (topics.EVENTS, topics.REJECTED):
                        sought = f"topic {topic}"
                        await producer.partitions_for(topic)
            except (KafkaError, OSError, TimeoutError) as error:
                self._dismiss(producer)
                why = f"no {sought} at {self._bootstrap_servers}: {error!r}"
                if why != self._why:
                    log.warning("broker unavailable", why=why)
                self._why = why
                await asyncio.sleep(RETRY_INTERVAL_S)
            except BaseException:
                self._dismiss(producer)
                raise
            else:
                return producer

    @staticmethod
    async def _answers(producer: Producer) -> bool:
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                return await producer.probe()
        except TimeoutError:
            return False


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, at the latest after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _forget(ack: asyncio.Future[Any]) -> None:
    """Take note of an acknowledgement that nobody waits for any more, whatever it was."""
    if not ack.cancel() and not ack.cancelled():
        ack.exception()


def _ignore() -> None:
    return None
