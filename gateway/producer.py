"""The producer of aiokafka, able to ask whether the broker is there and to leave at once."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiokafka import AIOKafkaProducer

from streams.contract.topics import MAX_MESSAGE_BYTES

_REQUEST_TIMEOUT_MS: Final = 4_000
_RETRY_BACKOFF_MS: Final = 100
_MAX_BATCH_BYTES: Final = 1024 * 1024
_LEAVE_TIMEOUT_S: Final = 2.0


class Producer(AIOKafkaProducer):  # type: ignore[misc] # ships no types
    """An idempotent producer that waits for all in-sync replicas."""

    def __init__(self, bootstrap_servers: str, *, linger_ms: int) -> None:
        super().__init__(
            bootstrap_servers=bootstrap_servers.split(","),
            client_id="watchtime-gateway",
            acks="all",
            enable_idempotence=True,
            linger_ms=linger_ms,
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )

    async def probe(self) -> bool:
        """Whether a broker answers a request for metadata."""
        return bool(await self.client.force_metadata_update())

    async def abandon(self) -> None:
        """Leave after at most some seconds, delivered or not; who still waits for an acknowledgement waits in vain.

        `stop()` would wait until the broker has taken everything, which may be never.
        """
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._sender.close()
        await self.client.close()
