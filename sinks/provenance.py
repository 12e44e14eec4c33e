"""What objects of the lake say about where they come from: the metadata that is written with their content.

The worker and the archive read it back after a restart, so that the lake itself says what is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

REBUILT_FIELD: Final = "rebuilt"
_ELSEWHERE_FIELD: Final = "rebuilt-from"
_ELSEWHERE: Final = "elsewhere"
#: Its values.
_OVER: Final = "true"
_MENDED: Final = "open"


def is_from_elsewhere(metadata: Mapping[str, str]) -> bool:
    """Tell whether a daily file was rebuilt from raw objects that are not in the own archive."""
    return metadata.get(_ELSEWHERE_FIELD) == _ELSEWHERE


class ElsewhereError(Exception):
    """A day's files were written from raw objects that the own archive does not hold."""


class ForeignObjectError(Exception):
    """An object lies under a key of ours without metadata of ours."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Rows counted and their counters summed: what must not shrink."""

    rows: int
    sums: Mapping[str, int]

    def is_below(self, other: Totals) -> bool:
        """Tell whether anything is less than in `other`."""
        return self.rows < other.rows or any(self.sums.get(name, 0) < least for name, least in other.sums.items())


@dataclass(frozen=True, kw_only=True)
class FileProvenance:
    """Metadata of a daily file."""

    topic: str
    topic_id: str
    #: Offset in the daily topic of the newest row that the file knows of this day.
    offset: int
    #: Greatest generation among the day's rows.
    generation: int
    #: SHA-256 of the content.
    content_hash: str
    totals: Totals
    #: The same of the rows of the greatest generation alone; the others may still be replaced by lower ones.
    newest: Totals
    #: Written by `watchtime rebuild` about a day that is over: the worker keeps its hands off.
    rebuilt: bool = field(default=False)
    #: Written by `watchtime rebuild` about a day that may still change: the worker goes on from `offset`.
    mended: bool = field(default=False)
    #: Rebuilt from raw objects that are not in the own archive, so that this cannot tell whether it is right.
    elsewhere: bool = field(default=False)

    def encode(self) -> dict[str, str]:
        """Return the metadata to be stored."""
        metadata = {
            "topic": self.topic,
            "topic-id": self.topic_id,
            "offset": str(self.offset),
            "generation": str(self.generation),
            "sha256": self.content_hash,
            "rows": str(self.totals.rows),
            "sums": orjson.dumps(dict(self.totals.sums)).decode(),
            "newest-rows": str(self.newest.rows),
            "newest-sums": orjson.dumps(dict(self.newest.sums)).decode(),
        }
        if self.rebuilt or self.mended:
            metadata[REBUILT_FIELD] = _OVER if self.rebuilt else _MENDED
        if self.elsewhere:
            metadata[_ELSEWHERE_FIELD] = _ELSEWHERE
        return metadata

    @classmethod
    def decode(cls, key: str, metadata: Mapping[str, str]) -> FileProvenance:
        """Return what the metadata of `key` say; ForeignObjectError when they are not ours."""
        try:
            return cls(
                topic=metadata["topic"],
                topic_id=metadata["topic-id"],
                offset=int(metadata["offset"]),
                generation=int(metadata["generation"]),
                content_hash=metadata["sha256"],
                totals=Totals(rows=int(metadata["rows"]), sums=orjson.loads(metadata["sums"])),
                newest=Totals(rows=int(metadata["newest-rows"]), sums=orjson.loads(metadata["newest-sums"])),
                rebuilt=metadata.get(REBUILT_FIELD) == _OVER,
                mended=metadata.get(REBUILT_FIELD) == _MENDED,
                elsewhere=is_from_elsewhere(metadata),
            )
        except (KeyError, ValueError) as error:
            raise ForeignObjectError(
                f"{key} has no metadata of a daily file ({error!r}), so it was put there by something else; "
                "move it away, or write the day with `watchtime rebuild`"
            ) from error


@dataclass(frozen=True, kw_only=True)
class ChunkProvenance:
    """Metadata of an object of the raw archive; both offsets are included in it."""

    topic: str
    topic_id: str
    partition: int
    first: int
    last: int
    state: Literal["open", "closed"]

    def encode(self) -> dict[str, str]:
        """Return the metadata to be stored."""
        return {
            "topic": self.topic,
            "topic-id": self.topic_id,
            "partition": str(self.partition),
            "first-offset": str(self.first),
            "last-offset": str(self.last),
            "state": self.state,
        }

    @classmethod
    def decode(cls, key: str, metadata: Mapping[str, str]) -> ChunkProvenance:
        """Return what the metadata of `key` say; ForeignObjectError when they are not ours."""
        try:
            return cls(
                topic=metadata["topic"],
                topic_id=metadata["topic-id"],
                partition=int(metadata["partition"]),
                first=int(metadata["first-offset"]),
                last=int(metadata["last-offset"]),
                state="closed" if metadata["state"] == "closed" else "open",
            )
        except (KeyError, ValueError) as error:
            raise ForeignObjectError(
                f"{key} has no metadata of the raw archive ({error!r}), so it was put there by something else; "
                "move it away"
            ) from error
