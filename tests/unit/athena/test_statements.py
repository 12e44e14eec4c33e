"""The SQL files: what tables.sql promises, statement by statement, and how files are read."""

from __future__ import annotations

import re

import pytest

from athena.local import RAW_COLUMNS
from athena.statements import TABLES_FILE, VIEWS_FILE, StatementError, filled, statements
from streams.contract.rows import CLIENT, HOUR, TABLES
from tests.athena.mapping import TableDdl, parse

VALUES = {
    "lake": "s3://lake/a",
    "reference": "s3://old",
    "first_day": "2026-11-01",
    "first_raw_day": "2026/11/01",
    "last_day": "NOW",
}
OURS = {"ad_ms", "duplicate_events", "moved_events"}


def tables(section: str) -> dict[str, TableDdl]:
    found = [one for one in statements(TABLES_FILE.read_text()) if one.section == section]
    return {one.name: parse(filled(one.text, VALUES)) for one in found}


def test_there_is_nothing_outside_the_sections() -> None:
    sections = {one.section for one in statements(TABLES_FILE.read_text())}

    assert sections == {"parquet", "jsonl", "raw", "reference"}


@pytest.mark.parametrize(("section", "form"), [("parquet", "PARQUET"), ("jsonl", "OPENX_JSON")])
def test_daily_tables_have_the_columns_of_the_contract(section: str, form: str) -> None:
    found = tables(section)

    assert list(found) == [table.name for table in TABLES]
    for table in TABLES:
        ddl = found[table.name]
        assert tuple(name for name, _ in ddl.partitions + ddl.columns) == table.columns
        texts = {"channel", None if table.numeric_id else table.id_column}
        assert {name: kind for name, kind in ddl.columns if kind != "bigint"} == {
            name: "string" for name, _ in ddl.columns if name in texts
        }
        assert ddl.partitions == [("dt", "string")]
        assert ddl.form == form
        assert ddl.location == f"s3://lake/a/analytics/{table.name}/"


@pytest.mark.parametrize("section", ["parquet", "jsonl", "reference"])
def test_days_are_projected(section: str) -> None:
    for ddl in tables(section).values():
        assert ddl.properties == {
            "projection.enabled": "true",
            "projection.dt.type": "date",
            "projection.dt.format": "yyyy-MM-dd",
            "projection.dt.range": "2026-11-01,NOW",
            "projection.dt.interval": "1",
            "projection.dt.interval.unit": "DAYS",
            "storage.location.template": f"{ddl.location}dt=${{dt}}/",
        }


def test_the_reference_tables_are_ours_without_our_additions() -> None:
    found = tables("reference")

    assert list(found) == [f"reference_{table.name}" for table in TABLES if table not in (HOUR, CLIENT)]
    for name, ddl in found.items():
        ours = tables("jsonl")[name.removeprefix("reference_")]
        assert ddl.columns == [(column, kind) for column, kind in ours.columns if column not in OURS]
        assert ddl.location == ours.location.replace("lake/a", "old")


def test_raw_has_the_columns_that_it_has_locally() -> None:
    ddl = tables("raw")["raw"]

    assert [name for name, _ in ddl.columns] == list(RAW_COLUMNS)
    # Only what every accepted event must have as a number is a number: a wrong type would fail a whole query.
    assert [name for name, kind in ddl.columns if kind != "string"] == ["event_ts", "received_at"]
    assert ddl.serde_properties == {"ignore.malformed.json": "true"}
    assert ddl.properties["projection.day.range"] == "2026/11/01,NOW"
    assert ddl.properties["storage.location.template"] == "s3://lake/a/raw/${day}/"


def test_views_are_replaced_and_name_no_place() -> None:
    for view in statements(VIEWS_FILE.read_text()):
        assert view.text.startswith(f"CREATE OR REPLACE VIEW {view.name} AS\nSELECT")
        assert not re.search(r"\{\{|s3:|;", view.text)


def test_comments_and_semicolons_are_not_sent() -> None:
    (one,) = statements("-- @section a\n-- why\nCREATE EXTERNAL TABLE IF NOT EXISTS t (\n  -- what\n  a int\n);\n")

    assert (one.section, one.name, one.text) == (
        "a",
        "t",
        "CREATE EXTERNAL TABLE IF NOT EXISTS t (\n  a int\n)",
    )


@pytest.mark.parametrize("script", ["DROP TABLE x;", "CREATE OR REPLACE VIEW v AS SELECT 1"])
def test_another_shape_of_file_is_refused(script: str) -> None:
    with pytest.raises(StatementError):
        statements(script)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(StatementError, match=r"no value for \{\{lake\}\}"):
        filled("LOCATION '{{lake}}'", {})


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("EXTERNAL ", "", "not EXTERNAL"),
        ("LOCATION", "-- LOCATION", "no LOCATION"),
        ("STORED AS PARQUET", "", "what the files are"),
        ("PARTITIONED BY (dt string)", "CLUSTERED BY (channel) INTO 4 BUCKETS", "not understood"),
    ],
)
def test_a_statement_that_is_not_understood_is_refused(old: str, new: str, reason: str) -> None:
    text = next(one.text for one in statements(TABLES_FILE.read_text()) if one.name == "channel_daily")

    with pytest.raises(ValueError, match=reason):
        parse(text.replace(old, new))


#: Words that Athena's documentation reserves in DDL; Hive's grammar, as Trino has it, lets some of them through.
RESERVED = """
all alter and array as authorization between bigint binary boolean both by case cashe cast char column conf
constraint commit create cross cube current current_date current_timestamp cursor database date dayofweek
decimal delete describe distinct div double drop else end exchange exists extended external extract false
fetch float floor following for foreign from full function grant group grouping having if import in inner
insert int integer intersect interval into is join lateral left less like local macro map more none not null
numeric of on only or order out outer over partialscan partition percent preceding precision preserve primary
procedure range reads reduce regexp references revoke right rlike rollback rollup row rows select set smallint
start table tablesample then time timestamp to transform trigger true truncate unbounded union uniquejoin
update user using utc_timestamp values varchar views when where window with
"""


def test_no_bare_column_is_a_word_of_athena() -> None:
    for one in statements(TABLES_FILE.read_text()):
        columns = re.findall(r"^  (\S+) (?:string|bigint),?$", one.text, re.MULTILINE)

        assert len(columns) >= 5
        assert set(RESERVED.split()).isdisjoint(columns), one.name
