"""The way to the broker: records go in, and only their acknowledgement by all in-sync replicas comes back.

Requests that arrive while a flush is on its way share the next one. A producer that fails once is not trusted
again. Whatever it was (no acknowledgement in time, a sequence out of order, a fenced epoch, a broker that no longer
answers), it is thrown away with all it still holds, and a new one with a new identity takes its place. What was
under way then has an unclear outcome: its clients hear 503 and repeat the request, and streams drop what they get
twice. So no state of a producer outlives the broker's trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import structlog
from aiokafka.errors import KafkaError

from gateway.intake import Record
from gateway.producer import Producer
from streams.brokers import Address, BrokersError
from streams.contract import topics
from streams.ending import end

#: The longest a flush may take. A request waits for the flush under way and its own one; if the first fails at its
#: deadline, the second fails with it. So clients hear within 5 s.
ACK_TIMEOUT_S: Final = 4.0
#: How often the broker is asked whether it is there, and the wait after an attempt to reach it failed.
PROBE_INTERVAL_S: Final = 1.0
RETRY_INTERVAL_S: Final = 0.25
#: Turns of the event loop that a flush waits, so that requests which are here already go with it: that spares a busy
#: gateway and its broker many small flushes. A turn is no longer than what is ready takes; an idle one is microseconds.
_GATHER_TURNS: Final = 6
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


class _Parcel(NamedTuple):
    """Records of one request, and the future that its handler waits for."""

    records: Sequence[Record]
    done: asyncio.Future[None]


class KafkaPublisher:
    """Publishes through one idempotent producer at a time."""

    def __init__(self, brokers: Address) -> None:
        self._brokers = brokers
        self._producer: Producer | None = None
        self._why = "the broker has not answered yet"
        self._waiting: list[_Parcel] = []
        self._some_waiting = asyncio.Event()
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
        if self._producer is None:
            raise UnavailableError(self._why)
        parcel = _Parcel(records, asyncio.get_running_loop().create_future())
        self._waiting.append(parcel)
        self._some_waiting.set()
        await parcel.done

    async def stop(self) -> None:
        """Let go of the broker; all requests have been answered by now, so nothing is left to flush."""
        if self._keeper is not None:
            await end(self._keeper)
        if self._farewells:
            await asyncio.wait(self._farewells, timeout=_STOP_TIMEOUT_S)

    async def _keep(self) -> None:
        """Hold a connection as long as the gateway lives."""
        while True:
            producer = await self._connected()
            self._producer = producer
            log.info("broker reached", bootstrap_servers=str(self._brokers))
            try:
                self._why = await self._use(producer)
            finally:
                self._producer = None
                _refuse(self._waiting, self._why)
                self._waiting = []
                self._dismiss(producer)
            self.on_loss()
            log.warning("broker lost", why=self._why)

    async def _use(self, producer: Producer) -> str:
        """Flush and probe until one of them fails; return why."""
        flushing = asyncio.create_task(self._flush(producer))
        probing = asyncio.create_task(self._probe(producer))
        try:
            done, _ = await asyncio.wait((flushing, probing), return_when=asyncio.FIRST_COMPLETED)
            return _reason(done.pop().exception())
        finally:
            flushing.cancel()
            probing.cancel()
            await asyncio.gather(flushing, probing, return_exceptions=True)

    async def _flush(self, producer: Producer) -> None:
        """Send what waits, all of it at a time, until that fails."""
        while True:
            await self._some_waiting.wait()
            parcels: list[_Parcel] = []
            try:
                async with asyncio.timeout(ACK_TIMEOUT_S):
                    for _ in range(_GATHER_TURNS):
                        await asyncio.sleep(0)
                    self._some_waiting.clear()
                    parcels, self._waiting = self._waiting, []
                    await producer.deliver([record for parcel in parcels for record in parcel.records])
                for parcel in parcels:
                    if not parcel.done.done():
                        parcel.done.set_result(None)
            finally:
                _refuse(parcels, "the outcome is unclear")

    @staticmethod
    async def _probe(producer: Producer) -> None:
        """Ask for a sign of life again and again, until none comes."""
        while True:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await producer.probe()
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def _connected(self) -> Producer:
        """Return a started producer that sees both topics, however long that takes."""
        while True:
            producer: Producer | None = None
            sought = "broker"
            try:
                # A file of the password may be missing for a moment while it is changed.
                producer = Producer(self._brokers)
                async with asyncio.timeout(ACK_TIMEOUT_S):
                    await producer.start()
                    for topic in (topics.EVENTS, topics.REJECTED):
                        sought = f"topic {topic}"
                        await producer.partitions_for(topic)
            except Exception as error:  # noqa: BLE001 - reported, and trying again is all that can be done
                self._dismiss(producer)
                why = f"no {sought} at {self._brokers}: {_reason(error)}"
                if why != self._why:
                    log.warning("broker unavailable", why=why)
                self._why = why
                await asyncio.sleep(RETRY_INTERVAL_S)
            except BaseException:
                self._dismiss(producer)
                raise
            else:
                return producer

    def _dismiss(self, producer: Producer | None) -> None:
        if producer is None:
            return
        farewell = asyncio.create_task(producer.abandon())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)


def _reason(error: BaseException | None) -> str:
    """Return why a producer is given up; errors that are no trouble of the broker's are logged whole."""
    if isinstance(error, TimeoutError):
        return f"no answer within {ACK_TIMEOUT_S:g} s"
    if not isinstance(error, (BrokersError, KafkaError, OSError)):
        log.error("unexpected error of the producer", exc_info=error)
    return repr(error)


def _refuse(parcels: Sequence[_Parcel], why: str) -> None:
    for parcel in parcels:
        if not parcel.done.done():
            parcel.done.set_exception(UnavailableError(why))


def _ignore() -> None:
    return None
