"""Raw lines as columns: what each line says, by JSON type, before any rule is applied. Pure.

Shares nothing with the code that folds the stream, so that a mistake there shows here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa


class RawLine(NamedTuple):
    """One archived line, and where it stands."""

    #: Place in the order of deliveries; lines of one client compare by it.
    at: int
    #: UTC day of the broker's time: the day in the object's key.
    broker_dt: str
    value: bytes


class UnreadableLineError(Exception):
    """An archived line lacks what the archive promises."""


#: Text is kept as bytes of UTF-8: names may hold U+0000, and compare by their bytes.
SCHEMA: Final = pa.schema(
    [
        pa.field("place", pa.int64()),
        pa.field("broker_dt", pa.string()),
        pa.field("valid", pa.bool_()),
        pa.field("delivered_ms", pa.int64()),
        pa.field("event_ts", pa.int64()),
        pa.field("tz_offset_min", pa.int64()),
        pa.field("event_type", pa.binary()),
        pa.field("video", pa.binary()),
        pa.field("channel", pa.binary()),
        pa.field("delta_ms", pa.int64()),
        pa.field("background", pa.bool_()),
        pa.field("ad", pa.bool_()),
        pa.field("client", pa.binary()),
        pa.field("seq_epoch", pa.binary()),
        pa.field("seq", pa.int64()),
        pa.field("event_id", pa.binary()),
    ],
)
_TEXT: Final = frozenset(field.name for field in SCHEMA if pa.types.is_binary(field.type))
_BATCH: Final = 50_000


def batches(lines: Iterable[RawLine], size: int = _BATCH) -> Iterator[pa.RecordBatch]:
    """Yield the lines as record batches of `SCHEMA`."""
    rows: list[tuple[Any, ...]] = []
    for line in lines:
        rows.append(_columns(line))
        if len(rows) == size:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(column, pa.string()).cast(pa.binary()) if field.name in _TEXT else pa.array(column, field.type)
        for field, column in zip(SCHEMA, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


_INVALID: Final = (False, *(None,) * (len(SCHEMA) - 3))


def _columns(line: RawLine) -> tuple[Any, ...]:
    event = _object(line.value)
    if event is None or event.get("event_type") is None or event.get("event_ts") is None or event.get("tab_id") is None:
        return (line.at, line.broker_dt, *_INVALID)
    delivered = _int(event.get("received_at"))
    if delivered is None:
        raise UnreadableLineError(
            f"a line of raw day {line.broker_dt} has no received_at, which the archive writes into each event: "
            f"{line.value[:200]!r}; was this object written by another program?",
        )
    seq, epoch = _int(event.get("seq")), _text(event.get("seq_epoch"))
    numbered = seq is not None and epoch is not None and 0 <= seq < 2**53
    event_id = event.get("event_id")
    return (
        line.at,
        line.broker_dt,
        True,
        delivered,
        _int(event["event_ts"]),
        _int(event.get("tz_offset_min")),
        _text(event["event_type"]),
        _text(event.get("video_id")),
        _text(event.get("channel_name")),
        _int(event.get("watch_ms_delta")),
        event.get("watch_mode") == "background",
        event.get("ad") is True,
        _text(event.get("client_id")) or _text(event.get("client_session_id")),
        epoch if numbered else None,
        seq if numbered else None,
        # An empty id is an id; one with a number is not looked at.
        event_id if isinstance(event_id, str) and not numbered else None,
    )


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _int(value: object) -> int | None:
    """Return an integer of signed 64 bit; true and 1.0 are none."""
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _text(value: object) -> str | None:
    """Return a string that is not empty."""
    return value if isinstance(value, str) and value else None
