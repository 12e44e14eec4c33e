"""What the raw archive keeps of a record: its lines, byte for byte, with the delivery time used in each. Pure.

The gateway stamps every event with `received_at`; where a line lacks it, or carries one that is not believed,
the delivery time that counting uses is written in, so that the archive alone tells how the line counted.
"""

from __future__ import annotations

from typing import Final

import msgspec
import orjson

from streams.contract.days import delivery_ms
from streams.contract.event import int64_or_none, split_lines

_FIELD: Final = "received_at"


class _Stamp(msgspec.Struct, gc=False):
    received_at: int | msgspec.UnsetType = msgspec.UNSET


_stamp = msgspec.json.Decoder(_Stamp).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def archived(value: bytes, broker_ms: int) -> bytes:
    r"""Return the lines of a record as the archive keeps them, each ending with `\n`."""
    lines = split_lines(value)
    kept = [_archived_line(line, broker_ms) for line in lines]
    kept.append(b"")
    return b"\n".join(kept)


def _archived_line(line: bytes, broker_ms: int) -> bytes:
    try:
        received_at = _stamp(line).received_at
    except msgspec.ValidationError:
        # Another JSON value, or an object whose received_at is no number at all.
        return _restamped(line, broker_ms)
    except (msgspec.DecodeError, RecursionError):  # the latter: nested beyond any limit of ours
        return line
    if received_at is msgspec.UNSET:
        return _spliced(line, broker_ms)
    if delivery_ms(int64_or_none(received_at), broker_ms) == received_at:
        return line
    return _restamped(line, broker_ms)


def _spliced(line: bytes, broker_ms: int) -> bytes:
    """Write the field behind the opening brace and leave the rest as it was sent."""
    before, brace, rest = line.partition(b"{")
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return b'%b%b"%b":%d%b%b' % (before, brace, _FIELD.encode(), broker_ms, comma, rest)


def _restamped(line: bytes, broker_ms: int) -> bytes:
    """Write an object anew with another received_at; the other values keep their bytes."""
    try:
        fields = _fields(line)
        # The fold takes a line with a number beyond all bounds for no event; so must a count from the archive.
        orjson.loads(line)
    except (msgspec.DecodeError, orjson.JSONDecodeError, RecursionError):
        return line
    if _FIELD in fields and _is_used(fields[_FIELD], broker_ms):
        return line  # only an earlier field of this name was odd, and the last one counts
    fields[_FIELD] = msgspec.Raw(b"%d" % broker_ms)
    return msgspec.json.encode(fields)


def _is_used(received_at: msgspec.Raw, broker_ms: int) -> bool:
    try:
        stamp = int64_or_none(msgspec.json.decode(received_at))
    except msgspec.DecodeError:
        return False
    return stamp is not None and delivery_ms(stamp, broker_ms) == stamp
