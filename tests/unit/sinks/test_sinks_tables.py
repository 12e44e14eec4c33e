from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.row_columns import RowColumns
from sinks.tables import BadRowError, DayTable
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, encode_row, row_of

DT, NEXT = "2026-11-24", "2026-11-25"
OLDEST = "2026-10-22"


def put(table, offset, dt, row_id, watch_ms, *, generation=0):  # noqa: PLR0913
    value = encode_row(row_of(table.table, dt, row_id, [watch_ms, 0, 0, 0], None), 1)
    return table.apply(daily_key(dt, table.table.kind, row_id), value, offset, generation, oldest=OLDEST)


def remove(table, offset, dt, row_id):
    return table.apply(daily_key(dt, table.table.kind, row_id), None, offset, 0, oldest=OLDEST)


def values(snapshot):
    return {row["channel"]: row["watch_ms"] for row in snapshot.rows.to_pylist()}


def test_the_last_value_of_a_row_wins():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a|b", 5)
    put(table, 1, DT, "x", 1)
    put(table, 2, DT, "a|b", 7)

    snapshot = table.snapshot(DT)

    assert values(snapshot) == {"a|b": 7, "x": 1}
    assert (snapshot.offset, snapshot.generation, snapshot.removed) == (2, 0, -1)


def test_columns_are_kept_in_the_order_of_files():
    table = DayTable(VIDEO)
    value = encode_row(row_of(VIDEO, DT, "v", [1, 2, 3, 4], "chan"), 99)
    table.apply(daily_key(DT, "video", "v"), value, 0, 0, oldest=OLDEST)

    (row,) = table.snapshot(DT).rows.to_pylist()
    assert tuple(row) == VIDEO.columns[1:]
    assert tuple(row.values()) == ("v", "chan", 3, 1, 2, 3, 4)


def test_an_ingest_row_has_no_id():
    table = DayTable(INGEST)
    value = encode_row(row_of(INGEST, DT, "", [1, 2, 3, 4, 5, 6, 7], None), 99)
    table.apply(DT.encode(), value, 0, 0, oldest=OLDEST)

    (row,) = table.snapshot(DT).rows.to_pylist()
    assert tuple(row.values()) == (1, 2, 3, 4, 5, 6, 7)


def test_changed_days_are_told_newest_first_until_a_snapshot_saw_them():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a", 1)
    put(table, 1, NEXT, "a", 1)

    assert table.changed() == [NEXT, DT]
    table.snapshot(NEXT)
    assert table.changed() == [DT]
    put(table, 2, NEXT, "b", 1)
    assert table.changed() == [NEXT, DT]


def test_offsets_are_unwritten_until_their_snapshot_is():
    table = DayTable(CHANNEL)
    assert table.first_unwritten() is None
    put(table, 4, DT, "a", 1)
    put(table, 5, NEXT, "a", 1)
    table.snapshot(DT)
    put(table, 6, DT, "b", 1)

    assert table.first_unwritten() == 4
    table.written(DT)
    assert table.first_unwritten() == 5
    table.snapshot(NEXT)
    table.written(NEXT)
    assert table.first_unwritten() == 6
    table.snapshot(DT)
    table.written(DT)
    assert table.first_unwritten() is None


def test_what_was_not_written_is_tried_again():
    table = DayTable(CHANNEL)
    put(table, 4, DT, "a", 1)
    table.snapshot(DT)
    table.retry()

    assert table.changed() == [DT]
    assert table.first_unwritten() == 4


def test_a_null_removes_the_row_and_is_remembered():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a", 1)
    put(table, 1, DT, "b", 2)
    remove(table, 2, DT, "a")

    snapshot = table.snapshot(DT)

    assert values(snapshot) == {"b": 2}
    assert (snapshot.offset, snapshot.removed) == (2, 2)


def test_a_greater_generation_replaces_and_a_lower_one_does_not():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a", 9, generation=1)
    put(table, 1, DT, "a", 3, generation=2)
    put(table, 2, DT, "a", 9, generation=1)

    snapshot = table.snapshot(DT)

    assert values(snapshot) == {"a": 3}
    assert (snapshot.generation, snapshot.offset) == (2, 2)


def test_days_too_old_are_not_kept():
    table = DayTable(CHANNEL)

    assert put(table, 0, "2026-10-21", "a", 1) is None
    assert put(table, 1, OLDEST, "a", 1) == OLDEST
    assert table.changed() == [OLDEST]
    table.forget_before("2026-10-23")
    assert table.changed() == []
    assert table.first_unwritten() is None


def test_a_snapshot_does_not_change_with_the_table():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a", 1)
    snapshot = table.snapshot(DT)
    put(table, 1, DT, "a", 2)

    assert values(snapshot) == {"a": 1}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"channel":"a"}',
        b"nonsense",
        b"null",
        b'{"channel":"a","watch_ms":1.0,"watch_ms_fg":1,"watch_ms_bg":0,"views":0,"ad_ms":0}',
        b'{"channel":"a","watch_ms":1,"watch_ms_fg":1,"watch_ms_bg":0,"views":0,"ad_ms":9223372036854775808}',
    ],
)
def test_what_is_no_row_is_named_with_its_offset(value):
    table = DayTable(CHANNEL)

    with pytest.raises(BadRowError, match=r"watch.channel_daily offset 17"):
        table.apply(b"2026-11-24|a", value, 17, 0, oldest=OLDEST)
    assert table.row_count() == 0
    assert table.changed() == []


@pytest.mark.parametrize(
    ("table", "row_id", "channel"),
    [(HOUR, "noon", None), (HOUR, "99999999999999999999", None), (VIDEO, "v", 0), (VIDEO, "v", [])],
)
def test_what_no_column_takes_is_named_before_it_is_in_one(table, row_id, channel):
    rows = DayTable(table)
    value = orjson.dumps({**row_of(table, "2026-11-24", "7", [1, 0, 0, 0], None), "channel": channel})

    with pytest.raises(BadRowError, match=rf"{table.topic} offset 17"):
        rows.apply(f"2026-11-24|{row_id}".encode(), value, 17, 0, oldest=OLDEST)
    assert rows.row_count() == 0


ROWS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcd"), st.integers(0, 9), st.integers(0, 2)),
        st.tuples(st.just("remove"), st.sampled_from("abcd")),
        st.tuples(st.just("pack")),
    ),
    max_size=30,
)


@given(ROWS)
def test_rows_in_columns_are_what_a_dictionary_would_hold(steps):
    columns, plain = RowColumns(VIDEO), {}
    for what, *said in steps:
        if what == "pack":
            columns.pack()
        elif what == "remove":
            columns.remove(said[0])
            plain.pop(said[0], None)
        else:
            row_id, views, generation = said
            row = row_of(VIDEO, DT, row_id, [1, 2, views, 3], f"channel {views}" if views else None)
            taken = columns.put(row_id, row, generation)
            assert taken == (plain.get(row_id, (None, 0))[1] <= generation)
            if taken:
                plain[row_id] = row, generation

    rows, generations = columns.batch()
    found = {
        row["video_id"]: (row, generation)
        for row, generation in zip(rows.to_pylist(), generations.to_pylist(), strict=True)
    }
    assert found == {
        row_id: ({name: row[name] for name in VIDEO.columns[1:]}, generation)
        for row_id, (row, generation) in plain.items()
    }
    assert len(plain) == len(columns) == rows.num_rows


def test_only_days_that_are_in_files_are_put_to_rest():
    table = DayTable(CHANNEL)
    put(table, 0, DT, "a", 1)
    put(table, 1, NEXT, "a", 1)
    table.snapshot(DT)
    table.written(DT)

    table.rest([DT, NEXT, "2026-11-26"])

    assert [table._days[dt].rows._packed is not None for dt in (DT, NEXT)] == [True, False]
    put(table, 2, DT, "b", 2)
    assert values(table.snapshot(DT)) == {"a": 1, "b": 2}
    assert table.row_count() == 3
