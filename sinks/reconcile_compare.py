"""Daily files against counted rows, value by value."""

# ruff: noqa: S608
# (statements are put together from the contract's table and column names, never from data)

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa

from sinks.file_rows import rows_schema
from streams.contract.rows import Table

#: Differing rows that are kept for the report; all are counted.
SHOWN: Final = 50
#: Differing rows that are known again in a later comparison.
_MARKED: Final = 100_000


@dataclass(kw_only=True)
class Drift:
    """How the files of a day differ from the count."""

    rows: int = 0
    differing: int = 0
    #: The first differing rows: table, id, and both sides (None: no such row).
    examples: list[dict[str, Any]] = field(default_factory=list)
    #: What tells a differing row, with both sides as they are, from all others; of the examples in their order.
    marks: set[int] = field(default_factory=set)
    example_marks: list[int] = field(default_factory=list)

    def add_unreadable(self, table: Table, dt: str, key: str, error: str) -> None:
        """Count a file that cannot be read as one row that differs."""
        mark = hash((key, error))
        self.differing += 1
        self.marks.add(mark)
        self.examples.append({"table": table.name, "dt": dt, "id": key, "error": error})
        self.example_marks.append(mark)


def load_files(connection: duckdb.DuckDBPyConnection, table: Table, files: list[pa.Table]) -> None:
    """Put the rows of a table's files into `actual_<name>`."""
    rows = pa.concat_tables(files) if files else rows_schema(table).empty_table()
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
    # A file may hold a row without an id, which is one more that differs.
    differing_ids = f"SELECT DISTINCT {id_column} FROM ({unpaired})"
    (differing,) = connection.execute(f"SELECT count(*) FROM ({differing_ids})").fetchone() or (0,)
    drift.differing += differing
    if not differing:
        return
    # One number for a row and both its sides: whoever sees it twice has seen the same difference twice.
    mark = f"bit_xor(hash('{table.name}', {values}, wanted, found))"
    marked = f"SELECT {id_column}, {mark} AS mark FROM ({unpaired}) GROUP BY {id_column}"
    drift.marks.update(
        mark for (mark,) in connection.execute(f"SELECT mark FROM ({marked}) LIMIT {_MARKED}").fetchall()
    )
    same = f"unpaired.{id_column} IS NOT DISTINCT FROM marked.{id_column}"
    cursor = connection.execute(
        f"SELECT unpaired.*, mark FROM ({unpaired}) AS unpaired JOIN ({marked}) AS marked ON {same} "
        f"ORDER BY ALL LIMIT {2 * SHOWN}"
    )
    pairs: dict[int, dict[str, Any]] = {}
    for *cells, wanted, _found, mark in cursor.fetchall():
        row = dict(zip((entry[0] for entry in cursor.description or ()), cells, strict=False))
        row = {name: _shown(row[name]) for name in table.columns}
        pair = pairs.setdefault(
            mark, {"table": table.name, "dt": dt, "id": row[id_column], "expected": None, "file": None}
        )
        pair["expected" if wanted else "file"] = row
    room = SHOWN - len(drift.examples)
    drift.examples.extend(list(pairs.values())[:room])
    drift.example_marks.extend(list(pairs)[:room])


def _typed(table: Table) -> str:
    return ", ".join(f"{name}::{'BLOB' if table.is_text(name) else 'BIGINT'} AS {name}" for name in table.columns)


def _shown(cell: object) -> object:
    return cell.decode() if isinstance(cell, bytes) else cell
