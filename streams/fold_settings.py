"""What the numbers of a stack depend on: recorded in every marker of the state, and a change is refused."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final, Self

from streams.contract.days import DayRule
from streams.state_records import VERSION, Marker

_FIXED: Final = ("partitions", "shards", "day_rule", "client_table", "topic_id")
#: How to get to another value, where a refold alone does not.
_WAYS_ON: Final = {
    **dict.fromkeys(
        ("partitions", "shards"),
        "a new stack folds under the new one, and `watchtime rebuild --dt DAY --from LAKE` brings old days over",
    ),
    "day_rule": "`watchtime refold` folds the raw topic again under the new one, whose files need another SINKS_LAKE",
}


class SettingsChangedError(Exception):
    """The stored state was folded under other settings than this worker runs with."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Which folding of the raw topic this is: 0, or the number of the last refold."""

    number: int = 0
    #: Days before this one were not whole in the raw topic when the refold began; they keep their rows.
    first_dt: str = ""
    #: End of the raw partition when the refold began: below it, its shares are incomplete.
    end: int = 0

    @classmethod
    def of(cls, marker: Marker) -> Self:
        """Return the generation that a marker belongs to."""
        return cls(number=marker.generation, first_dt=marker.first_dt, end=marker.refold_end)


@dataclass(frozen=True, kw_only=True)
class FoldSettings:
    """The settings of a stack that its numbers depend on."""

    partitions: int
    shards: int
    day_rule: DayRule
    client_table: bool
    #: Id of the topic `watch.events`; the key of the hashes of event ids comes from it.
    topic_id: uuid.UUID

    def marker(self, offset: int, log_ms: int, generation: Generation) -> Marker:
        """Return the marker of a partition folded up to `offset`."""
        return Marker(
            v=VERSION,
            offset=offset,
            log_ms=log_ms,
            partitions=self.partitions,
            shards=self.shards,
            day_rule=self.day_rule,
            client_table=self.client_table,
            topic_id=self.topic_id.hex,
            generation=generation.number,
            first_dt=generation.first_dt,
            refold_end=generation.end,
        )

    def check(self, p: int, marker: Marker) -> None:
        """Raise SettingsChangedError when a stored marker was written under other settings."""
        mine = self.marker(marker.offset, marker.log_ms, Generation.of(marker))
        for name in _FIXED:
            stored, running = getattr(marker, name), getattr(mine, name)
            if stored != running:
                other = _WAYS_ON.get(name, "`watchtime refold` folds the raw topic again under the new one")
                raise SettingsChangedError(
                    f"partition {p} of watch.state was folded with {name}={stored!r}, this worker has {running!r}: "
                    f"go back to the old one, or {other}"
                )
