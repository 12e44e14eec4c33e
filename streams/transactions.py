"""One fenced transactional producer for each partition that a worker owns.

Starting the producer of a transactional id fences whoever held the id before, a stopped worker that wakes up
included, and ends what it left open. Every write is one transaction, awaited to its end before the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaProducer, TopicPartition

from streams import failpoints
from streams.brokers import Address
from streams.connect import client_options
from streams.contract.topics import MAX_MESSAGE_BYTES

#: The broker ends a transaction that a dead worker left open after this time; until then its readers wait.
TRANSACTION_TIMEOUT_MS: Final = 10_000
#: A transaction that takes longer than this is given up by its worker, before the broker does.
DEADLINE_S: Final = 8.0
MAX_BATCH_BYTES: Final = 1024 * 1024


class Record(NamedTuple):
    """A record to write; a value of None takes the key away."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class FencedProducer:
    """Writes transactions under one transactional id."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    @classmethod
    async def started(cls, brokers: Address, transactional_id: str) -> Self:
        """Return a producer that has fenced every earlier holder of the id."""
        producer = AIOKafkaProducer(
            **client_options(brokers),
            transactional_id=transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_MESSAGE_BYTES,
            # Batches are made by hand, each one a request to its partition.
            max_batch_size=MAX_BATCH_BYTES,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        await failpoints.reach("after-fence")
        return cls(producer)

    async def write(self, writes: Mapping[TopicPartition, Sequence[Record]]) -> dict[TopicPartition, int]:
        """Write one transaction; return the offset of the last record of each partition, -1 where unknown."""
        async with asyncio.timeout(DEADLINE_S):
            await self._producer.begin_transaction()
            last = await asyncio.gather(*(self._send(partition, records) for partition, records in writes.items()))
            await failpoints.reach("before-commit")
            await self._producer.commit_transaction()
            await failpoints.reach("after-commit")
        return dict(zip(writes, last, strict=True))

    async def _send(self, partition: TopicPartition, records: Sequence[Record]) -> int:
        """Send the records as few batches and await their acknowledgement."""
        place = partition.topic.removeprefix("watch.")
        await failpoints.reach(f"before-{place}")
        sent: list[tuple[Any, int]] = []
        batch, size = self._producer.create_batch(), 0
        for key, value, headers in records:
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                sent.append((await self._submit(batch, partition), size))
                batch, size = self._producer.create_batch(), 0
                batch.append(timestamp=None, key=key, value=value, headers=headers)
            size += 1
        sent.append((await self._submit(batch, partition), size))
        acknowledged = [await future for future, _ in sent]
        await failpoints.reach(f"after-{place}")
        base_offset = acknowledged[-1].offset
        return base_offset + size - 1 if base_offset >= 0 else -1

    async def _submit(self, batch: Any, partition: TopicPartition) -> Any:  # noqa: ANN401 (aiokafka ships no types)
        batch.close()
        return await self._producer.send_batch(batch, partition.topic, partition=partition.partition)

    async def stop(self) -> None:
        """Stop without waiting for what is not acknowledged; nothing is, between transactions."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._producer.stop()
