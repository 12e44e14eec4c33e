"""The fields of an event that counting looks at, and what an event adds to its video and its channel."""

from __future__ import annotations

import msgspec

DAY_MS = 86_400_000
FOREGROUND, BACKGROUND, VIEWS = range(3)


class Event(msgspec.Struct, gc=False):
    """The least that daily totals need; a peer that drops repeats needs the id as well."""

    event_type: str
    event_ts: int
    event_id: str
    video_id: str | None = None
    channel_name: str | None = None
    watch_ms_delta: int = 0
    watch_mode: str | None = None


_decoder = msgspec.json.Decoder(Event)
decode = _decoder.decode
decode_lines = _decoder.decode_lines


def contribution(event: Event) -> tuple[int, int] | None:
    """Return (counter, amount), None when the event adds nothing."""
    if event.event_type == "video_start":
        return VIEWS, 1
    if event.event_type != "watch_tick" or event.watch_ms_delta <= 0 or not event.video_id:
        return None
    return BACKGROUND if event.watch_mode == "background" else FOREGROUND, event.watch_ms_delta
