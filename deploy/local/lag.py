"""How far each consumer group is behind: committed offsets against the ends of its topics."""

from __future__ import annotations

from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.errors import DeployError
from streams.contract.topics import (
    ARCHIVE_GROUP,
    EVENTS,
    PARTIALS,
    PARTIALS_GROUP,
    SINKS_GROUP,
    TOTALS_GROUP,
    daily_tables,
)
from streams.ending import stop_consumer
from streams.group_offsets import group_offsets

TIMEOUT_MS: Final = 5_000
#: A new broker makes the topic of committed offsets when it is first asked for one.
COORDINATOR_WAIT_S: Final = 5.0


class LagUnknownError(DeployError):
    """The broker did not tell the offsets."""


def topics_of_groups(*, client_table: bool) -> dict[str, list[str]]:
    """Return the topics that each group reads, by the group's name without prefix."""
    return {
        PARTIALS_GROUP: [EVENTS],
        TOTALS_GROUP: [PARTIALS],
        SINKS_GROUP: [table.topic for table in daily_tables(client_table=client_table)],
        ARCHIVE_GROUP: [EVENTS],
    }


async def lags(bootstrap_servers: str, prefix: str, *, client_table: bool) -> dict[str, int]:
    """Return the records that each group has not confirmed; markers of transactions count as records."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, request_timeout_ms=TIMEOUT_MS)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=TIMEOUT_MS)
    try:
        await consumer.start()
        await admin.start()
        groups = topics_of_groups(client_table=client_table)
        return {group: await _lag(consumer, admin, f"{prefix}-{group}", topics) for group, topics in groups.items()}
    except (KafkaError, OSError, TimeoutError) as error:
        raise LagUnknownError(f"the broker at {bootstrap_servers} did not tell the offsets: {error!r}") from error
    finally:
        await stop_consumer(consumer)
        await admin.close()


async def _lag(consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, group: str, topics: list[str]) -> int:
    described = await admin.describe_topics(topics)
    partitions = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    committed = await group_offsets(admin, group, within_s=COORDINATOR_WAIT_S, partitions=partitions)
    return sum(
        max(ends[at] - (committed[at].offset if at in committed and committed[at].offset >= 0 else begins[at]), 0)
        for at in partitions
    )
