r"""A short way for what nearly every request is: good events of one client and nothing else. Pure.

Such events are checked all at once, by types made from the contract, and they are not written one by one: the text of
all of them is cut where one ends and the next begins, and each piece gets its end. Whatever is unusual takes the long
way (intake.py, validate.py), which alone says what is wrong; the short way only has to be sure where it says yes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from gateway.body import compact
from streams.contract.event import (
    BASE_FIELDS,
    INT64_MAX,
    INT64_MIN,
    MAX_CODE_POINTS,
    MAX_DELTA_MS,
    MAX_EVENT_BYTES,
    REQUIRED_BY_TYPE,
    SCHEMA,
)

_BETWEEN: Final = b"},{"
#: Names that must be there, or be filled, wherever they are demanded.
_IDS: Final = frozenset({"event_id", "client_session_id", "tab_id", "video_id", "video_session_id"})
_NEVER: Final = Annotated[str, Meta(min_length=1, max_length=0)]
_RULES: Final[dict[str, Any]] = {
    "schema": Literal[SCHEMA],
    "event_ts": Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)],
    "watch_ms_delta": Annotated[int, Meta(ge=0, le=MAX_DELTA_MS)],
    "is_visible": bool,
}


def plain_lines(events: Sequence[Any], text: bytes, client: str | None, end: bytes) -> tuple[str, bytes] | None:
    """Return the client and the lines of plain events, None when one of them is not plain.

    `text`: the events as one compact JSON list. `client`: whose they are whatever they say, None: as they say.
    `end`: what each line ends with, up to the client.
    """
    try:
        msgspec.convert({"events": events}, _Plain)
    except msgspec.ValidationError:
        return None
    whose = events[0]["client_session_id"]
    for event in events:
        if event["client_session_id"] != whose or _is_blank(event):
            return None
    # Between two events stands "},{", always. More of them stand in names or nested values, where nothing may be cut:
    # a client could forge a line.
    pieces = text[2:-2].split(_BETWEEN)
    if len(pieces) != len(events) or max(map(len, pieces)) > MAX_EVENT_BYTES - len(b"{}"):
        return None
    whose = client or whose
    tail = b'%b"client_id":%b}\n' % (end, compact(whose))
    return whose, b"{" + (tail + b"{").join(pieces) + tail


def _is_blank(event: dict[str, Any]) -> bool:
    """Whether a name that must be filled holds white space only."""
    if event["event_id"].isspace() or event["client_session_id"].isspace() or event["tab_id"].isspace():
        return True
    # Types that do not demand them may have null here.
    return (event.get("video_id") or "").isspace() or (event.get("video_session_id") or "").isspace()


def _text(field: str) -> Any:  # noqa: ANN401 - a type
    return Annotated[str, Meta(min_length=int(field in _IDS), max_length=MAX_CODE_POINTS[field])]


def _type_of(event_type: str) -> type[msgspec.Struct]:
    """Return the type of the plain events of one event_type."""
    demanded = [*(field for field in BASE_FIELDS if field != "event_type"), *REQUIRED_BY_TYPE[event_type]]
    others: dict[str, Any] = {field: _text(field) | None for field in MAX_CODE_POINTS if field not in demanded}
    # The gateway's own: what a client sends under these names is taken out, the long way.
    others |= {"received_at": _NEVER, "client_id": _NEVER}
    if event_type == "watch_tick":
        others["watch_mode"] = Literal["foreground", "background"] | None
    fields: list[Any] = [
        (field, _text(field) if field in MAX_CODE_POINTS else _RULES.get(field, Any)) for field in demanded
    ]
    fields += [(field, kind, None) for field, kind in others.items()]
    return msgspec.defstruct(event_type, fields, tag_field="event_type", tag=event_type, gc=False)


_Plain: Final = msgspec.defstruct(
    "_Plain",
    [("events", list[functools.reduce(operator.or_, map(_type_of, REQUIRED_BY_TYPE))])],  # type: ignore[misc]
)
