"""The rows of a day as the bytes of a file. Pure, and the same bytes for the same rows (per pyarrow version).

Rows are sorted by the UTF-8 bytes of their id (an hour as a number); rows without anything counted are left out.
jsonl carries `dt` first, as the reference's files do, where a query engine ignores it beside the partition.
Parquet leaves `dt` out: there it is a column of the folder name, and a column of that name inside the file as
well is refused or shadowed, depending on the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.keys import Format
from sinks.provenance import Totals
from sinks.tables import DaySnapshot, Row
from streams.contract.rows import TABLES, Table

#: Read by Athena, Trino, DuckDB and Spark; smaller than snappy, at the same speed for these sizes.
_COMPRESSION: Final = "zstd"
_STRING_COLUMNS: Final = frozenset({"video_id", "channel", "client_id"})


@dataclass(frozen=True, kw_only=True)
class DayFile:
    """A file's content and what it adds up to."""

    body: bytes
    totals: Totals
    #: The same of the rows of the day's greatest generation alone.
    newest: Totals


def day_file(table: Table, snapshot: DaySnapshot, form: Format) -> DayFile:
    """Return the file of a day's rows."""
    rows = [row for row in snapshot.rows if _counts(table, row)]
    values = sorted_rows(table, (row.values for row in rows))
    newest = [row.values for row in rows if row.generation == snapshot.generation]
    return DayFile(
        body=file_bytes(table, snapshot.dt, values, form),
        totals=totals(table, values),
        newest=totals(table, newest),
    )


def sorted_rows(table: Table, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows (columns after `dt`) in the order of files. Python orders strings as their UTF-8 bytes do."""
    return sorted(rows, key=lambda values: values[0]) if table.id_column else list(rows)


def file_bytes(table: Table, dt: str, rows: Sequence[tuple[Any, ...]], form: Format) -> bytes:
    """Return the content of a file from sorted rows (columns after `dt`)."""
    return _jsonl(table, dt, rows) if form == "jsonl" else _parquet(table, rows)


def totals(table: Table, rows: Sequence[tuple[Any, ...]]) -> Totals:
    """Return how many rows there are and the sum of each counter."""
    columns = table.columns[1:]
    first = _first_counter(table)
    sums = {name: sum(values[at] for values in rows) for at, name in enumerate(columns) if at >= first}
    return Totals(rows=len(rows), sums=sums)


def schema(table: Table) -> pa.Schema:
    """Return the columns of a table's parquet files."""
    return _SCHEMAS[table.name]


def _counts(table: Table, row: Row) -> bool:
    return any(row.values[_first_counter(table) :])


def _first_counter(table: Table) -> int:
    """Return the position of the first counter among the columns after `dt`."""
    return (table.id_column is not None) + table.labelled


def _jsonl(table: Table, dt: str, rows: Sequence[tuple[Any, ...]]) -> bytes:
    columns = table.columns
    return b"".join(
        orjson.dumps(dict(zip(columns, (dt, *values), strict=True)), option=orjson.OPT_APPEND_NEWLINE)
        for values in rows
    )


def _parquet(table: Table, rows: Sequence[tuple[Any, ...]]) -> bytes:
    fields = schema(table)
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=fields),
        sink,
        compression=_COMPRESSION,
        # The Arrow schema in the footer would say nothing that the columns do not say.
        store_schema=False,
    )
    return bytes(sink.getvalue())


def _schema(table: Table) -> pa.Schema:
    return pa.schema(
        [pa.field(name, pa.string() if name in _STRING_COLUMNS else pa.int64()) for name in table.columns[1:]]
    )


_SCHEMAS: Final = {table.name: _schema(table) for table in TABLES}
