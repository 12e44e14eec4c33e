"""What a worker does with one assigned partition; the consumer group (sinks/group.py) drives it.

The group locates a lane, feeds it from there, and runs it until the partition is taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aiokafka.structs import ConsumerRecord


class Lane(Protocol):
    """The holder of one partition. Only `locate` and `run` wait for anything."""

    #: Whether all that was in the log when the partition was taken has been read.
    ready: bool

    async def locate(self, start: int, end: int) -> int:
        """Return the offset to read from, given the first offset of the log and the one after its last."""

    def feed(self, records: Sequence[ConsumerRecord], position: int) -> None:
        """Take records in order; `position` is the offset after everything delivered (records or none)."""

    @property
    def full(self) -> bool:
        """Whether the lane wants no records for now."""

    async def run(self) -> None:
        """Write what is fed, until `stop`; ReadAgainError when it has to be fed anew."""

    def stop(self, *, flush: bool) -> None:
        """Let `run` end: after the write in flight, or with `flush` after all that is fed has been written."""

    def done(self) -> int | None:
        """Return the offset up to which everything is in the lake; None while that is not known."""

    def observe(self, lag: int) -> None:
        """Set the lane's metrics; `lag` is the number of offsets not read yet."""
