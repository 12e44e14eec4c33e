"""What one event counts for."""

from __future__ import annotations

import pytest

from streams.contract.event import Event
from streams.contributions import AD, BG, FG, NO_CHANNEL, NO_VIDEO, VIEWS, contribution_of

NOTHING = (None, None, FG, 0, None)


def tick(**fields: object) -> Event:
    usual = {"event_type": "watch_tick", "video_id": "v", "channel_name": "c", "watch_ms_delta": 100}
    return Event(**{**usual, **fields})


def start(**fields: object) -> Event:
    return Event(**{"event_type": "video_start", "video_id": "v", "channel_name": "c", **fields})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (tick(), ("v", "c", FG, 100, None)),
        (tick(watch_ms_delta=1), ("v", "c", FG, 1, None)),
        (tick(watch_ms_delta=60_000), ("v", "c", FG, 60_000, None)),
        (tick(watch_ms_delta=0), NOTHING),
        (tick(watch_ms_delta=-1), NOTHING),
        (tick(watch_ms_delta=60_001), NOTHING),
        (tick(watch_ms_delta=None), NOTHING),
        # A delta that does not count is not ignored for its missing video either.
        (tick(watch_ms_delta=0, video_id=None), NOTHING),
        (tick(watch_ms_delta=None, channel_name=None), NOTHING),
        (tick(watch_mode="background"), ("v", "c", BG, 100, None)),
        (tick(watch_mode="foreground"), ("v", "c", FG, 100, None)),
        (tick(watch_mode="Background"), ("v", "c", FG, 100, None)),
        (tick(watch_mode=""), ("v", "c", FG, 100, None)),
        (tick(video_id=None), (None, None, FG, 0, NO_VIDEO)),
        (tick(video_id=""), (None, None, FG, 0, NO_VIDEO)),
        (tick(video_id=" "), (" ", "c", FG, 100, None)),
        (tick(channel_name=None), ("v", None, FG, 100, NO_CHANNEL)),
        (tick(channel_name="", watch_mode="background"), ("v", None, BG, 100, NO_CHANNEL)),
        (tick(ad=True), ("v", "c", AD, 100, None)),
        (tick(ad=True, watch_mode="background"), ("v", "c", AD, 100, None)),
        (tick(ad=True, channel_name=None), ("v", None, AD, 100, NO_CHANNEL)),
        (tick(ad=True, video_id=None), (None, None, FG, 0, NO_VIDEO)),
        (tick(ad=False), ("v", "c", FG, 100, None)),
        (start(), ("v", "c", VIEWS, 1, None)),
        (start(ad=True, watch_ms_delta=100), ("v", "c", VIEWS, 1, None)),
        (start(video_id=None), (None, "c", VIEWS, 1, None)),
        (start(video_id=""), (None, "c", VIEWS, 1, None)),
        (start(channel_name=""), ("v", None, VIEWS, 1, None)),
        (start(video_id=None, channel_name=None), (None, None, VIEWS, 1, None)),
        (tick(event_type="video_stop"), NOTHING),
        (tick(event_type="Watch_tick"), NOTHING),
        (tick(event_type=None), NOTHING),
    ],
)
def test_contributions(event, expected):
    assert contribution_of(event) == expected
