"""Sums of shares, and which of them are published."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from streams.contract.keys import PartialKey
from streams.contract.rows import CHANNEL, CLIENT, HOUR, INGEST, VIDEO, Kind, Table
from streams.state_records import Refold, Share
from streams.totals import LowerTotalError, Totals

DT = "2025-10-09"


def put(totals: Totals, p: int, counters: list[int], kind: Kind = "video", row_id: str = "v", **more: Any) -> None:
    totals.put_share(PartialKey(more.pop("dt", DT), kind, row_id, p), Share(v=1, counters=counters, **more))


def taken(totals: Totals) -> list[tuple[str, bytes, Any, int]]:
    return [
        (row.table.name, row.key, orjson.loads(row.value) if row.value else None, row.generation)
        for row in totals.take_differences()
    ]


def video_row(counters: list[int], updated_at: int = 0) -> dict[str, Any]:
    fg, bg, views, ad = counters
    return {
        "dt": DT,
        "video_id": "v",
        "channel": None,
        "watch_ms": fg + bg,
        "watch_ms_fg": fg,
        "watch_ms_bg": bg,
        "views": views,
        "ad_ms": ad,
        "updated_at": updated_at,
    }


def test_a_row_is_the_sum_of_the_newest_share_of_each_partition():
    totals = Totals()
    put(totals, 0, [1, 2, 3, 4], updated_at=10)
    put(totals, 1, [10, 20, 30, 40], updated_at=9)
    put(totals, 0, [5, 2, 3, 4], updated_at=11)

    assert taken(totals) == [("video_daily", b"2025-10-09|v", video_row([15, 22, 33, 44], updated_at=11), 0)]


def test_only_differences_are_given_and_each_once():
    totals = Totals()
    put(totals, 0, [1, 0, 0, 0])
    put(totals, 0, [1, 0, 0, 0], kind="channel", row_id="c|d")
    assert totals.changed_count == 2
    assert len(taken(totals)) == 2
    assert (totals.changed_count, taken(totals)) == (0, [])

    put(totals, 0, [1, 0, 0, 0], updated_at=99)  # a share that was read again
    assert taken(totals) == []
    put(totals, 1, [0, 0, 1, 0])
    assert [row[2]["views"] for row in taken(totals)] == [1]


@pytest.mark.parametrize(
    ("table", "row_id", "counters", "row"),
    [
        (CHANNEL, "a|b", [1, 2, 3, 4], {"channel": "a|b", "watch_ms": 3, "watch_ms_fg": 1, "watch_ms_bg": 2}),
        (HOUR, "7", [1, 2, 3, 4], {"hour": 7, "watch_ms": 3, "views": 3, "ad_ms": 4}),
        (CLIENT, "7", [1, 2, 3, 4], {"client_id": "7", "watch_ms": 3}),
        (INGEST, "", [7, 6, 5, 4, 3, 2, 1], {"total_events": 7, "invalid_events": 5, "moved_events": 1}),
    ],
)
def test_rows_of_each_table(table: Table, row_id, counters, row):
    totals = Totals()
    put(totals, 3, counters, kind=table.kind, row_id=row_id)

    [(name, key, found, _)] = taken(totals)
    assert name == table.name
    assert key == (f"{DT}|{row_id}" if row_id else DT).encode()
    assert tuple(found) == (*table.columns, "updated_at")
    assert found == found | row


LABELS = [("b", 5), ("\uffff", 7), ("\U00010000", 7), (None, 0), ("z", 6)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(LABELS)))))
def test_the_channel_is_that_of_the_latest_delivery_and_of_equal_ones_the_greater_in_bytes(order):
    totals = Totals()
    for p in order:
        channel, at = LABELS[p]
        put(totals, p, [1, 0, 0, 0], channel=channel, channel_ts=at)

    assert taken(totals)[0][2]["channel"] == "\U00010000"


def test_another_channel_alone_is_a_difference():
    totals = Totals()
    put(totals, 0, [1, 0, 0, 0], channel="a", channel_ts=1)
    taken(totals)
    put(totals, 1, [0, 0, 0, 0], channel="b", channel_ts=2)

    assert [row[2]["channel"] for row in taken(totals)] == ["b"]


@pytest.mark.parametrize("shares_first", [True, False])
def test_a_new_owner_publishes_what_is_missing_only(shares_first):
    totals = Totals()
    for step in (0, 1) if shares_first else (1, 0):
        if step == 0:
            put(totals, 0, [1, 0, 0, 0])
            put(totals, 1, [1, 0, 0, 0])
            put(totals, 0, [1, 0, 0, 0], row_id="w")
        else:
            totals.put_published(VIDEO, DT, "v", video_row([2, 0, 0, 0]), 0)
            totals.put_published(VIDEO, DT, "gone", video_row([2, 0, 0, 0]), 0)

    assert [row[1] for row in taken(totals)] == [b"2025-10-09|w"]


@pytest.mark.parametrize("at", range(4))
def test_a_lower_total_is_an_error_that_names_the_way_out(at):
    totals = Totals()
    totals.put_published(VIDEO, DT, "v", video_row([5, 5, 5, 5]), 0)
    counters = [6, 6, 6, 6]
    counters[at] = 4
    put(totals, 0, counters)

    with pytest.raises(LowerTotalError, match=rf"video_daily .*{VIDEO.counters[at]} is 5 in the topic.*4.*refold"):
        taken(totals)


def test_a_greater_generation_may_lower_and_an_equal_one_may_not():
    totals = Totals()
    totals.put_published(VIDEO, DT, "v", video_row([5, 5, 5, 5]), 1)
    put(totals, 0, [1, 1, 1, 1], generation=2)
    assert taken(totals) == [("video_daily", b"2025-10-09|v", video_row([1, 1, 1, 1]), 2)]

    put(totals, 0, [0, 1, 1, 1], generation=2)
    with pytest.raises(LowerTotalError):
        taken(totals)


def test_a_refold_holds_everything_back_until_each_partition_is_folded():
    totals = Totals()
    totals.put_published(VIDEO, DT, "v", video_row([5, 0, 0, 0]), 0)
    totals.put_published(VIDEO, DT, "gone", video_row([5, 0, 0, 0]), 0)
    totals.put_published(VIDEO, "2025-09-01", "kept", video_row([5, 0, 0, 0]), 0)
    totals.put_refold(Refold(v=1, generation=1, partitions=2, first_dt="2025-10-01"))
    put(totals, 0, [1, 0, 0, 0], generation=1)
    totals.put_folded(0, 1)
    assert (totals.changed_count, taken(totals), totals.settled) == (0, [], False)
    totals.put_folded(1, 0)  # of an earlier refold
    assert taken(totals) == []
    put(totals, 1, [2, 0, 0, 0], generation=1)
    totals.put_folded(1, 1)

    assert {key: (row["watch_ms"], generation) for _, key, row, generation in taken(totals)} == {
        b"2025-10-09|v": (3, 1),
        b"2025-10-09|gone": (0, 1),
    }
    assert totals.settled


def test_zeros_that_a_refold_left_do_not_outlive_the_shares_that_are_read_later():
    totals = Totals()
    totals.put_published(CLIENT, DT, "ann", {"watch_ms_fg": 3}, 1)
    totals.put_refold(Refold(v=1, generation=1, partitions=1, first_dt=""))
    totals.put_folded(0, 1)
    put(totals, 1, [3, 0, 0, 0], kind="client", row_id="ann", generation=1)
    assert taken(totals) == []

    totals.drop_share(PartialKey(DT, "client", "ann", 1))
    assert taken(totals) == [("client_daily", b"2025-10-09|ann", None, 1)]


def test_counters_of_an_older_shape_read_as_0():
    totals = Totals()
    totals.put_published(INGEST, DT, "", {"total_events": 1}, 0)
    put(totals, 0, [2], kind="ingest", row_id="")
    put(totals, 1, [1, 1, 0, 0, 0, 0, 4], kind="ingest", row_id="")

    [(_, key, row, _)] = taken(totals)
    assert key == DT.encode()
    assert (row["total_events"], row["valid_events"], row["moved_events"]) == (3, 1, 4)


def test_days_that_are_closed_are_dropped():
    totals = Totals()
    put(totals, 0, [1, 0, 0, 0], dt="2025-09-01")
    put(totals, 0, [1, 0, 0, 0])
    totals.drop_days_before(DT)

    assert [row[1] for row in taken(totals)] == [b"2025-10-09|v"]
    assert len(totals) == 1


def test_the_row_of_a_forgotten_client_is_withdrawn_and_may_come_back_lower():
    totals = Totals()
    put(totals, 0, [5, 0, 0, 0], kind="client", row_id="ann")
    taken(totals)
    totals.drop_share(PartialKey(DT, "client", "ann", 0))
    assert taken(totals) == [("client_daily", b"2025-10-09|ann", None, 0)]
    assert len(totals) == 0

    put(totals, 0, [1, 0, 0, 0], kind="client", row_id="ann")
    assert [row[2]["watch_ms"] for row in taken(totals)] == [1]
