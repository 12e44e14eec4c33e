"""How a worker is a member of a consumer group, whichever stage it is of."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from streams.contract.topics import MAX_MESSAGE_BYTES


class ReplacedError(Exception):
    """The consumer group has given this worker's name to another process."""


def member_options(group: str, instance: str, session_timeout_ms: int) -> dict[str, Any]:
    """Return the arguments of a consumer that sees committed records only and keeps its place elsewhere."""
    return {
        "group_id": group,
        "group_instance_id": instance or None,
        "isolation_level": "read_committed",
        "auto_offset_reset": "none",
        "enable_auto_commit": False,
        "session_timeout_ms": session_timeout_ms,
        "heartbeat_interval_ms": session_timeout_ms // 8,
        "max_partition_fetch_bytes": MAX_MESSAGE_BYTES,
        # A class of its own for each consumer: aiokafka keeps the assignor's memory on the class.
        "partition_assignment_strategy": (type("Assignor", (StickyPartitionAssignor,), {}),),
    }


def refuse_replacement(consumer: AIOKafkaConsumer, group: str, variable: str, instance: str) -> None:
    """Raise ReplacedError when the group, joined before, has given the name of this member to another one.

    aiokafka does not know the error that says so and would join again under the same name: two processes would
    take the partitions from each other for ever.
    """
    if instance and not consumer._coordinator.member_id:  # noqa: SLF001 (aiokafka tells it nowhere else)
        raise ReplacedError(
            f"the group {group} no longer knows this worker: another process with {variable}={instance} took its "
            "place, or it was silent for longer than its session lasts"
        )
