"""The rows of a daily file as it lies in the lake, whoever wrote it and whatever became of it since."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sinks.keys import FileKey, Format
from streams.contract.rows import Table

#: What pyarrow and orjson raise for bytes that are no file of rows: most damage to a parquet file is an OSError.
_DAMAGE: Final = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError)


class UnreadableFileError(ValueError):
    """A file that does not hold the rows of its table."""


def read_rows(table: Table, file: FileKey, body: bytes) -> pa.Table:
    """Return a file's rows with the table's columns, text as bytes; UnreadableFileError when it does not hold them."""
    try:
        found = _READERS[file.format](table, file, body)
        if tuple(found.column_names) != table.columns:
            raise ValueError(f"the columns are {', '.join(found.column_names)}, not {', '.join(table.columns)}")
        return found.cast(rows_schema(table))
    except _DAMAGE as error:
        raise UnreadableFileError(f"{file.encode()} cannot be read: {error}") from error


def rows_schema(table: Table) -> pa.Schema:
    """Return the types of `read_rows`: text as bytes, which compare as they are, and 64-bit numbers."""
    return _schema(table, pa.binary())


def _parquet(_table: Table, file: FileKey, body: bytes) -> pa.Table:
    found = pq.read_table(io.BytesIO(body), partitioning=None)
    # The day is in the folder's name and not in the file.
    return found.add_column(0, "dt", pa.array([file.dt] * found.num_rows, pa.string()))


def _jsonl(table: Table, _file: FileKey, body: bytes) -> pa.Table:
    rows = [orjson.loads(line) for line in body.split(b"\n") if line]
    for row in rows:
        _check(table, row)
    return pa.Table.from_pylist(rows, schema=_schema(table, pa.string()))


def _check(table: Table, row: object) -> None:
    if not isinstance(row, dict) or tuple(row) != table.columns:
        columns = ", ".join(row) if isinstance(row, dict) else repr(row)
        raise ValueError(f"a row has the columns {columns}, not {', '.join(table.columns)}")
    for column, value in row.items():
        # 1.0 and true in a counter's place are differences, and not a 1.
        if type(value) is not (str if table.is_text(column) else int) and (column, value) != ("channel", None):
            raise ValueError(f"a row has {value!r} as its {column}")


def _schema(table: Table, text: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, text if table.is_text(name) else pa.int64()) for name in table.columns])


_READERS: Final[dict[Format, Callable[[Table, FileKey, bytes], pa.Table]]] = {"parquet": _parquet, "jsonl": _jsonl}
