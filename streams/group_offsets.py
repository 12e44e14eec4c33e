"""What a consumer group has committed, asked of a broker that may have only just started."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

_RETRY_S: Final = 0.1
#: A new broker makes the topic of committed offsets when it is first asked for one, and reads an old one first.
_NOT_YET: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)


async def group_offsets(
    admin: AIOKafkaAdminClient, group: str, *, within_s: float, partitions: Collection[TopicPartition] | None = None
) -> Mapping[TopicPartition, Any]:
    """Return offset and metadata by partition (None: all that have one); TimeoutError when no broker knows in time."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return dict(await admin.list_consumer_group_offsets(group, partitions=partitions))
            except _NOT_YET:
                await asyncio.sleep(_RETRY_S)
