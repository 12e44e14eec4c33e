"""One raw object's lines as a file of columns. Pure, but for the file that it writes.

Apart from what finds and fetches objects, because worker processes import this and nothing else.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.line_columns import INVALID, Line, Origin, columns, read_lines, read_text
from sinks.rebuild_lines import content, foreign_lines, strict_lines

#: A place is the number of its object and, below these bits, the line's number in it.
LINE_BITS: Final = 32
#: From malloc.h, with how much may lie free, and the greatest block that is taken from it (glibc takes no more).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES: Final = 256 * 1024 * 1024
_GREATEST_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How lines are read."""

    #: The reference's objects as its own processor reads them.
    strict: bool = False
    #: Whether repeats are told in the reference's objects too.
    dedupe: bool = False


@dataclass(frozen=True)
class Order:
    """What a worker needs to know of a part."""

    key: str
    dt: str
    number: int
    foreign: bool
    reading: Reading
    path: Path


def keep_memory() -> None:
    """Have freed memory stay with this process.

    glibc gives an object's memory back after each, and the kernel hands it out anew page by page for the next one: an
    eighth of the whole time. Other C libraries do as they do.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _GREATEST_BYTES)


def write_part(order: Order, body: bytes) -> None:
    """Write the part of an object with this content; it appears under its name when it is whole."""
    table = pa.Table.from_batches([_read(order, content(order.key, body, may_be_plain=order.foreign))])
    partial = order.path.with_suffix(".partial")
    # Few values of these columns are new on a line, so that dictionaries are small and fast to write and to read.
    dictionaries = ["broker_dt", "event_type", "video", "channel", "client", "seq_epoch"]
    pq.write_table(table, partial, compression="lz4", use_dictionary=dictionaries, write_statistics=False)
    partial.replace(order.path)


def _read(order: Order, text: bytes) -> pa.RecordBatch:
    first_place = order.number << LINE_BITS
    if not order.foreign:
        return columns(read_text(text), Origin.archive(order.key, order.dt), first_place=first_place)
    return columns(
        _foreign(text, order.reading),
        Origin.foreign(order.key, order.dt),
        first_place=first_place,
        identified=order.reading.dedupe,
    )


def _foreign(text: bytes, reading: Reading) -> list[Line]:
    if reading.strict:
        return read_lines(strict_lines(text))
    lines = read_text(text)
    # Most objects hold an event a line; only where one does not, a closer look is taken.
    return read_lines(foreign_lines(text)) if INVALID in lines else lines
