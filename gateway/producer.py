"""The producer of aiokafka, able to deliver many records at once, to ask for a sign of life and to leave at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from gateway.intake import Record
from streams.brokers import Address
from streams.connect import client_options
from streams.contract.keys import murmur2
from streams.contract.topics import MAX_MESSAGE_BYTES

_REQUEST_TIMEOUT_MS: Final = 4_000
_RETRY_BACKOFF_MS: Final = 100
_MAX_BATCH_BYTES: Final = 1024 * 1024
_LEAVE_TIMEOUT_S: Final = 2.0
#: Clients whose hash is remembered, as they come back every few seconds.
_REMEMBERED_KEYS: Final = 65_536


class Producer(AIOKafkaProducer):  # type: ignore[misc] # ships no types
    """An idempotent producer that waits for all in-sync replicas."""

    def __init__(self, brokers: Address) -> None:
        super().__init__(
            **client_options(brokers),
            client_id="watchtime-gateway",
            acks="all",
            enable_idempotence=True,
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )

    async def deliver(self, records: Sequence[Record]) -> None:
        """Return when all records are acknowledged; KafkaError when one is not.

        Batches are filled here and handed over whole: for small records that takes a quarter of what `send` takes,
        which keeps a future, a place in a queue and a look at the metadata for each.
        """
        acks: list[asyncio.Future[Any]] = []
        try:
            for (topic, partition), batches in self._batched(records).items():
                for batch in batches:
                    ack = await self.send_batch(batch, topic, partition=partition)
                    acks.append(ack)
            await asyncio.gather(*acks)
        finally:
            for ack in acks:  # those that nobody waits for any more
                if not ack.cancel() and not ack.cancelled():
                    ack.exception()

    def _batched(self, records: Sequence[Record]) -> dict[tuple[str, int], list[Any]]:
        """Return batches by topic and partition, in the order of the records."""
        batched: dict[tuple[str, int], list[Any]] = {}
        counts: dict[str, int] = {}
        for topic, key, value in records:
            count = counts.get(topic)
            if count is None:
                # A guess would send a client to another partition, where its repeats are not known.
                known = self._metadata.partitions_for_topic(topic)
                if not known:
                    raise UnknownTopicOrPartitionError(topic)
                count = counts[topic] = len(known)
            place = topic, partition_of(key, count)
            batches = batched.get(place)
            if batches is None:
                batches = batched[place] = [self.create_batch()]
            if batches[-1].append(timestamp=None, key=key, value=value) is None:  # it is full
                batches.append(self.create_batch())
                batches[-1].append(timestamp=None, key=key, value=value)
        return batched

    async def probe(self) -> None:
        """Return when a broker has answered a request for metadata; KafkaError when none does."""
        # A broker hangs up when a login has lasted its time; the second try logs in again.
        if not await self.client.force_metadata_update() and not await self.client.force_metadata_update():
            raise KafkaConnectionError("no broker answers")

    async def abandon(self) -> None:
        """Leave after at most some seconds, delivered or not; who still waits for an acknowledgement waits in vain.

        `stop()` would wait until the broker has taken everything, which may be never.
        """
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._sender.close()
        await self.client.close()


def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key; 0 without a key."""
    return 0 if key is None else _hash(key) % partitions


@lru_cache(maxsize=_REMEMBERED_KEYS)
def _hash(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF
