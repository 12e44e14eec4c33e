"""Daily files of the lake, read for the page: only the most watched rows are kept, whatever the size of a file. Pure.

Files are parquet or JSON lines, of this project or of the pipeline that it replaces; columns that a file does not have
read as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet

from streams.contract.rows import Table

#: Rows that are looked at in one piece.
_PIECE_ROWS: Final = 65_536
_TEXTS: Final = frozenset({"video_id", "channel"})


def schema_of(table: Table) -> pa.Schema:
    """Return the columns of a table's rows, without `dt`."""
    return pa.schema([(name, pa.string() if name in _TEXTS else pa.int64()) for name in table.columns[1:]])


def top_rows(table: Table, files: Iterable[tuple[str, Path]], most: int) -> tuple[pa.Table, bool]:
    """Return the `most` most watched rows of a day's files (name, path), in order, and whether there are more.

    Raises pyarrow's ArrowInvalid (a ValueError) for a file that is none of ours.
    """
    order = _order(table)
    kept, cut = schema_of(table).empty_table(), False
    for name, path in files:
        for piece in _pieces(table, name, path):
            kept = pa.concat_tables([kept, piece])
            cut = cut or kept.num_rows > most
            kept = kept.take(pc.select_k_unstable(kept, most, sort_keys=order)) if order else kept.slice(0, most)
    return kept.combine_chunks(), cut


def matching(table: Table, rows: pa.Table, search: str) -> pa.Table:
    """Return the rows whose id or channel holds a text, upper and lower case alike."""
    found = None
    for name in _TEXTS & set(table.columns):
        here = pc.fill_null(pc.match_substring(rows[name], search, ignore_case=True), False)  # noqa: FBT003 - Arrow's
        found = here if found is None else pc.or_(found, here)
    return rows if found is None else rows.filter(found)


def as_dicts(dt: str, rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows as the topics' rows are, but for `updated_at`, which files do not have."""
    return [{"dt": dt, **row} for row in rows.to_pylist()]


def _order(table: Table) -> list[tuple[str, str]]:
    """Return by what rows are put in order."""
    if table.id_column is None:
        return []
    if table.numeric_id:
        return [(table.id_column, "ascending")]
    return [("watch_ms", "descending"), (table.id_column, "ascending")]


def _pieces(table: Table, name: str, path: Path) -> Iterator[pa.Table]:
    schema = schema_of(table)
    if name.endswith(".parquet"):
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = [column for column in schema.names if column in file.schema_arrow.names]
            for batch in file.iter_batches(_PIECE_ROWS, columns=columns):
                yield _shaped(schema, pa.Table.from_batches([batch]))
        return
    if path.stat().st_size == 0:
        return
    parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with pyarrow.json.open_json(path, parse_options=parse) as lines:
        for batch in lines:
            yield _shaped(schema, pa.Table.from_batches([batch]))


def _shaped(schema: pa.Schema, rows: pa.Table) -> pa.Table:
    """Return rows with exactly the columns of a schema."""
    columns = []
    for field in schema:
        if field.name in rows.column_names:
            column = rows[field.name].cast(field.type)
        else:
            column = pa.nulls(rows.num_rows, field.type)
        columns.append(column if field.name == "channel" else pc.fill_null(column, "" if field.name in _TEXTS else 0))
    return pa.table(columns, schema=schema)
