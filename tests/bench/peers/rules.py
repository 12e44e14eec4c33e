"""The reference's rules for one event, in plain Python."""

from __future__ import annotations

from typing import Any

BASE = ("schema", "event_id", "event_ts", "event_type", "client_session_id", "tab_id")
REQUIRED = {
    "video_start": ("video_id", "video_session_id"),
    "video_stop": ("video_id", "video_session_id"),
    "watch_tick": ("video_id", "video_session_id", "watch_ms_delta"),
    "visibility_change": ("is_visible",),
    "player_state_change": ("new_state",),
    "context_missing": ("context_type",),
}
MODES = {None, "foreground", "background"}


def verdict(event: Any) -> str | None:
    """Return what is wrong with an event, None when nothing is."""
    if not isinstance(event, dict):
        return "event is not an object"
    return _base_verdict(event) or _type_verdict(event)


def _base_verdict(event: dict[str, Any]) -> str | None:
    for name in BASE:
        if name not in event:
            return f"missing {name}"
    if event["schema"] != 1:
        return "unsupported schema"
    for name in ("event_id", "client_session_id", "tab_id"):
        if not _is_text(event[name]):
            return f"invalid {name}"
    return None if _is_int(event["event_ts"]) else "event_ts must be int (epoch ms)"


def _type_verdict(event: dict[str, Any]) -> str | None:
    kind = event["event_type"]
    if kind not in REQUIRED:
        return "invalid event_type"
    for name in REQUIRED[kind]:
        if name not in event:
            return f"missing {name} for {kind}"
    for name in REQUIRED[kind]:
        if name.startswith("video_") and not _is_text(event[name]):
            return f"{name} must be non-empty string"
    return _value_verdict(event, kind)


def _value_verdict(event: dict[str, Any], kind: str) -> str | None:
    if kind == "watch_tick":
        delta = event["watch_ms_delta"]
        if not _is_int(delta) or not 0 <= delta <= 60_000:
            return "watch_ms_delta must be int 0..60000"
        if event.get("watch_mode") not in MODES:
            return "watch_mode must be foreground|background (or omitted)"
    if kind == "visibility_change" and not isinstance(event["is_visible"], bool):
        return "is_visible must be boolean"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
