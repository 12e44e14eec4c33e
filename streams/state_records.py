"""The stored form of a raw partition's state: keys and values of `watch.state`, and the values of `watch.partials`.

Every value carries a version: absent fields and counters read as 0, a newer version is refused.

| key | value |
| --- | --- |
| `_offset` | `Marker`: how far the partition is folded, and under which settings |
| `dt|kind|id|p` | `Share`: counters of one row; key and value are the same bytes in `watch.partials` |
| `_refold`, `_folded|p` (in `watch.partials` only) | `Refold`, `Folded`: a refold under way |
| `["epoch",client,seq_epoch]` | `EpochPiece` |
| `["slot",client,number]` | `SlotPiece`: 64 of the client's last ids |
| `["client",client]` | `ClientPiece`: written when a record of the client changed nothing else |
"""

from __future__ import annotations

import contextlib
from typing import Any, Final, TypeVar

import msgspec
import orjson

VERSION: Final = 1
MARKER_KEY: Final = b"_offset"
#: Keys of `watch.partials` that are no shares: see `Refold` and `Folded`.
REFOLD_KEY: Final = b"_refold"
FOLDED_KEY_PREFIX: Final = b"_folded|"


class NewerStateError(Exception):
    """State or partials were written by a newer release than this one."""


class _Value(msgspec.Struct, omit_defaults=True, gc=False):
    #: Version of the value's shape.
    v: int = 0


class Share(_Value):
    """The counters that one raw partition holds of one row, absolute; order of `Table.counters`."""

    #: Raw offset of the newest record in them.
    offset: int = -1
    counters: list[int] = []
    #: Broker time of that record, ms.
    updated_at: int = 0
    #: The video's channel, and the delivery time of the event that said so, ms.
    channel: str | None = None
    channel_ts: int = 0
    #: Number of the refold that made it.
    generation: int = 0


class Marker(_Value):
    """How far a raw partition is folded, and the settings that its numbers depend on."""

    offset: int = -1
    #: Newest broker time folded, ms.
    log_ms: int = 0
    partitions: int = 0
    shards: int = 0
    day_rule: str = "event"
    client_table: bool = False
    #: Id of `watch.events`, as hex digits.
    topic_id: str = ""
    #: Number of refolds of the stack; days before `first_dt` were not whole in the raw topic at the last one, and
    #: `refold_end` was the end of the raw partition then: shares below it are incomplete until it is reached.
    generation: int = 0
    first_dt: str = ""
    refold_end: int = 0


class Refold(_Value):
    """Says to the sums that `partitions` raw partitions are being folded again from `first_dt` on."""

    generation: int = 0
    partitions: int = 0
    first_dt: str = ""


class Folded(_Value):
    """Says to the sums that one raw partition has reached the end it had when the refold began."""

    generation: int = 0


class EpochPiece(_Value):
    """The sequence numbers seen in one epoch of a client; `hour`: hour of the client's last record."""

    hour: int = 0
    touched: tuple[int, int] = (-1, 0)
    intervals: list[int] = []


class SlotPiece(_Value):
    """One slot of a client's ring of ids; `count`: ids accepted right after the newest write into it."""

    hour: int = 0
    count: int = 0
    hashes: bytes = b""


class ClientPiece(_Value):
    """The hour of a client's last record, when nothing else of the client was written for it."""

    hour: int = 0


encode = msgspec.json.Encoder().encode
_V = TypeVar("_V", bound=_Value)
_decoders: Final[dict[type[Any], msgspec.json.Decoder[Any]]] = {
    shape: msgspec.json.Decoder(shape) for shape in (Share, Marker, Refold, Folded, EpochPiece, SlotPiece, ClientPiece)
}


def decode(shape: type[_V], value: bytes) -> _V:
    """Return a stored value; NewerStateError when a newer release wrote it."""
    try:
        decoded: _V = _decoders[shape].decode(value)
    except msgspec.ValidationError:
        _refuse_newer(shape, msgspec.json.decode(value, type=_Value))  # which may have another shape, too
        raise
    _refuse_newer(shape, decoded)
    return decoded


def _refuse_newer(shape: type[_Value], decoded: _Value) -> None:
    if decoded.v > VERSION:
        raise NewerStateError(
            f"a {shape.__name__} of version {decoded.v} was found, this release reads up to {VERSION}: "
            "run the release that wrote it, or `watchtime refold` to fold the raw topic again"
        )


class _Known(_Value):
    """What is asked of a marker that cannot be read otherwise."""

    topic_id: str = ""
    generation: int = 0
    first_dt: str = ""


def decode_for_refold(value: bytes, topic_id: str) -> Marker:
    """Return a marker; of one that this release cannot read, or that is damaged, what a new folding must know of it.

    Its offset is then -1, which says that nothing is known of what was folded.
    """
    try:
        return decode(Marker, value)
    except (NewerStateError, msgspec.MsgspecError, UnicodeDecodeError):
        known = _Known()
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            known = msgspec.json.decode(value, type=_Known)
        return Marker(topic_id=known.topic_id or topic_id, generation=known.generation, first_dt=known.first_dt)


def epoch_key(client_id: str, seq_epoch: str) -> bytes:
    """Return the key of an epoch of a client."""
    return orjson.dumps(("epoch", client_id, seq_epoch))


def slot_key(client_id: str, number: int) -> bytes:
    """Return the key of a slot of a client's ring."""
    return orjson.dumps(("slot", client_id, number))


def client_key(client_id: str) -> bytes:
    """Return the key of the hour of a client's last record."""
    return orjson.dumps(("client", client_id))


def is_piece_key(key: bytes) -> bool:
    """Return whether a key belongs to a client's window (else it is the marker's or a share's)."""
    return key.startswith(b"[")


def decode_piece_key(key: bytes) -> tuple[str, str, str | int | None]:
    """Return (piece, client_id, name or number) of a client piece's key."""
    piece, client_id, *rest = orjson.loads(key)
    return piece, client_id, rest[0] if rest else None
