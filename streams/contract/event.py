"""The event: one line of a `watch.events` record, and the limits a gateway holds it to.

Decoding is total: every byte string is either an `Event` or an invalid line (`None`). The typed decoder
takes what well-behaved clients send; a line with a field of an unexpected type goes through the lenient
path, where such a field reads as absent, as the counting rules demand.
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

SCHEMA: Final = 1
BASE_FIELDS: Final = ("schema", "event_id", "event_ts", "event_type", "client_session_id", "tab_id")
#: Fields each event type demands beside the base, in the order in which they are checked.
REQUIRED_BY_TYPE: Final[dict[str, tuple[str, ...]]] = {
    "video_start": ("video_id", "video_session_id"),
    "video_stop": ("video_id", "video_session_id"),
    "watch_tick": ("video_id", "video_session_id", "watch_ms_delta"),
    "visibility_change": ("is_visible",),
    "player_state_change": ("new_state",),
    "context_missing": ("context_type",),
}
MAX_DELTA_MS: Final = 60_000
#: Longest strings accepted, in code points, in the order in which they are checked.
MAX_CODE_POINTS: Final[dict[str, int]] = {
    "event_id": 128,
    "client_session_id": 128,
    "tab_id": 128,
    "video_id": 128,
    "video_session_id": 128,
    "channel_id": 128,
    "seq_epoch": 128,
    "channel_name": 256,
    "channel_handle": 256,
    "url": 2_048,
    "channel_url": 2_048,
}
MAX_EVENT_BYTES: Final = 16_384
MAX_BODY_BYTES: Final = 512 * 1024
MAX_BATCH_EVENTS: Final = 500
MAX_NESTING: Final = 64
MAX_SEQ: Final = 2**53 - 1
#: How the ids begin that stand in the archive for those of forgotten clients; they have no client row.
FORGOTTEN_PREFIX: Final = "forgotten-"
INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1


class Event(msgspec.Struct, gc=False):
    """The fields of a valid line that counting looks at; None: absent, null or of a type that does not count.

    Times are epoch milliseconds, `watch_ms_delta` milliseconds, `tz_offset_min` minutes (JavaScript's sign).
    """

    event_type: str | None = None
    event_ts: int | None = None
    tab_id: str | None = None
    video_id: str | None = None
    channel_name: str | None = None
    watch_ms_delta: int | None = None
    watch_mode: str | None = None
    ad: bool | None = None
    seq: int | None = None
    seq_epoch: str | None = None
    event_id: str | None = None
    client_id: str | None = None
    client_session_id: str | None = None
    received_at: int | None = None
    tz_offset_min: int | None = None


_decoder = msgspec.json.Decoder(Event)
_utf8_decoder = codecs.getincrementaldecoder("utf-8")
_UTF8_BLOCK: Final = 16_384
_STR_FIELDS = ("video_id", "channel_name", "watch_mode", "seq_epoch", "event_id", "client_id", "client_session_id")
_INT_FIELDS = ("watch_ms_delta", "seq", "received_at", "tz_offset_min")


def decode_events(value: bytes) -> Sequence[Event | None]:
    """Return the event of each line of a record's value, None for a line that counts as invalid."""
    if 0 <= value.find(b"\n") == len(value) - 1:  # one line: white space at its end is JSON's
        return (decode_line(value),)
    lines = split_lines(value)
    if value.isascii() or _is_utf8(value):
        # Where a line is not as well-behaved clients send it, each is looked at by itself.
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return [event if _is_valid(event) else None for event in map(_decoder.decode, lines)]
    return [decode_line(line) for line in lines]


def decode_line(line: bytes) -> Event | None:
    """Return the event of one line, or None when it counts as invalid."""
    # The decoder does not look into strings that it passes over.
    if not (line.isascii() or _is_utf8(line)):
        return None
    try:
        event = _decoder.decode(line)
    except msgspec.ValidationError:
        return _decode_leniently(line)
    except (msgspec.DecodeError, RecursionError):  # the latter: nested beyond any limit of ours
        return None
    return event if _is_valid(event) else None


def _is_valid(event: Event) -> bool:
    return event.event_type is not None and event.event_ts is not None and event.tab_id is not None


def _is_utf8(text: bytes) -> bool:
    """Tell whether a text is valid; a long one block by block, for one string of all of it would be slow to make."""
    try:
        if len(text) <= _UTF8_BLOCK:
            text.decode()
            return True
        decoder, view = _utf8_decoder(), memoryview(text)
        for start in range(0, len(text), _UTF8_BLOCK):
            decoder.decode(view[start : start + _UTF8_BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decode_leniently(line: bytes) -> Event | None:
    """Read a line whose fields have unexpected types; each such field reads as absent."""
    try:
        fields: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    if any(fields.get(name) is None for name in ("event_type", "event_ts", "tab_id")):
        return None
    event = Event(
        event_type=_str_or_none(fields["event_type"]),
        event_ts=int64_or_none(fields["event_ts"]),
        tab_id=_str_or_none(fields["tab_id"]),
        ad=fields.get("ad") is True,
    )
    for name in _STR_FIELDS:
        setattr(event, name, _str_or_none(fields.get(name)))
    for name in _INT_FIELDS:
        setattr(event, name, int64_or_none(fields.get(name)))
    return event


def split_lines(value: bytes) -> list[bytes]:
    r"""Split a record's value at `\n` only; the piece after the last one is no line when empty."""
    lines = value.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def int64_or_none(value: object) -> int | None:
    """Return `value` if it is an int as the contract means it: no bool, no fraction, inside signed 64 bit."""
    if type(value) is int and INT64_MIN <= value <= INT64_MAX:
        return value
    return None


def _str_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None
