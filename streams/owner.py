"""What it takes to own a partition: the seam between the sources, which read, and the work on what they read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Owner(Protocol):
    """Holds one partition of the topic that a source reads. Any exception it raises ends the process."""

    #: Seconds between two fetches once the log is drained, so that a small batch gets company.
    company_s: float

    async def take(self) -> int:
        """Fence every earlier owner, restore what it left, and return the offset to read next."""

    async def process(self, records: Sequence[Any]) -> None:
        """Work on records in the order of their offsets; on return they are durable or kept for later."""

    def due_in(self) -> float | None:
        """Return the seconds until `process` wants to be called without records; None: not at all."""

    @property
    def settled(self) -> bool:
        """Whether all that was processed is durable."""

    async def release(self) -> None:
        """Close what `take` opened; memory may stay for the next `take`."""


@dataclass(frozen=True)
class Work:
    """A batch on its way from a source to the agent that works on it."""

    owner: Owner
    records: Sequence[Any]
    done: asyncio.Future[None]
