"""Rows of files against counted rows, where a file holds what no stage writes."""

from __future__ import annotations

import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.file_rows import read_rows, rows_schema
from sinks.keys import FileKey
from sinks.reconcile_compare import Drift, compare, load_files
from streams.contract.rows import CHANNEL, VIDEO, Table

DT = "2026-11-28"


@pytest.mark.parametrize("table", [CHANNEL, VIDEO], ids=lambda table: table.name)
def test_a_row_without_an_id_differs_beside_the_others(table: Table) -> None:
    names = table.columns[1:]
    rows = {name: ["a", None] if name in {table.id_column, "channel"} else [5, 6] for name in names}
    body = io.BytesIO()
    pq.write_table(pa.table(rows), body)
    found = read_rows(table, FileKey(table.name, DT, 0, 1, "parquet"), body.getvalue())
    drift = Drift()
    with duckdb.connect() as connection:
        connection.register("nothing", rows_schema(table).empty_table())
        connection.execute(f"CREATE TABLE expected_{table.name} AS FROM nothing")
        load_files(connection, table, [found])
        compare(connection, table, DT, drift)

    assert drift.differing == 2
    assert {(example["id"], example["expected"]) for example in drift.examples} == {("a", None), (None, None)}
    assert {example["file"]["watch_ms"] for example in drift.examples} == {5, 6}
