"""What one event counts for."""

from __future__ import annotations

import pytest

from streams.contract.event import Event
from streams.contributions import AD, BG, FG, NO_CHANNEL, NO_VIDEO, VIEWS, Contribution, contribution_of

NOTHING = Contribution(None, None, FG, 0, None)


def tick(**fields: object) -> Event:
    usual = {"event_type": "watch_tick", "video_id": "v", "channel_name": "c", "watch_ms_delta": 100}
    return Event(**{**usual, **fields})


def start(**fields: object) -> Event:
    return Event(**{"event_type": "video_start", "video_id": "v", "channel_name": "c", **fields})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (tick(), Contribution("v", "c", FG, 100, None)),
        (tick(watch_ms_delta=1), Contribution("v", "c", FG, 1, None)),
        (tick(watch_ms_delta=60_000), Contribution("v", "c", FG, 60_000, None)),
        (tick(watch_ms_delta=0), NOTHING),
        (tick(watch_ms_delta=-1), NOTHING),
        (tick(watch_ms_delta=60_001), NOTHING),
        (tick(watch_ms_delta=None), NOTHING),
        # A delta that does not count is not ignored for its missing video either.
        (tick(watch_ms_delta=0, video_id=None), NOTHING),
        (tick(watch_ms_delta=None, channel_name=None), NOTHING),
        (tick(watch_mode="background"), Contribution("v", "c", BG, 100, None)),
        (tick(watch_mode="foreground"), Contribution("v", "c", FG, 100, None)),
        (tick(watch_mode="Background"), Contribution("v", "c", FG, 100, None)),
        (tick(watch_mode=""), Contribution("v", "c", FG, 100, None)),
        (tick(video_id=None), Contribution(None, None, FG, 0, NO_VIDEO)),
        (tick(video_id=""), Contribution(None, None, FG, 0, NO_VIDEO)),
        (tick(video_id=" "), Contribution(" ", "c", FG, 100, None)),
        (tick(channel_name=None), Contribution("v", None, FG, 100, NO_CHANNEL)),
        (tick(channel_name="", watch_mode="background"), Contribution("v", None, BG, 100, NO_CHANNEL)),
        (tick(ad=True), Contribution("v", "c", AD, 100, None)),
        (tick(ad=True, watch_mode="background"), Contribution("v", "c", AD, 100, None)),
        (tick(ad=True, channel_name=None), Contribution("v", None, AD, 100, NO_CHANNEL)),
        (tick(ad=True, video_id=None), Contribution(None, None, FG, 0, NO_VIDEO)),
        (tick(ad=False), Contribution("v", "c", FG, 100, None)),
        (start(), Contribution("v", "c", VIEWS, 1, None)),
        (start(ad=True, watch_ms_delta=100), Contribution("v", "c", VIEWS, 1, None)),
        (start(video_id=None), Contribution(None, "c", VIEWS, 1, None)),
        (start(video_id=""), Contribution(None, "c", VIEWS, 1, None)),
        (start(channel_name=""), Contribution("v", None, VIEWS, 1, None)),
        (start(video_id=None, channel_name=None), Contribution(None, None, VIEWS, 1, None)),
        (tick(event_type="video_stop"), NOTHING),
        (tick(event_type="Watch_tick"), NOTHING),
        (tick(event_type=None), NOTHING),
    ],
)
def test_contributions(event, expected):
    assert contribution_of(event) == expected
