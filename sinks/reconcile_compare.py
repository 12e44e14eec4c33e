"""Daily files against counted rows, value by value."""

# ruff: noqa: S608
# (statements are put together from the contract's table and column names, never from data)

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.keys import FileKey
from streams.contract.rows import Table

#: Differing rows that are kept for the report; all are counted.
SHOWN: Final = 50


@dataclass(kw_only=True)
class Drift:
    """How the files of a day differ from the count."""

    rows: int = 0
    differing: int = 0
    #: The first differing rows: table, id, and both sides (None: no such row).
    examples: list[dict[str, Any]] = field(default_factory=list)


def read_rows(table: Table, file: FileKey, body: bytes) -> pa.Table:
    """Return a daily file's rows with text as bytes; ValueError when its columns are not the table's."""
    key = file.encode()
    if file.format == "parquet":
        found = pq.read_table(io.BytesIO(body), partitioning=None)
        # The day is in the folder's name and not in the file.
        found = found.add_column(0, "dt", pa.array([file.dt] * found.num_rows, pa.string()))
    else:
        # JSON numbers keep their type here: 1.0 in a counter's place is a difference, not a 1.
        rows = [orjson.loads(line) for line in body.split(b"\n") if line]
        for row in rows:
            if tuple(row) != table.columns:
                raise ValueError(f"{key}: a row has the columns {', '.join(row)}, not {', '.join(table.columns)}")
        found = pa.Table.from_pylist(rows, schema=_arrow_schema(table, pa.string()))
    if tuple(found.column_names) != table.columns:
        raise ValueError(f"{key} has the columns {', '.join(found.column_names)}, not {', '.join(table.columns)}")
    return found.cast(_arrow_schema(table, pa.binary()))


def load_files(connection: duckdb.DuckDBPyConnection, table: Table, files: list[pa.Table]) -> None:
    """Put the rows of a table's files into `actual_<name>`."""
    rows = pa.concat_tables(files) if files else _arrow_schema(table, pa.binary()).empty_table()
    connection.register("files", rows)
    connection.execute(f"CREATE OR REPLACE TABLE actual_{table.name} AS FROM files")
    connection.unregister("files")


def compare(connection: duckdb.DuckDBPyConnection, table: Table, dt: str, drift: Drift) -> None:
    """Add a table's differences between `expected_<name>` and `actual_<name>` to a drift."""
    # Equal rows are paired by everything they hold; a row that is there twice is one too many.
    values = ", ".join(table.columns)
    expected = f"(SELECT {_typed(table)}, 'expected' AS side FROM expected_{table.name})"
    actual = f"(SELECT {_typed(table)}, 'file' AS side FROM actual_{table.name})"
    unpaired = f"""
      SELECT {values}, count(*) FILTER (side = 'expected') AS wanted, count(*) FILTER (side = 'file') AS found
      FROM (FROM {expected} UNION ALL FROM {actual}) GROUP BY {values} HAVING wanted <> 1 OR found <> 1
    """
    id_column = table.id_column or "dt"
    (rows,) = connection.execute(f"SELECT count(*) FROM expected_{table.name}").fetchone() or (0,)
    drift.rows += rows
    (differing,) = connection.execute(f"SELECT count(DISTINCT {id_column}) FROM ({unpaired})").fetchone() or (0,)
    drift.differing += differing
    if not differing or len(drift.examples) >= SHOWN:
        return
    cursor = connection.execute(f"FROM ({unpaired}) ORDER BY {id_column}, wanted DESC LIMIT {2 * SHOWN}")
    pairs: dict[Any, dict[str, Any]] = {}
    for *cells, wanted, _found in cursor.fetchall():
        row = {name: _shown(cell) for name, cell in zip(table.columns, cells, strict=True)}
        row_id = row[id_column]
        pair = pairs.setdefault(row_id, {"table": table.name, "dt": dt, "id": row_id, "expected": None, "file": None})
        pair["expected" if wanted else "file"] = row
    drift.examples.extend(list(pairs.values())[: SHOWN - len(drift.examples)])


def _typed(table: Table) -> str:
    return ", ".join(f"{name}::{'BLOB' if _is_text(table, name) else 'BIGINT'} AS {name}" for name in table.columns)


def _arrow_schema(table: Table, text: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, text if _is_text(table, name) else pa.int64()) for name in table.columns])


def _is_text(table: Table, column: str) -> bool:
    return (
        column == "dt"
        or (column == table.id_column and not table.numeric_id)
        or (table.labelled and column == "channel")
    )


def _shown(cell: object) -> object:
    return cell.decode() if isinstance(cell, bytes) else cell
