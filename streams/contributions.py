"""What one valid event counts for: the rules of the daily tables, as plain values.

The rules are those of the reference's batch processor; they look at one event and nothing else.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from streams.contract.event import MAX_DELTA_MS, Event
from streams.contract.rows import INGEST_COUNTERS, WATCH_COUNTERS

FG: Final = WATCH_COUNTERS.index("watch_ms_fg")
BG: Final = WATCH_COUNTERS.index("watch_ms_bg")
VIEWS: Final = WATCH_COUNTERS.index("views")
AD: Final = WATCH_COUNTERS.index("ad_ms")
TOTAL: Final = INGEST_COUNTERS.index("total_events")
VALID: Final = INGEST_COUNTERS.index("valid_events")
INVALID: Final = INGEST_COUNTERS.index("invalid_events")
NO_VIDEO: Final = INGEST_COUNTERS.index("ignored_no_video_ticks")
NO_CHANNEL: Final = INGEST_COUNTERS.index("ignored_no_channel_ticks")
DUPLICATE: Final = INGEST_COUNTERS.index("duplicate_events")
MOVED: Final = INGEST_COUNTERS.index("moved_events")


#: What an event adds, as (video_id, channel, column, amount, ignored): `amount` to counter `column` of its video and
#: its channel, 1 to the ingest counter `ignored`. None: that row gets nothing. The hour and client rows get what the
#: video gets. A plain tuple, for there is one for each event.
Contribution: TypeAlias = tuple[str | None, str | None, int, int, int | None]

_NOTHING: Final = (None, None, FG, 0, None)
_NO_VIDEO: Final = (None, None, FG, 0, NO_VIDEO)


def contribution_of(event: Event) -> Contribution:
    """Return what a valid, first-seen event adds to the daily tables."""
    if event.event_type == "watch_tick":
        delta_ms = event.watch_ms_delta
        if delta_ms is None or not 1 <= delta_ms <= MAX_DELTA_MS:
            return _NOTHING
        if not event.video_id:
            return _NO_VIDEO
        column = AD if event.ad is True else BG if event.watch_mode == "background" else FG
        if not event.channel_name:
            return event.video_id, None, column, delta_ms, NO_CHANNEL
        return event.video_id, event.channel_name, column, delta_ms, None
    if event.event_type == "video_start":
        return event.video_id or None, event.channel_name or None, VIEWS, 1, None
    return _NOTHING
