"""The views in DuckDB, over files of both formats and several shards, against answers computed from the facts."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from athena.local import connect
from athena.statements import VIEWS_FILE, statements
from sinks.lake import Lake
from tests.athena.answers import VIEWS
from tests.athena.same import assert_same
from tests.athena.sample import Sample


def test_every_view_has_an_expectation() -> None:
    assert [view.name for view in statements(VIEWS_FILE.read_text())] == list(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_says_what_the_facts_say(name: str, data: Sample, lake: duckdb.DuckDBPyConnection) -> None:
    found = lake.execute(f"FROM {name}").fetchall()

    assert_same(VIEWS[name](data), found, ordered=False)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_uses_types_that_athena_has_as_well(name: str, lake: duckdb.DuckDBPyConnection) -> None:
    types = {str(column[1]) for column in lake.execute(f"FROM {name} LIMIT 0").description}

    assert types <= {"VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"}


def test_an_empty_lake_has_empty_views(tmp_path: Path) -> None:
    with connect(Lake(url=tmp_path.as_uri())) as connection:
        for name in VIEWS:
            assert connection.execute(f"FROM {name}").fetchall() == [], name
