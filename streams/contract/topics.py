"""The topics and their settings. P: raw partitions (by client), Q: shards (by video, channel, …)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from streams.contract.days import DAY_MS, HOUR_MS
from streams.contract.rows import CLIENT, TABLES, Table

EVENTS: Final = "watch.events"
REJECTED: Final = "watch.rejected"
STATE: Final = "watch.state"
PARTIALS: Final = "watch.partials"

DEFAULT_PARTITIONS: Final = 4
DEFAULT_SHARDS: Final = 1
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
COMPACTED_RETENTION_DAYS: Final = 35
#: Header of a control record in `watch.events` (key: client_id, value: empty), and its one value.
CONTROL_HEADER: Final = "control"
CONTROL_FORGET: Final = b"forget"
#: Header of daily rows that were written after a refold; absent: generation 0. Shares tell theirs in the value.
GENERATION_HEADER: Final = "generation"
_MAX_GENERATION_DIGITS: Final = 18

# Consumer groups, behind the stack's group prefix; their committed offsets tell how far a stage is done.
PARTIALS_GROUP: Final = "partials"
TOTALS_GROUP: Final = "totals"
SINKS_GROUP: Final = "sinks"
ARCHIVE_GROUP: Final = "archive"


def is_forget(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Return whether the headers of a raw record make it the command to forget the client of its key."""
    return any(name == CONTROL_HEADER and value == CONTROL_FORGET for name, value in headers)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic as it must exist: name, partition count and settings."""

    name: str
    partitions: int
    config: dict[str, str]


def topics(partitions: int, shards: int, *, client_table: bool) -> list[Topic]:
    """Return every topic of a stack with P = `partitions` and Q = `shards`."""
    tables = daily_tables(client_table=client_table)
    return [
        Topic(name=EVENTS, partitions=partitions, config=_log(14)),
        Topic(name=REJECTED, partitions=1, config=_log(30)),
        Topic(name=STATE, partitions=partitions, config=_compacted()),
        Topic(name=PARTIALS, partitions=shards, config=_compacted()),
        *(Topic(name=table.topic, partitions=shards, config=_compacted()) for table in tables),
    ]


def daily_tables(*, client_table: bool) -> list[Table]:
    """Return the tables of a stack; the client table is opt-in."""
    return [table for table in TABLES if client_table or table is not CLIENT]


def _log(retention_days: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_days * DAY_MS),
        # A whole segment goes at a time: Kafka's 7 days would keep records of a quiet topic a week longer than said.
        "segment.ms": str(12 * HOUR_MS),
        **_every_topic(),
    }


def _compacted() -> dict[str, str]:
    return {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(COMPACTED_RETENTION_DAYS * DAY_MS),
        # A reader that was down for days must still see that a row went.
        "delete.retention.ms": str(7 * DAY_MS),
        "segment.bytes": str(64 * 1024 * 1024),
        "segment.ms": str(10 * 60_000),
        "min.cleanable.dirty.ratio": "0.2",
        "max.compaction.lag.ms": str(HOUR_MS),
        **_every_topic(),
    }


def _every_topic() -> dict[str, str]:
    return {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(MAX_MESSAGE_BYTES)}


def generation_of(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return the generation that the headers of a row name, 0 without one; ValueError for what is none."""
    for name, value in headers:
        if name == GENERATION_HEADER:
            if not value or not value.isdigit() or len(value) > _MAX_GENERATION_DIGITS:
                raise ValueError(f"{value!r} is no generation")
            return int(value)
    return 0
