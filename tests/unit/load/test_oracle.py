"""The oracle itself, by values worked out by hand: it must be able to say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests import oracle

NOON = 1_773_144_000_000  # 2026-03-10T12:00:00Z
DAY = "2026-03-10"


def event(event_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "event_ts": NOON,
        "event_type": "watch_tick",
        "client_session_id": "c",
        "video_id": "v",
        "channel_name": "ch",
        "watch_ms_delta": 10,
        **fields,
    }


def post(*events: dict[str, Any], sent: int = NOON, acked: int = NOON + 5, unclear: int = 0) -> dict[str, Any]:
    return {
        "post": 1,
        "sent_ms": sent,
        "acked_ms": acked,
        "unclear_tries": unclear,
        "accepted": len(events),
        "rejected": 0,
        "body": {"events": list(events)},
    }


def fold(tmp_path: Path, *posts: dict[str, Any], rule: str = "event") -> oracle.Expectation:
    file = tmp_path / "acknowledged"
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in posts))
    return oracle.fold(file, rule, client_table=True)


def row(**fields: Any) -> dict[str, Any]:
    base = {"dt": DAY, "video_id": "v", "channel": "ch", "watch_ms": 10, "watch_ms_fg": 10, "watch_ms_bg": 0}
    return {**base, "views": 0, "ad_ms": 0, **fields}


def test_counts_and_agrees_with_right_rows(tmp_path: Path) -> None:
    expected = fold(
        tmp_path,
        post(event("a"), event("b", ad=True), event("c", watch_mode="background"), event("d", channel_name=None)),
        post(event("a"), event("e", event_type="video_start")),
    )

    assert (
        expected.differences("video_daily", DAY, [row(watch_ms=30, watch_ms_fg=20, watch_ms_bg=10, views=1, ad_ms=10)])
        == []
    )
    assert expected.rows["ingest_daily", DAY][None] == {
        "dt": DAY,
        "total_events": 5,
        "valid_events": 5,
        "invalid_events": 0,
        "ignored_no_video_ticks": 0,
        "ignored_no_channel_ticks": 1,
        "duplicate_events": 1,
        "moved_events": 0,
    }
    assert expected.rows["hour_daily", DAY][12]["watch_ms"] == 30
    assert expected.rows["client_daily", DAY]["c"]["ad_ms"] == 10
    assert expected.rows["channel_daily", DAY]["ch"]["watch_ms"] == 20


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [row(watch_ms=11)],
        [row(watch_ms=10.0)],
        [row(channel="other")],
        [row(channel=None)],
        [row(), row()],
        [row(), row(video_id="w")],
        [row(extra=1)],
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, wrong: list[dict[str, Any]]) -> None:
    assert fold(tmp_path, post(event("a"))).differences("video_daily", DAY, wrong)


def test_unclear_tries_bound_the_repeats(tmp_path: Path) -> None:
    expected = fold(tmp_path, post(event("a"), event("b"), unclear=2))
    want = expected.rows["ingest_daily", DAY][None]

    found = [bool(expected.differences("ingest_daily", DAY, [{**want, "duplicate_events": n}])) for n in (0, 2, 4, 5)]

    assert found == [False, False, False, True]


def test_labels_of_deliveries_at_about_the_same_time(tmp_path: Path) -> None:
    expected = fold(
        tmp_path,
        post(event("a", channel_name="old"), sent=NOON, acked=NOON + 5),
        post(event("b", channel_name="x"), sent=NOON + 6, acked=NOON + 9),
        post(event("c", channel_name="y"), sent=NOON + 8, acked=NOON + 20),
    )

    assert expected.labels[DAY, "v"] == {"x", "y"}


def test_strays_count_at_their_delivery(tmp_path: Path) -> None:
    expected = fold(tmp_path, post(event("a", event_ts=NOON - 8 * 86_400_000)))

    assert expected.rows["ingest_daily", DAY][None]["moved_events"] == 1
    with pytest.raises(oracle.AmbiguousDeliveryError):
        fold(tmp_path, post(event("a", event_ts=0), sent=NOON - 1, acked=NOON + 1))


def test_other_day_rules(tmp_path: Path) -> None:
    shifted = event("a", tz_offset_min=780)

    assert fold(tmp_path, post(shifted), rule="local").days == ["2026-03-09"]
    assert fold(tmp_path, post(event("a", event_ts=0)), rule="received").days == [DAY]
