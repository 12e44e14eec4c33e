"""The counting rules, seen from raw lines, by values worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.line_columns import UnreadableLineError
from sinks.reconcile import Beyond, Recount
from tests.plain_lines import take_in
from tests.unit.reconcile.counted import ABSENT, DAY, HOUR, NOON, event, ingest, rows, watch

ALL_DAY = 24 * HOUR


@pytest.fixture(name="count")
def _count() -> Iterator[Any]:
    made: list[Recount] = []

    def count(*events: Any, dt: str = DAY, rule: Any = "event", broker_dt: str = DAY) -> Recount:
        recount = Recount(dt, rule, None)
        made.append(recount)
        values = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in events]
        take_in(recount, values, broker_dt)
        recount.beyond = recount.judge()  # type: ignore[attr-defined]
        return recount

    yield count
    for recount in made:
        recount.close()


def test_start_and_ticks_count_for_video_channel_hour_and_client(count: Any) -> None:
    counted = count(
        event("video_start"),
        event(watch_ms_delta=5_000),
        event(watch_ms_delta=700, watch_mode="background"),
        event(watch_ms_delta=30, ad=True),
    )

    sums = watch(fg=5_000, bg=700, views=1, ad=30)
    assert rows(counted, "video") == [{"dt": DAY, "video_id": "v", "channel": "ch", **sums}]
    assert rows(counted, "channel") == [{"dt": DAY, "channel": "ch", **sums}]
    assert rows(counted, "hour") == [{"dt": DAY, "hour": 12, **sums}]
    assert rows(counted, "client") == [{"dt": DAY, "client_id": "c1", **sums}]
    assert ingest(counted) == {"total_events": 4, "valid_events": 4}
    assert counted.events() == 4


@pytest.mark.parametrize("delta", [0, -1, 60_001, 1.0, True, "5", None, ABSENT, 1e3])
def test_tick_without_a_countable_delta_counts_nothing_but_itself(count: Any, delta: Any) -> None:
    counted = count(event(watch_ms_delta=delta, video_id=ABSENT))

    assert rows(counted, "video") == rows(counted, "hour") == []
    assert ingest(counted) == {"total_events": 1, "valid_events": 1}


@pytest.mark.parametrize("video", ["", None, 5, ABSENT])
def test_tick_without_video_is_ignored_and_start_still_counts_for_the_channel(count: Any, video: Any) -> None:
    counted = count(event(video_id=video, channel_name=ABSENT), event("video_start", video_id=video))

    assert rows(counted, "video") == rows(counted, "hour") == rows(counted, "client") == []
    assert rows(counted, "channel") == [{"dt": DAY, "channel": "ch", **watch(views=1)}]
    assert ingest(counted) == {"total_events": 2, "valid_events": 2, "ignored_no_video_ticks": 1}


@pytest.mark.parametrize("channel", ["", None, 5, ABSENT])
def test_tick_without_channel_counts_for_the_video_alone(count: Any, channel: Any) -> None:
    counted = count(event(channel_name=channel), event(channel_name=channel, ad=True))

    assert rows(counted, "video") == [{"dt": DAY, "video_id": "v", "channel": None, **watch(fg=1_000, ad=1_000)}]
    assert rows(counted, "channel") == []
    assert ingest(counted)["ignored_no_channel_ticks"] == 2


@pytest.mark.parametrize("ad", [1, "true", None, False])
def test_only_true_is_an_advertisement(count: Any, ad: Any) -> None:
    assert rows(count(event(ad=ad)), "channel") == [{"dt": DAY, "channel": "ch", **watch(fg=1_000)}]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"[1]",
        b"5",
        b'{"event_type":"watch_tick","event_ts":1}',
        b'{"event_type":null,"event_ts":1,"tab_id":"t"}',
        b'{"event_type":"\xff","event_ts":1,"tab_id":"t"}',
        b'{"event_type":"a","event_ts":NaN,"tab_id":"t"}',
    ],
)
def test_invalid_lines_take_the_day_of_their_object_and_have_no_identity(count: Any, line: bytes) -> None:
    counted = count(line, line)

    assert ingest(counted) == {"total_events": 2, "invalid_events": 2}
    assert rows(counted, "video") == []


def test_valid_lines_of_odd_types_count_as_valid_and_moved(count: Any) -> None:
    counted = count(event(5, event_ts="x", tab_id=7))

    assert ingest(counted) == {"total_events": 1, "valid_events": 1, "moved_events": 1}


def test_last_of_duplicate_keys_wins_and_names_may_hold_anything(count: Any) -> None:
    name = "a\u0000b\u2028|'\"<b>🦉"
    line = (
        json.dumps(event(channel_name="first")).encode()[:-1] + b', "channel_name": ' + json.dumps(name).encode() + b"}"
    )

    counted = count(line, event(video_id="a\u0000c", channel_name=name))

    assert [row["channel"] for row in rows(counted, "channel")] == [name]
    assert [row["video_id"] for row in rows(counted, "video")] == ["a\u0000c", "v"]


@pytest.mark.parametrize(
    ("first", "second", "repeats"),
    [
        ({"event_id": "x"}, {"event_id": "x"}, 1),
        ({"event_id": "x"}, {"event_id": "x", "client_id": "c2"}, 0),
        ({"event_id": "x", "client_id": ABSENT}, {"event_id": "x", "client_id": ""}, 1),
        (
            {"event_id": "x", "client_id": 5, "client_session_id": ABSENT},
            {"event_id": "x", "client_id": ABSENT, "client_session_id": ABSENT},
            0,
        ),
        ({"seq": 1, "seq_epoch": "e"}, {"seq": 1, "seq_epoch": "e"}, 1),
        ({"seq": 1, "seq_epoch": "e", "event_id": "x"}, {"seq": 2, "seq_epoch": "e", "event_id": "x"}, 0),
        ({"seq": 1, "seq_epoch": "e", "event_id": "x"}, {"event_id": "x"}, 0),
        ({"seq": 1, "seq_epoch": "e"}, {"seq": 1, "seq_epoch": "f"}, 0),
        ({"seq": 1.0, "seq_epoch": "e", "event_id": "x"}, {"seq": True, "seq_epoch": "e", "event_id": "x"}, 1),
        ({"seq": 1, "seq_epoch": "", "event_id": "x"}, {"seq": 2, "seq_epoch": "", "event_id": "x"}, 1),
        ({"seq": -1, "seq_epoch": "e", "event_id": "x"}, {"seq": 2**53, "seq_epoch": "e", "event_id": "x"}, 1),
        ({"seq": 2**53 - 1, "seq_epoch": "e"}, {"seq": 2**53 - 1, "seq_epoch": "e"}, 1),
    ],
)
def test_identity(count: Any, first: dict[str, Any], second: dict[str, Any], repeats: int) -> None:
    counted = count(event(**first), event(**second))

    assert ingest(counted).get("duplicate_events", 0) == repeats
    assert ingest(counted)["total_events"] == 2 - repeats
    assert rows(counted, "video")[0]["watch_ms"] == 1_000 * (2 - repeats)


def test_events_without_a_text_id_always_count(count: Any) -> None:
    line = event()
    line["event_id"] = 5

    assert ingest(count(line, line)) == {"total_events": 2, "valid_events": 2}


def test_a_repeat_counts_on_the_day_of_its_own_delivery(count: Any) -> None:
    stray = event(event_id="x", event_ts=NOON + 20 * HOUR)
    again = {**stray, "received_at": NOON + ALL_DAY}

    assert ingest(count(stray, again)) == {"total_events": 1, "valid_events": 1, "moved_events": 1}
    # By its own delivery the repeat is believed, and its day is the event's.
    assert ingest(count(stray, again, dt="2026-03-11")) == {"duplicate_events": 1}
    late = event(event_id="y", event_ts=NOON - 8 * ALL_DAY)
    later = {**late, "received_at": NOON + ALL_DAY}
    assert ingest(count(late, later, dt="2026-03-11")) == {"duplicate_events": 1}


@pytest.mark.parametrize(
    ("event_ts", "dt", "hour", "moved"),
    [
        (NOON - 7 * ALL_DAY, "2026-03-03", 12, 0),
        (NOON - 7 * ALL_DAY - 1, DAY, 12, 1),
        (NOON + 600_000, DAY, 12, 0),
        (NOON + 600_001, DAY, 12, 1),
        (2**63 - 1, DAY, 12, 1),
        (-(2**63), DAY, 12, 1),
        (2**63, DAY, 12, 1),
        (NOON - 12 * HOUR, DAY, 0, 0),
        (NOON - 12 * HOUR - 1, "2026-03-09", 23, 0),
        (float(NOON), DAY, 12, 1),
    ],
)
def test_day_and_hour(count: Any, event_ts: Any, dt: str, hour: int, moved: int) -> None:
    counted = count(event(event_ts=event_ts), dt=dt)

    assert [row["hour"] for row in rows(counted, "hour")] == [hour]
    assert ingest(counted).get("moved_events", 0) == moved


@pytest.mark.parametrize(
    ("rule", "fields", "dt", "hour", "moved"),
    [
        ("received", {"event_ts": NOON - HOUR}, DAY, 12, 0),
        ("received", {"event_ts": 0}, DAY, 12, 0),
        ("local", {"tz_offset_min": 780}, "2026-03-09", 23, 0),
        ("local", {"tz_offset_min": -840}, "2026-03-11", 2, 0),
        ("local", {"tz_offset_min": 841}, DAY, 12, 0),
        ("local", {"tz_offset_min": 60.0}, DAY, 12, 0),
        ("local", {"event_ts": 0, "tz_offset_min": 60}, DAY, 11, 1),
    ],
)
def test_other_day_rules(count: Any, rule: str, fields: dict[str, Any], dt: str, hour: int, moved: int) -> None:  # noqa: PLR0913, PLR0917
    counted = count(event(**fields), rule=rule, dt=dt)

    assert [row["hour"] for row in rows(counted, "hour")] == [hour]
    assert ingest(counted).get("moved_events", 0) == moved


def test_label_is_the_latest_delivered_name_and_the_greater_one_of_a_tie(count: Any) -> None:
    counted = count(
        event(channel_name="old", received_at=NOON + 1),
        event(channel_name="zebra", received_at=NOON + 5),
        event(channel_name="é", received_at=NOON + 5),
        event(channel_name="zz", received_at=NOON + 4),
        event(channel_name="uncounted", received_at=NOON + 9, watch_ms_delta=0),
        event("video_stop", channel_name="stop", received_at=NOON + 9),
        event(channel_name=ABSENT, received_at=NOON + 9),
    )

    assert rows(counted, "video")[0]["channel"] == "é"


def test_forgotten_ids_count_again_and_are_told_apart(count: Any) -> None:
    repeated = event("video_start", event_id="again")
    filling = [event("video_stop") for _ in range(1_024)]

    inside = count(repeated, *filling[:-1], repeated)
    beyond = count(repeated, *filling, repeated)

    assert (inside.beyond, ingest(inside)["duplicate_events"]) == (Beyond(counted_again=0, dropped=0), 1)
    assert beyond.beyond == Beyond(counted_again=1, dropped=0)
    assert "duplicate_events" not in ingest(beyond)
    assert rows(beyond, "video")[0]["views"] == 2


def test_a_closed_gap_drops_its_late_event(count: Any) -> None:
    evens = [event("video_stop", seq=2 * number, seq_epoch="e") for number in range(1_025)]
    late = event("video_start", seq=1, seq_epoch="e")

    counted = count(*evens, late)

    assert counted.beyond == Beyond(counted_again=0, dropped=1)
    assert rows(counted, "video") == []
    assert ingest(counted) == {"total_events": 1_025, "valid_events": 1_025, "duplicate_events": 1}


def test_the_epoch_longest_silent_is_forgotten(count: Any) -> None:
    epochs = [event("video_stop", seq=1, seq_epoch=f"e{number}") for number in range(65)]
    counted = count(*epochs[:64], event("video_stop", seq=2, seq_epoch="e0"), epochs[64], epochs[0], epochs[1])

    assert counted.beyond == Beyond(counted_again=1, dropped=0)
    assert ingest(counted)["duplicate_events"] == 1


def test_a_line_without_delivery_time_is_refused(count: Any) -> None:
    with pytest.raises(UnreadableLineError, match="received_at"):
        count(event(received_at=ABSENT))
