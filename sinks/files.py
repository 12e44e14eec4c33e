"""The rows of a day as the bytes of a file. Pure, and the same bytes for the same rows (per pyarrow version).

Rows are sorted by the UTF-8 bytes of their id (an hour as a number); rows without anything counted are left out.
jsonl carries `dt` first, as the reference's files do, where a query engine ignores it beside the partition.
Parquet leaves `dt` out: there it is a column of the folder name, and a column of that name inside the file as
well is refused or shadowed, depending on the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks.keys import Format
from sinks.provenance import Totals
from sinks.tables import DaySnapshot
from streams.contract.rows import Table

#: Read by Athena, Trino, DuckDB and Spark; smaller than snappy, at the same speed for these sizes.
_COMPRESSION: Final = "zstd"
#: Rows of a jsonl file that are Python objects at a time.
_SLICE: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class DayFile:
    """A file's content and what it adds up to."""

    body: bytes
    totals: Totals
    #: The same of the rows of the day's greatest generation alone.
    newest: Totals


def day_file(table: Table, snapshot: DaySnapshot, form: Format) -> DayFile:
    """Return the file of a day's rows."""
    rows, generations = snapshot.rows, snapshot.generations
    counted = _counted(table, rows)
    if not pc.all(counted, min_count=0).as_py():
        rows, generations = rows.filter(counted), generations.filter(counted)
    of_newest = pc.equal(generations, snapshot.generation)
    # Nearly always all rows are of one generation, and need no copy to be added up.
    newest = rows if pc.all(of_newest, min_count=0).as_py() else rows.filter(of_newest)
    return DayFile(
        body=batch_bytes(table, snapshot.dt, rows, form),
        totals=batch_totals(table, rows),
        newest=batch_totals(table, newest),
    )


def batch_bytes(table: Table, dt: str, rows: pa.RecordBatch, form: Format) -> bytes:
    """Return the content of a file from rows (columns after `dt`) in any order."""
    if table.id_column:
        # Strings compare by their bytes.
        rows = rows.take(pc.sort_indices(rows.column(0)))
    return _WRITERS[form](table, dt, rows)


def batch_totals(table: Table, rows: pa.RecordBatch) -> Totals:
    """Return how many rows there are and the sum of each counter."""
    sums = {name: pc.sum(rows[name], min_count=0).as_py() for name in _counters(table)}
    return Totals(rows=rows.num_rows, sums=sums)


def _counted(table: Table, rows: pa.RecordBatch) -> pa.Array:
    """Tell of each row whether anything is counted in it."""
    first, *others = (pc.not_equal(rows[name], 0) for name in _counters(table))
    for other in others:
        first = pc.or_(first, other)
    return first


def _counters(table: Table) -> tuple[str, ...]:
    return table.columns[1 + (table.id_column is not None) + table.labelled :]


def _jsonl(table: Table, dt: str, rows: pa.RecordBatch) -> bytes:
    lines = []
    for start in range(0, rows.num_rows, _SLICE):
        columns = rows.slice(start, _SLICE).columns
        for values in zip(*(column.to_pylist() for column in columns), strict=True):
            row = dict(zip(table.columns, (dt, *values), strict=True))
            lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _parquet(_table: Table, _dt: str, rows: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_batches([rows]),
        sink,
        compression=_COMPRESSION,
        # The Arrow schema in the footer would say nothing that the columns do not say.
        store_schema=False,
    )
    return bytes(sink.getvalue())


#: Columns after `dt` in, content out.
_WRITERS: Final[dict[Format, Callable[[Table, str, pa.RecordBatch], bytes]]] = {"parquet": _parquet, "jsonl": _jsonl}
