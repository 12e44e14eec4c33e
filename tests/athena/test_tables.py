"""The statements of tables.sql: Hive's grammar takes them, and they mean what Trino stores for the same table."""

# ruff: noqa: S608
# (asks an engine about tables that the test made)

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from athena.statements import TABLES_FILE, Statement, filled, statements
from athena.target import Target, tables
from sinks.keys import FileKey
from streams.contract.rows import CHANNEL, VIDEO
from tests.athena.conftest import TrinoLake
from tests.athena.engine import EngineError
from tests.athena.grammar import verdicts
from tests.athena.mapping import JSON_SERDE, parse, said, stored, trino_ddl
from tests.athena.sample import FIRST_DAY
from tests.lakes import file_bytes

STATEMENTS = statements(TABLES_FILE.read_text())
#: A day that the sample leaves free, and one that lies ahead.
NEW_DAY, FUTURE_DAY = "2026-02-14", "2999-01-01"

FAULTS = {
    "a misspelt word": ("EXTERNAL TABLE", "EXTERNAL TABEL"),
    "a type of two words": ("video_id string", "video_id str ing"),
    "a lost comma": ("'projection.enabled' = 'true',", "'projection.enabled' = 'true'"),
    "a lost word": ("PARTITIONED BY", "PARTITIONED"),
    "a comma too many": ("ad_ms bigint\n", "ad_ms bigint,\n"),
    "a lost quote": ("'yyyy-MM-dd'", "'yyyy-MM-dd"),
    "a clause in the wrong place": (
        "PARTITIONED BY (dt string)\nSTORED AS PARQUET",
        "STORED AS PARQUET PARTITIONED BY (dt string)",
    ),
}
MUTATIONS = {
    "another name": ("watch_ms_fg", "watch_ms_front"),
    "another type": ("`views` bigint", "`views` int"),
    "another order": ("video_id string,\n  channel string", "channel string,\n  video_id string"),
    "a column twice": ("ad_ms bigint", "ad_ms bigint,\n  views bigint"),
    "a column less": (",\n  ad_ms bigint", ""),
    "another type of the day": ("(dt string)", "(dt date)"),
    "another place": ("LOCATION 's3://", "LOCATION 's3://x"),
    "a misspelt property": ("projection.dt.interval.unit", "projection.dt.interval.units"),
    "another first day": (FIRST_DAY, "2020-01-01"),
    "another template": ("dt=${dt}/", "day=${dt}/"),
    "no projection": ("'projection.enabled' = 'true'", "'projection.enabled' = 'false'"),
    "not external": ("EXTERNAL TABLE", "TABLE"),
    "another format": ("STORED AS PARQUET", "STORED AS ORC"),
}


@pytest.fixture(name="parquet")
def _parquet(lakes: dict[str, TrinoLake]) -> TrinoLake:
    return lakes["parquet_1"]


@pytest.fixture(name="jsonl")
def _jsonl(lakes: dict[str, TrinoLake]) -> TrinoLake:
    return lakes["jsonl_1"]


def of(lake: TrinoLake, section: str) -> list[Statement]:
    return [one for one in STATEMENTS if one.section == section and section in (lake.shape.form, "raw", "reference")]


def text_of(lake: TrinoLake, name: str) -> str:
    return next(filled(one.text, lake.values) for one in of(lake, lake.shape.form) if one.name == name)


def test_the_grammar_takes_every_statement(server: Path, java: Path) -> None:
    target = Target(lake="s3://lake", first_day=FIRST_DAY, reference="s3://old")
    sent = [one.text for form in ("parquet", "jsonl") for one in tables(Target(**{**vars(target), "format": form}))]

    assert verdicts(server, java, sent) == ["ok"] * len(sent)


def test_the_grammar_refuses_faults(server: Path, java: Path) -> None:
    good = STATEMENTS[0].text
    faulty = [good.replace(old, new, 1) for old, new in FAULTS.values()]
    assert good not in faulty

    found = dict(zip(FAULTS, verdicts(server, java, faulty), strict=True))

    assert [fault for fault, verdict in found.items() if verdict == "ok"] == []


@pytest.mark.parametrize("shape", ["parquet_1", "jsonl_1"])
def test_a_table_means_what_trino_stored(shape: str, lakes: dict[str, TrinoLake]) -> None:
    lake = lakes[shape]
    for one in (*of(lake, lake.shape.form), *of(lake, "raw")):
        ddl = parse(filled(one.text, lake.values))

        assert stored(json.loads(lake.metadata(one.name))) == said(ddl), one.name


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_comparison_sees_a_change(mutation: str, parquet: TrinoLake) -> None:
    old, new = MUTATIONS[mutation]
    text = text_of(parquet, "video_daily")
    changed = text.replace(old, new)
    assert changed != text

    try:
        meant = said(parse(changed))
    except ValueError:
        return
    assert meant != stored(json.loads(parquet.metadata("video_daily")))


def test_a_broken_line_is_an_error_in_daily_files_and_a_null_in_raw(jsonl: TrinoLake) -> None:
    texts = {one.name: one.text for one in STATEMENTS if one.section in ("jsonl", "raw")}
    assert all(JSON_SERDE in text for text in texts.values())
    assert {
        name for name, text in texts.items() if parse(text).serde_properties != {"ignore.malformed.json": "false"}
    } == {"raw"}
    jsonl.put("raw/2025/12/29/broken.ndjson.gz", gzip.compress(b'{"event_id":"cut\n{"event_id":"whole"}\n'))
    asked = "SELECT event_id FROM raw WHERE day = '2025/12/29'"

    with pytest.raises(EngineError, match="Failed to read"):
        jsonl.ask(asked)
    # Trino has no word for the property, but heeds it where it is stored, as Athena stores it.
    document = json.loads(jsonl.metadata("raw"))
    jsonl.set_metadata("raw", {**document, "serdeParameters": parse(texts["raw"]).serde_properties})

    assert sorted(jsonl.ask(asked).rows, key=str) == [["whole"], [None]]


def rows_of(lake: TrinoLake, dt: str) -> list[list[Any]]:
    return lake.ask(f"SELECT channel, watch_ms FROM channel_daily WHERE dt = '{dt}'").rows


def put_channel(lake: TrinoLake, dt: str, watch_ms: int) -> None:
    key = FileKey(CHANNEL.name, dt, 0, lake.shape.shards, lake.shape.form).encode()
    lake.put(key, file_bytes(CHANNEL, dt, [("c", watch_ms, watch_ms, 0, 1, 0)], lake.shape.form))


def test_a_new_day_shows_at_once_and_so_does_an_overwritten_file(lake: TrinoLake) -> None:
    assert rows_of(lake, NEW_DAY) == []

    put_channel(lake, NEW_DAY, 5)
    assert rows_of(lake, NEW_DAY) == [["c", 5]]

    put_channel(lake, NEW_DAY, 7_000_000_000_000)
    assert rows_of(lake, NEW_DAY) == [["c", 7_000_000_000_000]]
    lake.remove(FileKey(CHANNEL.name, NEW_DAY, 0, lake.shape.shards, lake.shape.form).encode())
    assert rows_of(lake, NEW_DAY) == []


def test_a_day_beyond_the_range_does_not_show(parquet: TrinoLake) -> None:
    put_channel(parquet, FUTURE_DAY, 5)

    assert rows_of(parquet, FUTURE_DAY) == []


def test_the_last_day_may_lie_ahead(parquet: TrinoLake) -> None:
    text = next(one.text for one in STATEMENTS if one.name == "channel_daily" and one.section == "parquet")
    ddl = parse(filled(text, {**parquet.values, "last_day": "NOW+1DAYS"}))
    parquet.ask(trino_ddl(ddl).replace("TABLE channel_daily", "TABLE local_days"))

    assert parquet.ask("SELECT count(*) FROM local_days").rows == parquet.ask("SELECT count(*) FROM channel_daily").rows


def test_columns_of_parquet_are_found_by_name(parquet: TrinoLake) -> None:
    sink = pa.BufferOutputStream()
    # An older file: another order, a column less, a column that no table has.
    pq.write_table(pa.table({"views": [3], "extra": ["x"], "video_id": ["v"], "watch_ms": [9]}), sink)
    parquet.put(FileKey(VIDEO.name, NEW_DAY, 0, 1, "parquet").encode(), bytes(sink.getvalue()))

    found = parquet.ask(f"SELECT video_id, watch_ms, views, ad_ms FROM video_daily WHERE dt = '{NEW_DAY}'")
    parquet.remove(FileKey(VIDEO.name, NEW_DAY, 0, 1, "parquet").encode())

    assert found.rows == [["v", 9, 3, None]]


def test_the_tables_cannot_be_written_to(parquet: TrinoLake) -> None:
    with pytest.raises(EngineError, match="non-managed"):
        parquet.ask("INSERT INTO ingest_daily VALUES (1, 1, 0, 0, 0, 0, 0, '2026-01-01')")


def test_the_reference_tables_read_its_layout(jsonl: TrinoLake) -> None:
    for one in of(jsonl, "reference"):
        jsonl.ask(trino_ddl(parse(filled(one.text, jsonl.values))))
        ours = one.name.removeprefix("reference_")
        columns = ", ".join(name for name, _ in parse(one.text).columns)
        asked = "SELECT dt, {} FROM {} ORDER BY 1, 2, 3"

        found = jsonl.ask(asked.format(columns, one.name)).rows
        assert found
        assert found == jsonl.ask(asked.format(columns, ours)).rows


def test_a_week_reads_its_days_only(parquet: TrinoLake) -> None:
    everything = parquet.ask("SELECT * FROM channel_weeks")
    one_week = parquet.ask("SELECT * FROM channel_weeks WHERE week_start = '2025-12-15'")
    one_day = parquet.ask("SELECT * FROM events WHERE dt = '2025-12-16'")
    all_days = parquet.ask("SELECT * FROM events")

    assert 0 < one_week.scanned_bytes < everything.scanned_bytes / 3
    assert 0 < one_day.scanned_bytes < all_days.scanned_bytes / 3
