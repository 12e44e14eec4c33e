"""The rows of one day and table as columns: numbers in arrays, so that a million rows fit in little memory. Pure.

A row is the same place in each column. Rows that are packed take a third of the room; the next change of the day
unpacks them.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from streams.contract.event import int64_or_none
from streams.contract.rows import TABLES, Table

_REMOVED: Final = -1
_SCHEMAS: Final = {
    table.name: pa.schema(
        [pa.field(name, pa.string() if table.is_text(name) else pa.int64()) for name in table.columns[1:]]
    )
    for table in TABLES
}


def schema(table: Table) -> pa.Schema:
    """Return the columns of a table's rows, those after `dt`."""
    return _SCHEMAS[table.name]


def row_batch(table: Table, rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    """Return rows (columns after `dt`) as one batch."""
    fields = schema(table)
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=fields)


class RowColumns:
    """Rows by id, each with the generation that published it."""

    def __init__(self, table: Table) -> None:
        self._table: Final = table
        self._counters: Final = [name for name in table.columns[1:] if name not in {table.id_column, "channel"}]
        self._place: dict[str, int] = {}
        self._labels: list[str | None] = []
        self._numbers: list[array[int]] = [array("q") for _ in self._counters]
        self._generations: array[int] = array("q")
        self._packed: tuple[pa.RecordBatch, pa.Array] | None = None
        self._removed = 0

    def __len__(self) -> int:
        """Return how many rows there are."""
        held = self._packed[0].num_rows if self._packed else len(self._place)
        return held - self._removed

    def put(self, row_id: str, fields: Mapping[str, Any], generation: int) -> bool:
        """Take a row unless a greater generation has published it; tell whether it was taken."""
        self._unpack()
        numbers = [fields[name] for name in self._counters]
        # All that can be wrong is found before any column changes.
        if any(int64_or_none(number) is None for number in numbers):
            raise TypeError(f"a counter of {row_id!r} is no integer of 64 bit: {numbers}")
        if self._table.numeric_id and int64_or_none(int(row_id)) is None:
            raise TypeError(f"{row_id!r} is no number of 64 bit")
        label = fields["channel"] if self._table.labelled else None
        if not isinstance(label, str | None):
            raise TypeError(f"the channel of {row_id!r} is no text: {label!r}")
        # Many rows have one label.
        label = sys.intern(label) if label else label
        place = self._place.get(row_id)
        if place is None:
            self._append(row_id, label, numbers, generation)
            return True
        if self._generations[place] > generation:
            return False
        self._removed -= self._generations[place] == _REMOVED
        self._set(place, label, numbers, generation)
        return True

    def remove(self, row_id: str) -> None:
        """Take a row away. Its place stays, all zeros, and is taken again if the row comes back."""
        self._unpack()
        place = self._place.get(row_id)
        if place is not None and self._generations[place] != _REMOVED:
            self._set(place, None, [0] * len(self._counters), _REMOVED)
            self._removed += 1

    def batch(self) -> tuple[pa.RecordBatch, pa.Array]:
        """Return the rows, in no order, and the generation of each; a copy that later changes leave alone."""
        rows, generations = self._packed or self._columns()
        if self._removed:
            kept = pc.not_equal(generations, _REMOVED)
            rows, generations = rows.filter(kept), generations.filter(kept)
        return rows, generations

    def pack(self) -> None:
        """Hold the rows in less room until the next change."""
        if self._packed is None:
            self._packed = self._columns()
            self._place, self._labels = {}, []
            self._numbers, self._generations = [array("q") for _ in self._counters], array("q")

    def _unpack(self) -> None:
        if self._packed is None:
            return
        rows, generations = self._packed
        ids = rows.column(0).to_pylist() if self._table.id_column else [""] * rows.num_rows
        self._place = {str(row_id): place for place, row_id in enumerate(ids)}
        if self._table.labelled:
            self._labels = [label and sys.intern(label) for label in rows["channel"].to_pylist()]
        self._numbers = [array("q", rows[name].to_pylist()) for name in self._counters]
        self._generations = array("q", generations.to_pylist())
        self._packed = None

    def _append(self, row_id: str, label: str | None, numbers: list[int], generation: int) -> None:
        for column, number in zip(self._numbers, numbers, strict=True):
            column.append(number)
        self._generations.append(generation)
        if self._table.labelled:
            self._labels.append(label)
        self._place[row_id] = len(self._generations) - 1

    def _set(self, place: int, label: str | None, numbers: list[int], generation: int) -> None:
        for column, number in zip(self._numbers, numbers, strict=True):
            column[place] = number
        self._generations[place] = generation
        if self._table.labelled:
            self._labels[place] = label

    def _columns(self) -> tuple[pa.RecordBatch, pa.Array]:
        ids = map(int, self._place) if self._table.numeric_id else self._place
        fields = schema(self._table)
        columns: dict[str, pa.Array] = {
            name: _int64(column) for name, column in zip(self._counters, self._numbers, strict=True)
        }
        if self._table.labelled:
            columns["channel"] = pa.array(self._labels, pa.string())
        if self._table.id_column:
            columns[self._table.id_column] = pa.array(ids, fields.field(0).type)
        arrays = [columns[field.name] for field in fields]
        return pa.RecordBatch.from_arrays(arrays, schema=fields), _int64(self._generations)


def _int64(numbers: array[int]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers.tobytes())])
