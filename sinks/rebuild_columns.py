"""Raw lines as columns for a rebuild: what the stream's own decoder reads in them, many at a time. Pure.

The reconciliation reads lines in a way of its own (sinks/reconcile_lines.py), and both must give the same columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from sinks.reconcile_lines import SCHEMA, UnreadableLineError
from streams.contract.days import DAY_MS, MAX_CLOCK_SKEW_MS, day_start_ms
from streams.contract.event import MAX_SEQ, Event, int64_or_none

_NO_EVENT: Final = Event()

#: Gives the delivery time of each event, epoch ms; None for a line that is no event.
Delivered = Callable[[Sequence[Event | None]], list[int | None]]


def own_delivery(key: str) -> Delivered:
    """Return how lines of the archive tell their delivery: they carry it."""

    def delivered(events: Sequence[Event | None]) -> list[int | None]:
        stamps = [None if event is None else event.received_at for event in events]
        if None in stamps:
            for line, event in enumerate(events):
                if event is not None and event.received_at is None:
                    raise UnreadableLineError(
                        f"line {line} of {key} has no received_at, which the archive writes into each event; "
                        "was this object written by another program?"
                    )
        return stamps

    return delivered


def foreign_delivery(dt: str) -> Delivered:
    """Return how lines of the reference tell their delivery: the object's name tells the day, and no more.

    So it is the moment of that day which is nearest to the gateway's stamp, if the line has a believable one, else
    to the event's own time.
    """
    first = day_start_ms(dt)
    last = first + DAY_MS - 1

    def delivered(event: Event) -> int:
        stamp = event.received_at
        if stamp is None or not first - MAX_CLOCK_SKEW_MS <= stamp <= last + MAX_CLOCK_SKEW_MS:
            stamp = event.event_ts
        return first if stamp is None else min(max(stamp, first), last)

    return lambda events: [None if event is None else delivered(event) for event in events]


def columns(
    events: Sequence[Event | None], dt: str, delivered: Delivered, *, first_place: int, identified: bool
) -> pa.RecordBatch:
    """Return lines as a batch of the recount's schema.

    `dt`: day of the object's key; `first_place`: place of the first line; `identified`: whether repeats are told.
    """
    known = [event or _NO_EVENT for event in events]
    # An event whose number is valid is told by it, others by their id, which may be the empty string.
    numbered = [
        identified and event.seq is not None and bool(event.seq_epoch) and 0 <= event.seq <= MAX_SEQ for event in known
    ]
    pairs = list(zip(known, numbered, strict=True))
    arrays = [
        pa.array(range(first_place, first_place + len(known)), pa.int64()),
        pa.repeat(pa.scalar(dt), len(known)),
        pa.array([event is not None for event in events], pa.bool_()),
        pa.array(delivered(events), pa.int64()),
        _integers([event.event_ts for event in known]),
        _integers([event.tz_offset_min for event in known]),
        _text([event.event_type or None for event in known]),
        _text([event.video_id or None for event in known]),
        _text([event.channel_name or None for event in known]),
        _integers([event.watch_ms_delta for event in known]),
        pa.array([event.watch_mode == "background" for event in known], pa.bool_()),
        pa.array([event.ad is True for event in known], pa.bool_()),
        _text([event.client_id or event.client_session_id or None for event in known]),
        _text([event.seq_epoch if by_number else None for event, by_number in pairs]),
        _integers([event.seq if by_number else None for event, by_number in pairs]),
        _text([event.event_id if identified and not by_number else None for event, by_number in pairs]),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _integers(values: list[int | None]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        # The decoder lets numbers beyond 64 bit through, which are no integers where events are counted.
        return pa.array([int64_or_none(value) for value in values], pa.int64())


def _text(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string()).cast(pa.binary())
