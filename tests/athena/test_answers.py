"""Views and ready-made queries on Trino: the answers computed from the facts, which DuckDB gives as well."""

from __future__ import annotations

import pytest

from athena.dashboard import read
from athena.questions import question
from tests.athena.answers import VIEWS
from tests.athena.asked import given
from tests.athena.conftest import TrinoLake
from tests.athena.query_answers import QUERIES
from tests.athena.same import assert_same
from tests.athena.sample import Sample

#: Types that DuckDB's views have under the same names in capitals.
TYPES = {"varchar", "bigint", "double", "boolean"}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_says_what_the_facts_say(name: str, lake: TrinoLake, data: Sample) -> None:
    found = lake.ask(f"TABLE {name}")

    assert set(found.types) <= TYPES
    assert_same(VIEWS[name](data), found.rows, ordered=False)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_answers_as_the_facts_do(name: str, lake: TrinoLake, data: Sample) -> None:
    asked = question(name)
    found = lake.ask(asked.sql(given(name, asked.parameters), today="2026-01-13"))

    assert_same(QUERIES[name](data), found.rows, ordered=True)


@pytest.mark.parametrize("name", read().queries)
def test_a_data_set_of_the_dashboard_has_its_columns(name: str, lake: TrinoLake) -> None:
    declared = {"date": "DATETIME", "double": "DECIMAL", "bigint": "INTEGER", "varchar": "STRING"}

    found = lake.ask(read().queries[name].replace("${Database}", lake.shape.name))

    assert found.rows
    assert {column: declared[kind] for column, kind in zip(found.names, found.types, strict=True)} == read().columns[
        name
    ]
