"""Lines of a client that asked to be forgotten: what remains of them counts as before and tells nobody.

Ids are replaced by keyed hashes, equal ones by equal ones, so that repeats are still told; with the key gone, no one
can tell whose they were. Of all else only what counting looks at stays, and a few fields that hold a number or one of
a few words. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import orjson

from streams.contract.event import FORGOTTEN_PREFIX, REQUIRED_BY_TYPE

_DIGEST_BYTES: Final = 16
#: Stands for a value that is there, but of a type that does not count.
_ODD: Final = False
#: An invalid line stays one.
_NOTHING: Final = b"{}"


class Anonymiser:
    """Takes one client out of lines."""

    def __init__(self, client_id: str, key: bytes) -> None:
        self._client_id = client_id
        self._key = key
        # In a line that is no JSON the id may stand as it is or escaped.
        self._spellings = {client_id.encode(), orjson.dumps(client_id)[1:-1]}

    def lines(self, lines: list[bytes]) -> tuple[bytes, int]:
        r"""Return lines without the client, each ending with `\n`, and how many were its."""
        changed = 0
        for at, line in enumerate(lines):
            new = self._line(line)
            if new != line:
                lines[at] = new
                changed += 1
        return b"".join(line + b"\n" for line in lines), changed

    def _line(self, line: bytes) -> bytes:
        try:
            fields = orjson.loads(line)
        except orjson.JSONDecodeError:
            return _NOTHING if any(spelling in line for spelling in self._spellings) else line
        if not isinstance(fields, dict):
            return line
        client, session = _id(fields, "client_id"), _id(fields, "client_session_id")
        if (client or session) == self._client_id:
            return orjson.dumps(self._anonymous(fields))
        if session == self._client_id:
            # Another client's line, from the same browser profile.
            return orjson.dumps({**fields, "client_session_id": self._forgotten(session)})
        return line

    def _anonymous(self, fields: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in fields.items():
            if name in _CLIENT_IDS:
                if isinstance(value, str) and value:
                    kept[name] = self._forgotten(value)
            elif name in _IDS:
                if isinstance(value, str):
                    # An empty id is an id, an empty epoch is none.
                    kept[name] = self._pseudonym(name, value) if value or name == "event_id" else value
            elif name == "tab_id":
                # Whatever it is, that it is there makes the line valid.
                kept[name] = None if value is None else self._pseudonym(name, repr(value))
            elif (rule := _KEPT.get(name)) is not None and (value is None or rule(value)):
                kept[name] = value
            elif name in _DEMANDED:
                kept[name] = _ODD
        return kept

    def _pseudonym(self, field: str, value: str) -> str:
        """Return what stands for a value: equal for equal within a field, never made again without the key."""
        digest = hashlib.blake2b(f"{field}\0{value}".encode(), key=self._key, digest_size=_DIGEST_BYTES)
        return digest.hexdigest()

    def _forgotten(self, client_id: str) -> str:
        """Return what stands for a client's id; it has no row of its own in any table."""
        return FORGOTTEN_PREFIX + self._pseudonym("client", client_id)


def _id(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _boolean(value: object) -> bool:
    return isinstance(value, bool)


def _string(value: object) -> bool:
    return isinstance(value, str)


def _one_of(*words: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in words


_CLIENT_IDS: Final = ("client_id", "client_session_id")
_IDS: Final = ("event_id", "video_session_id", "seq_epoch")
#: A line without these is invalid; a value of a type that does not count is still there.
_DEMANDED: Final = ("event_type", "event_ts")
#: Fields that stay if their value passes; all others go, urls among them.
_KEPT: Final[dict[str, Callable[[object], bool]]] = {
    "schema": _number,
    "event_ts": _number,
    "event_type": _one_of(*REQUIRED_BY_TYPE),
    "received_at": _number,
    "tz_offset_min": _number,
    "video_id": _string,
    "channel_name": _string,
    "channel_id": _string,
    "watch_ms_delta": _number,
    "watch_mode": _one_of("foreground", "background"),
    "ad": _boolean,
    "seq": _number,
    "content_ms": _number,
    "is_visible": _boolean,
    "fg_reason": _one_of("visible", "pip"),
    "page_type": _one_of("watch", "shorts", "live", "embed", "music", "miniplayer"),
}
