from __future__ import annotations

import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.files import day_file
from sinks.provenance import Totals
from sinks.row_columns import row_batch, schema
from sinks.tables import DaySnapshot
from streams.contract.rows import CHANNEL, CLIENT, HOUR, INGEST, TABLES, VIDEO

DT = "2026-11-24"
NAMES = ["a", "B", "é", "\U0001f600", "\uffff", 'q"uote', "new\nline", "\u2028", "<b>", "z" * 256, "|", "日本", "\x00"]


def snapshot(table, rows, *, generation=0, generations=None):
    return DaySnapshot(
        dt=DT,
        rows=row_batch(table, rows),
        generations=pa.array(generations or [0] * len(rows), pa.int64()),
        offset=9,
        generation=generation,
        removed=-1,
    )


def parquet_rows(body):
    return pq.read_table(pa.BufferReader(body)).to_pylist()


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_equal_rows_give_equal_bytes_in_whatever_order_they_came(form):
    rows = [(f"{name}{n}", name, n, n, 0, 1, 0) for n, name in enumerate(NAMES * 50)]
    first = day_file(VIDEO, snapshot(VIDEO, rows), form).body

    for seed in range(3):
        random.Random(seed).shuffle(rows)

        assert day_file(VIDEO, snapshot(VIDEO, rows), form).body == first


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_are_sorted_by_the_bytes_of_their_id(form):
    body = day_file(CHANNEL, snapshot(CHANNEL, [(name, 1, 1, 0, 0, 0) for name in NAMES]), form).body

    rows = parquet_rows(body) if form == "parquet" else [orjson.loads(line) for line in body.splitlines()]
    ids = [row["channel"].encode() for row in rows]
    assert ids == sorted(name.encode() for name in NAMES)


def test_hours_are_sorted_as_numbers():
    body = day_file(HOUR, snapshot(HOUR, [(hour, 1, 1, 0, 0, 0) for hour in (10, 9, 2, 23, 0)]), "parquet").body

    assert [row["hour"] for row in parquet_rows(body)] == [0, 2, 9, 10, 23]


def test_jsonl_has_one_object_a_line_with_dt_first_and_the_columns_in_order():
    body = day_file(
        VIDEO, snapshot(VIDEO, [("v", None, 3, 1, 2, 4, 5), ("w", "c\u2028h", 1, 1, 0, 0, 0)]), "jsonl"
    ).body

    assert (
        body
        == (
            '{"dt":"2026-11-24","video_id":"v","channel":null,"watch_ms":3,"watch_ms_fg":1,"watch_ms_bg":2,"views":4,'
            '"ad_ms":5}\n'
            '{"dt":"2026-11-24","video_id":"w","channel":"c\u2028h","watch_ms":1,"watch_ms_fg":1,"watch_ms_bg":0,'
            '"views":0,"ad_ms":0}\n'
        ).encode()
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_parquet_has_the_columns_after_dt_with_their_types(table):
    columns = table.columns[1:]
    values = tuple("x" if name in ("video_id", "channel", "client_id") else 1 for name in columns)

    found = pq.read_table(pa.BufferReader(day_file(table, snapshot(table, [values]), "parquet").body))

    assert found.column_names == list(columns)
    assert found.schema.equals(schema(table))
    assert {str(field.type) for field in found.schema} <= {"string", "int64"}
    assert found.num_rows == 1


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_without_anything_counted_are_left_out(form):
    rows = [("v0", "c", 0, 0, 0, 0, 0), ("v1", None, 0, 0, 0, 0, 7)]

    built = day_file(VIDEO, snapshot(VIDEO, rows), form)

    assert built.totals == Totals(
        rows=1, sums={"watch_ms": 0, "watch_ms_fg": 0, "watch_ms_bg": 0, "views": 0, "ad_ms": 7}
    )
    assert b"v1" in built.body
    if form == "jsonl":
        assert b"v0" not in built.body
    else:
        assert [row["video_id"] for row in parquet_rows(built.body)] == ["v1"]


@pytest.mark.parametrize(("form", "empty"), [("parquet", []), ("jsonl", b"")])
def test_a_day_without_rows_is_an_empty_file(form, empty):
    body = day_file(CLIENT, snapshot(CLIENT, [("c", 0, 0, 0, 0, 0)]), form).body

    assert (parquet_rows(body) if form == "parquet" else body) == empty


def test_an_ingest_day_is_one_row():
    built = day_file(INGEST, snapshot(INGEST, [(5, 4, 1, 0, 0, 2, 1)]), "jsonl")

    assert orjson.loads(built.body) == {
        "dt": DT,
        "total_events": 5,
        "valid_events": 4,
        "invalid_events": 1,
        "ignored_no_video_ticks": 0,
        "ignored_no_channel_ticks": 0,
        "duplicate_events": 2,
        "moved_events": 1,
    }
    assert built.totals.sums["total_events"] == 5


def test_rows_of_the_newest_generation_are_added_up_apart():
    rows = [("a", 5, 5, 0, 0, 0), ("b", 7, 7, 0, 0, 0)]

    built = day_file(CHANNEL, snapshot(CHANNEL, rows, generation=1, generations=[0, 1]), "parquet")

    assert (built.totals.rows, built.totals.sums["watch_ms"]) == (2, 12)
    assert (built.newest.rows, built.newest.sums["watch_ms"]) == (1, 7)


def test_a_file_does_not_depend_on_the_library_s_idea_of_the_schema():
    """No Arrow schema in the footer: engines only see parquet's own types."""
    body = day_file(CHANNEL, snapshot(CHANNEL, [("a", 5, 5, 0, 0, 0)]), "parquet").body

    assert pq.ParquetFile(pa.BufferReader(body)).metadata.metadata is None
