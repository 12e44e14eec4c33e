"""The one gate of events: the first rule that an event breaks, in the contract's words and order. Pure."""

from __future__ import annotations

from typing import Any, Final

from streams.contract.event import (
    BASE_FIELDS,
    MAX_CODE_POINTS,
    MAX_DELTA_MS,
    MAX_EVENT_BYTES,
    REQUIRED_BY_TYPE,
    SCHEMA,
    int64_or_none,
)

NOT_AN_OBJECT: Final = "event is not an object"
_IDS: Final = ("event_id", "client_session_id", "tab_id")
_VIDEO_IDS: Final = ("video_id", "video_session_id")
_WATCH_MODES: Final = (None, "foreground", "background")
_LIMITS: Final = tuple(MAX_CODE_POINTS.items())


def verdict(event: object, size_bytes: int) -> str | None:
    """Return why an event is rejected, None when it is accepted; `size_bytes`: its compact JSON as sent."""
    if not isinstance(event, dict):
        return NOT_AN_OBJECT
    return _base(event) or _by_type(event) or _limits(event, size_bytes)


def client_key(event: object) -> str | None:
    """Return the client of a rejected event where it names one that could be a key, else None."""
    if not isinstance(event, dict):
        return None
    client = event.get("client_session_id")
    if isinstance(client, str) and _is_text(client) and len(client) <= MAX_CODE_POINTS["client_session_id"]:
        return client
    return None


def _base(event: dict[str, Any]) -> str | None:
    """Check what every event has."""
    for field in BASE_FIELDS:
        if field not in event:
            return f"missing {field}"
    if event["schema"] != SCHEMA:
        return "unsupported schema"
    for field in _IDS:
        if not _is_text(event[field]):
            return f"invalid {field}"
    if int64_or_none(event["event_ts"]) is None:
        return "event_ts must be int (epoch ms)"
    event_type = event["event_type"]
    if not isinstance(event_type, str) or event_type not in REQUIRED_BY_TYPE:
        return "invalid event_type"
    return None


def _by_type(event: dict[str, Any]) -> str | None:
    """Check what the event's type demands."""
    event_type = event["event_type"]
    required = REQUIRED_BY_TYPE[event_type]
    for field in required:
        if field not in event:
            return f"missing {field} for {event_type}"
    if "video_id" in required:
        for field in _VIDEO_IDS:
            if not _is_text(event[field]):
                return f"{field} must be non-empty string"
    if event_type == "watch_tick":
        return _tick(event)
    if event_type == "visibility_change" and not isinstance(event["is_visible"], bool):
        return "is_visible must be boolean"
    return None


def _tick(event: dict[str, Any]) -> str | None:
    delta = event["watch_ms_delta"]
    if type(delta) is not int or not 0 <= delta <= MAX_DELTA_MS:
        return f"watch_ms_delta must be int 0..{MAX_DELTA_MS}"
    if event.get("watch_mode") not in _WATCH_MODES:
        return "watch_mode must be foreground|background (or omitted)"
    return None


def _limits(event: dict[str, Any], size_bytes: int) -> str | None:
    """Check lengths, in code points of strings and bytes of the whole."""
    for field, limit in _LIMITS:
        value = event.get(field)
        if isinstance(value, str) and len(value) > limit:
            return f"{field} too long"
    return "event too large" if size_bytes > MAX_EVENT_BYTES else None


def _is_text(value: object) -> bool:
    """Whether a value is a string with more than white space in it."""
    return isinstance(value, str) and not value.isspace() and value != ""
