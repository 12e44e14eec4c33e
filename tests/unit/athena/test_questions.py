"""The ready-made queries: their answers in DuckDB, and how values get into them."""

from __future__ import annotations

import duckdb
import pytest

from athena.questions import PARAMETERS, QuestionError, question, questions
from tests.athena.asked import given
from tests.athena.query_answers import QUERIES
from tests.athena.same import assert_same
from tests.athena.sample import Sample

TODAY = "2026-01-13"


def test_every_query_has_an_expectation() -> None:
    assert list(questions()) == sorted(QUERIES)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_as_the_facts_do(name: str, data: Sample, lake: duckdb.DuckDBPyConnection) -> None:
    asked = question(name)
    found = lake.execute(asked.sql(given(name, asked.parameters), today=TODAY)).fetchall()

    assert found, "an answer without rows would agree with anything that has none"
    assert_same(QUERIES[name](data), found, ordered=True)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_begins_with_its_question(name: str) -> None:
    assert "?" in question(name).about.split(".")[0]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_names_the_days_it_reads(name: str) -> None:
    assert {"from", "to"} <= set(question(name).parameters)


def test_days_default_to_the_last_thirty() -> None:
    text = question("weekdays").sql({}, today="2026-03-01")

    assert "BETWEEN '2026-01-31' AND '2026-03-01'" in text


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("weekdays", {"to": "1 March"}, "'1 March' is no day"),
        ("weekdays", {"to": "2026-02-30"}, "is no day"),
        ("weekdays", {"top": "3"}, "weekdays does not ask for top; it asks for from, to"),
        ("top_videos", {"top": "0"}, "no number of rows"),
        ("top_videos", {"top": "1; DROP TABLE x"}, "no number of rows"),
        ("one_channel", {}, "one_channel needs channel"),
    ],
)
def test_a_wrong_value_is_explained(name: str, values: dict[str, str], reason: str) -> None:
    with pytest.raises(QuestionError, match=reason):
        question(name).sql(values, today=TODAY)


def test_an_unknown_query_names_the_known_ones() -> None:
    with pytest.raises(QuestionError, match="weekdays"):
        question("nothing")


def test_a_name_stays_a_name(lake: duckdb.DuckDBPyConnection) -> None:
    text = question("one_channel").sql({"channel": "x' OR '1' = '1"}, today=TODAY)

    assert lake.execute(text).fetchall() == []


def test_every_parameter_is_used() -> None:
    assert {name for one in questions().values() for name in one.parameters} == set(PARAMETERS)


def test_tables_that_differ_are_named() -> None:
    with duckdb.connect() as connection:
        for table, watch_ms in (("hour_daily", 5), ("video_daily", 6), ("channel_daily", 4)):
            connection.execute(f"CREATE TABLE {table} AS SELECT '{TODAY}' AS dt, {watch_ms} AS watch_ms, 1 AS views")
        found = connection.execute(question("tables_agree").sql({}, today=TODAY)).fetchall()

    assert found == [(TODAY, 6, 5, 2, "differs")]


def test_tables_agree_on_a_day_on_which_no_channel_was_known() -> None:
    with duckdb.connect() as connection:
        for table in ("hour_daily", "video_daily", "channel_daily"):
            where = "WHERE false" if table == "channel_daily" else ""
            connection.execute(f"CREATE TABLE {table} AS SELECT '{TODAY}' AS dt, 5 AS watch_ms, 1 AS views {where}")
        found = connection.execute(question("tables_agree").sql({}, today=TODAY)).fetchall()

    assert found == [(TODAY, 5, 5, 5, "agrees")]


def test_delays_of_times_that_cannot_be_believed() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TABLE events AS SELECT '{TODAY}' AS dt, '2026/01/13' AS day, 1767665100000 AS received_at, "
            "unnest([-9223372036854775808, 9223372036854775807, 1767665040000, 1767665040001]) AS event_ts"
        )
        found = connection.execute(question("delays").sql({}, today=TODAY)).fetchall()

    assert found == [(TODAY, 4, 50.0, 75.0, 75.0)]
