"""One raw object's lines as a file of columns. Pure, but for the file that it writes.

Apart from what finds and fetches objects, because worker processes import this and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.rebuild_columns import columns, foreign_delivery, own_delivery
from sinks.rebuild_lines import content, foreign_lines, strict_lines
from sinks.reconcile_lines import SCHEMA
from streams.contract.event import Event, decode_events, decode_line

#: A place is the number of its object and, below these bits, the line's number in it.
LINE_BITS: Final = 32


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


def write_part(order: Order, body: bytes) -> None:
    """Write the part of an object with this content; it appears under its name when it is whole."""
    table = pa.Table.from_batches([_read(order, content(order.key, body))], schema=SCHEMA)
    partial = order.path.with_suffix(".partial")
    pq.write_table(table, partial, compression="lz4", use_dictionary=["broker_dt", "event_type", "video", "channel"])
    partial.replace(order.path)


def _read(order: Order, text: bytes) -> pa.RecordBatch:
    first_place = order.number << LINE_BITS
    if not order.foreign:
        return columns(decode_events(text), order.dt, own_delivery(order.key), first_place=first_place, identified=True)
    return columns(
        _foreign(text, order.reading),
        order.dt,
        foreign_delivery(order.dt),
        first_place=first_place,
        identified=order.reading.dedupe,
    )


def _foreign(text: bytes, reading: Reading) -> Sequence[Event | None]:
    if reading.strict:
        return [decode_line(line) for line in strict_lines(text)]
    events = decode_events(text)
    # Most objects hold an event a line; only where one does not, a closer look is taken.
    return [decode_line(line) for line in foreign_lines(text)] if None in events else events
