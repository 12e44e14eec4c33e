"""Raw lines as columns, many at a time: what each line says, by JSON type, before any rule is applied. Pure.

Nearly every line holds the types that the contract names, so all lines of an object go through one typed decoder;
only where that refuses one is each line looked at by itself, and what it refuses is read field by field. Shares
nothing with the code that folds the stream, so that a mistake there shows in a count from these columns.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from streams.contract.days import DAY_MS, MAX_CLOCK_SKEW_MS, day_start_ms
from streams.contract.event import INT64_MAX, INT64_MIN, MAX_SEQ, split_lines


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


class Line(msgspec.Struct, gc=False, eq=False):
    """The fields that counting looks at; None: absent, null or of another type.

    They stand in the order in which clients send them, which is the order in which the decoder looks for them.
    """

    event_id: str | None = None
    event_ts: int | None = None
    event_type: str | None = None
    watch_ms_delta: int | None = None
    client_session_id: str | None = None
    tab_id: str | None = None
    video_id: str | None = None
    channel_name: str | None = None
    watch_mode: str | None = None
    ad: bool | None = None
    tz_offset_min: int | None = None
    seq: int | None = None
    seq_epoch: str | None = None
    received_at: int | None = None
    client_id: str | None = None


#: Stands for every line that is no JSON object or lacks what each event has.
INVALID: Final = Line()
_BASE: Final = ("event_type", "event_ts", "tab_id")
_INTEGERS: Final = ("event_ts", "watch_ms_delta", "tz_offset_min", "seq", "received_at")
_TEXTS: Final = tuple(name for name in Line.__struct_fields__ if name not in {*_INTEGERS, "ad"})
_decode: Final = msgspec.json.Decoder(Line).decode


def read_text(text: bytes) -> list[Line]:
    r"""Return the lines of an object, which end with `\n` only."""
    if not _is_utf8(text):
        return read_lines(split_lines(text))
    try:
        # One line after the other, as a list of them all is memory that no cache holds: two thirds of the time.
        found = list(map(_decode, io.BytesIO(text)))
    except (msgspec.DecodeError, RecursionError):
        return [_read(line) for line in split_lines(text)]
    return _checked(found)


def read_lines(lines: Sequence[bytes]) -> list[Line]:
    """Return what each line says, looking at one after the other."""
    # The decoder does not look into strings that it passes over.
    return [_read(line) if _is_utf8(line) else INVALID for line in lines]


def _checked(lines: list[Line]) -> list[Line]:
    """Return the lines, INVALID for each that lacks what every event has."""
    return [
        INVALID if line.event_type is None or line.event_ts is None or line.tab_id is None else line for line in lines
    ]


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read(line: bytes) -> Line:
    try:
        found = _decode(line)
    except msgspec.ValidationError:
        return _read_by_field(line)
    except (msgspec.DecodeError, RecursionError):  # the latter: nested beyond any limit of ours
        return INVALID
    return _checked([found])[0]


def _read_by_field(line: bytes) -> Line:
    """Read a line in which a field has another type than the contract gives it."""
    try:
        event: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return INVALID
    if not isinstance(event, dict) or any(event.get(name) is None for name in _BASE):
        return INVALID
    texts = {name: event[name] for name in _TEXTS if isinstance(event.get(name), str)}
    integers = {name: event[name] for name in _INTEGERS if type(event.get(name)) is int}
    return Line(**texts, **integers, ad=event.get("ad") is True)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where lines come from, and how that tells when they were delivered."""

    key: str
    #: Day in the key.
    dt: str
    #: Gives the delivery times of lines, epoch ms; None for an invalid one.
    delivered: Callable[[Sequence[Line]], list[int | None]]

    @classmethod
    def archive(cls, key: str, dt: str) -> Origin:
        """Return the origin of lines of the archive: it writes the delivery into each event."""
        return cls(key, dt, lambda lines: [line.received_at for line in lines])

    @classmethod
    def foreign(cls, key: str, dt: str) -> Origin:
        """Return the origin of lines of the reference: the object's name tells the day, and no more.

        So they were delivered at the moment of that day which is nearest to the gateway's stamp, if the line has a
        believable one, else to the event's own time.
        """
        first = day_start_ms(dt)
        last = first + DAY_MS - 1

        def delivered(line: Line) -> int:
            stamp = line.received_at
            if stamp is None or not first - MAX_CLOCK_SKEW_MS <= stamp <= last + MAX_CLOCK_SKEW_MS:
                stamp = line.event_ts
            return first if stamp is None else min(max(stamp, first), last)

        return cls(key, dt, lambda lines: [None if line is INVALID else delivered(line) for line in lines])


def columns(lines: Sequence[Line], origin: Origin, *, first_place: int, identified: bool = True) -> pa.RecordBatch:
    """Return lines as a batch of the recount's schema.

    `first_place`: place of the first line; `identified`: whether repeats are told.
    """
    valid = pa.array([line is not INVALID for line in lines], pa.bool_())
    delivered = _integers(origin.delivered(lines))
    _check_delivered(delivered, valid, origin)
    arrays = [
        pc.cumulative_sum(pa.repeat(pa.scalar(1), len(lines)), start=pa.scalar(first_place - 1)),
        pa.repeat(pa.scalar(origin.dt), len(lines)),
        valid,
        delivered,
        _integers([line.event_ts for line in lines]),
        _integers([line.tz_offset_min for line in lines]),
        _text([line.event_type or None for line in lines]),
        _text([line.video_id or None for line in lines]),
        _text([line.channel_name or None for line in lines]),
        _integers([line.watch_ms_delta for line in lines]),
        pa.array([line.watch_mode == "background" for line in lines], pa.bool_()),
        pa.array([line.ad is True for line in lines], pa.bool_()),
        _text([line.client_id or line.client_session_id or None for line in lines]),
        *(_identities(lines) if identified else (pa.nulls(len(lines), kind) for kind in _IDENTITY)),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


_IDENTITY: Final = (pa.binary(), pa.int64(), pa.binary())


def _identities(lines: Sequence[Line]) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return what tells repeats: epoch and number where both are valid, else the id, which may be the empty string."""
    epoch, seq = _text([line.seq_epoch or None for line in lines]), _integers([line.seq for line in lines])
    in_range = pc.and_(pc.greater_equal(seq, 0), pc.less_equal(seq, MAX_SEQ))
    numbered = pc.fill_null(pc.and_(in_range, pc.is_valid(epoch)), fill_value=False)
    no_text, no_integer, _ = (pa.scalar(None, kind) for kind in _IDENTITY)
    if numbered.true_count == len(lines):
        # All lines of our own clients: their ids are not made into a column only to be left out of it.
        return epoch, seq, pa.nulls(len(lines), pa.binary())
    ids = _text([line.event_id for line in lines])
    return (
        pc.if_else(numbered, epoch, no_text),
        pc.if_else(numbered, seq, no_integer),
        pc.if_else(numbered, no_text, ids),
    )


def _check_delivered(delivered: pa.Array, valid: pa.Array, origin: Origin) -> None:
    if delivered.null_count != len(valid) - valid.true_count:
        line = pc.index(pc.and_(valid, pc.is_null(delivered)), value=True).as_py()
        raise UnreadableLineError(
            f"line {line} of {origin.key} has no received_at, which the archive writes into each event; "
            "was this object written by another program?"
        )


def _integers(values: list[int | None]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        # The decoder lets numbers beyond 64 bit through, which are no integers where events are counted.
        return pa.array([v if v is not None and INT64_MIN <= v <= INT64_MAX else None for v in values], pa.int64())


def _text(values: list[str | None]) -> pa.Array:
    return pa.array(values, pa.string()).view(pa.binary())
