"""How the records of one raw partition are cut into objects. Pure: the log alone decides, not when it is read.

A chunk ends before the record that would take its uncompressed bytes over 16 MiB or whose broker hour is another,
and with a control record. Chunks follow each other without a gap in their offsets: one begins where the last one
ended. Records that leave no lines have their place too, so that an object may be without any. What was in an object
once stays in it: a chunk that is read again from the log does not end before the offset that its object already has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import partial
from typing import Final, NamedTuple

from sinks.keys import ChunkKey
from sinks.lines import archived
from streams.contract.days import HOUR_MS, dt_of_ms

MAX_CHUNK_BYTES: Final = 16 * 1024 * 1024
#: Makes what compresses a raw object. NDJSON shrinks to a quarter at level 3 already, and the archive must keep up with
#: the gateway on one core; 31 asks for a gzip container, whose header zlib writes with mtime 0. A change changes the
#: bytes of objects, not what they hold.
compressor: Final = partial(zlib.compressobj, 3, zlib.DEFLATED, 31)


class RawRecord(NamedTuple):
    """A record of the raw topic as far as the archive looks at it."""

    offset: int
    #: The broker's append time, epoch milliseconds.
    broker_ms: int
    value: bytes | None
    #: Whether it carries a command instead of lines.
    control: bool


class Chunk:
    """Consecutive records of one partition that share an object."""

    def __init__(self, key: str, first: int, hour: int) -> None:
        self.key = key
        self.first = first
        self.last = first - 1
        #: Broker hour of its records, counted from the epoch.
        self.hour = hour
        #: Uncompressed bytes.
        self.size = 0
        self._compressor = compressor()
        self._compressed: list[bytes] = []

    def add(self, lines: bytes, last: int) -> None:
        """Append the lines of records up to offset `last`."""
        if lines:
            if out := self._compressor.compress(lines):
                self._compressed.append(out)
            self.size += len(lines)
        self.last = last

    def content(self) -> bytes:
        """Return the object's content so far; what is added later does not change how it begins."""
        # A copy is finished, so that the bytes of the whole do not depend on when anybody looked.
        return b"".join(self._compressed) + self._compressor.copy().flush()


class Chunks:
    """The chunks of one partition, built in the order of offsets."""

    def __init__(  # noqa: PLR0913
        self,
        topic: str,
        topic8: str,
        partition: int,
        first: int,
        *,
        resumed: ChunkKey | None = None,
        max_bytes: int = MAX_CHUNK_BYTES,
    ) -> None:
        """Begin at offset `first`, where the object `resumed` begins as well, if given."""
        self._names = (topic, topic8, partition)
        self._max_bytes = max_bytes
        self._resumed = resumed
        #: Offset that the open chunk must reach before it may end.
        self.least_last = -1
        #: Offset after the last record taken.
        self.next = first
        #: First offset that is in no chunk.
        self._first = first
        self.open: Chunk | None = None

    def take(self, records: Iterable[RawRecord]) -> list[Chunk]:
        """Add records; return the chunks that ended."""
        return [ended for record in records if (ended := self._take(record))]

    def _take(self, record: RawRecord) -> Chunk | None:
        self.next = record.offset + 1
        lines = archived(record.value, record.broker_ms) if record.value and not record.control else b""
        hour = record.broker_ms // HOUR_MS
        ended = None
        if lines and self.open and not self._fits(self.open, len(lines), hour):
            ended = self._end(self.open)
        # Records without lines have their place in an object too: once the log has forgotten them, nothing else tells
        # that they were seen.
        if not self.open:
            self.open = Chunk(self._key(record.broker_ms), self._first, hour)
        self.open.add(lines, record.offset)
        if record.control and record.offset >= self.least_last:
            ended = self._end(self.open)
        return ended

    def _fits(self, chunk: Chunk, size: int, hour: int) -> bool:
        if chunk.last < self.least_last:
            return True
        return chunk.hour == hour and chunk.size + size <= self._max_bytes

    def _end(self, chunk: Chunk) -> Chunk:
        self.open = None
        self._first = chunk.last + 1
        return chunk

    def _key(self, broker_ms: int) -> str:
        """Return where a chunk that begins now goes; an object that is there already keeps its name."""
        resumed, self._resumed = self._resumed, None
        return (resumed or ChunkKey(dt_of_ms(broker_ms), *self._names, self._first)).encode()
