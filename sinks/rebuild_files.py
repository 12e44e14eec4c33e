"""The files of a rebuilt day: made from counted rows, compared with what is in the lake, and put in its place."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from sinks.file_rows import UnreadableFileError, read_rows
from sinks.files import batch_bytes, batch_totals
from sinks.keys import ANALYTICS, FileKey
from sinks.patience import Patience, patiently
from sinks.precedence import check_origin
from sinks.provenance import FileProvenance, ForeignObjectError, Totals
from sinks.rebuild_shape import Shape
from sinks.reconcile import Recount
from sinks.reconcile_compare import Drift, compare, load_files
from sinks.row_columns import row_batch
from sinks.store import PreconditionFailed, Store, StoredObject, StoreUnavailable, content_hash
from streams.contract.keys import shard_of
from streams.contract.rows import Table

_NO_TOPIC: Final = str(uuid.UUID(int=0))


class ChangedMeanwhileError(Exception):
    """A file is not the one that was compared any more."""


class NoOriginError(Exception):
    """It is not known from which topic a file of an open day was made."""


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file that is to be written, and what it replaces."""

    key: str
    body: bytes
    provenance: FileProvenance
    #: None: there was none.
    etag: str | None


@dataclass(kw_only=True)
class Plan:
    """What a rebuild would do to a day."""

    shape: Shape
    drift: Drift = field(default_factory=Drift)
    files: list[NewFile] = field(default_factory=list)
    #: Files that are there and belong to none of the tables' files of this shape.
    strangers: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Day:
    """The day that is rebuilt."""

    dt: str
    #: Whether its topics may still change.
    young: bool
    #: Ids of the daily topics, as far as the broker tells them.
    topic_ids: dict[str, str]
    #: Whether lines of it came from outside the own archive.
    elsewhere: bool


async def plan_files(recount: Recount, store: Store, shape: Shape, day: Day, tables: Sequence[Table]) -> Plan:
    """Compare the counted rows with the day's files, and return what has to be written."""
    plan = Plan(shape=shape)
    for table in tables:
        names = [FileKey(table.name, day.dt, shard, shape.shards, shape.form) for shard in range(shape.shards)]
        found = {name: await patiently(store.get, name.encode()) for name in names}
        keys = await store.keys(f"{ANALYTICS}{table.name}/dt={day.dt}/")
        plan.strangers += sorted(set(keys) - {name.encode() for name in names})
        load_files(recount.connection, table, _readable(table, found, plan.drift))
        compare(recount.connection, table, day.dt, plan.drift)
        shards = _rows(recount, table, day.dt, shape.shards)
        for name in names:
            new = _new_file(table, name, shards[name.shard], found[name], day)
            if new is not None:
                plan.files.append(new)
    return plan


def _readable(table: Table, found: dict[FileKey, StoredObject | None], drift: Drift) -> list[pa.Table]:
    files = []
    for name, stored in found.items():
        if stored is None:
            continue
        try:
            files.append(read_rows(table, name, stored.body))
        except UnreadableFileError as error:
            drift.add_unreadable(table, name.dt, name.encode(), str(error))
    return files


def _rows(recount: Recount, table: Table, dt: str, shards: int) -> list[list[tuple[Any, ...]]]:
    """Return the counted rows (columns after `dt`) of each shard."""
    found: list[list[tuple[Any, ...]]] = [[] for _ in range(shards)]
    cursor = recount.connection.cursor()
    cursor.execute(f"SELECT {', '.join(table.columns[1:])} FROM expected_{table.name}")  # noqa: S608 - constants
    while rows := cursor.fetchmany(50_000):
        for row in rows:
            values = tuple(cell.decode() if isinstance(cell, bytes) else cell for cell in row)
            row_id = str(values[0]) if table.id_column else ""
            found[shard_of(dt, table.kind, row_id, shards)].append(values)
    return found


def _new_file(
    table: Table, name: FileKey, rows: list[tuple[Any, ...]], stored: StoredObject | None, day: Day
) -> NewFile | None:
    if stored is None and not rows:
        return None
    key, batch = name.encode(), row_batch(table, rows)
    body = batch_bytes(table, day.dt, batch, name.format)
    provenance = _provenance(table, key, body, batch_totals(table, batch), _origin(key, stored), day)
    if stored is not None and dict(stored.stat.metadata) == provenance.encode():
        return None
    return NewFile(key=key, body=body, provenance=provenance, etag=stored.stat.etag if stored else None)


def _origin(key: str, stored: StoredObject | None) -> FileProvenance | None:
    if stored is None:
        return None
    try:
        return FileProvenance.decode(key, stored.stat.metadata)
    except ForeignObjectError:
        return None


def _provenance(  # noqa: PLR0913, PLR0917 - the parts that it is put together from
    table: Table, key: str, body: bytes, sums: Totals, old: FileProvenance | None, day: Day
) -> FileProvenance:
    known_id = day.topic_ids.get(table.topic)
    if day.young and old and known_id and not old.rebuilt:
        check_origin(key, old, table.topic, known_id)
    topic_id = old.topic_id if old else known_id
    if topic_id is None and day.young:
        raise NoOriginError(
            f"{key} is not there, or not a file of ours, and the broker does not tell the id of {table.topic}, which "
            "a file of an open day must name: start the broker (`watchtime down sinks` stops the sinks alone)"
        )
    generation = old.generation if old else 0
    nothing = Totals(rows=0, sums=dict.fromkeys(sums.sums, 0))
    return FileProvenance(
        topic=old.topic if old else table.topic,
        topic_id=topic_id or _NO_TOPIC,
        offset=old.offset if old else -1,
        generation=generation,
        content_hash=content_hash(body),
        totals=sums,
        # Of rows that a refold has folded anew, and only of them, the worker knows that they do not shrink.
        newest=nothing if generation else sums,
        rebuilt=not day.young,
        mended=day.young,
        elsewhere=day.elsewhere,
    )


async def write_file(store: Store, file: NewFile) -> None:
    """Put a file in the place of the one that was compared, however long the lake takes."""
    patience = Patience()
    metadata = file.provenance.encode()
    while True:
        try:
            await store.put(file.key, file.body, metadata, etag=file.etag)
        except StoreUnavailable as why:
            await patience.bear(why)
        except PreconditionFailed as why:
            # A try that was not answered may have been ours.
            stat = await patiently(store.head, file.key)
            if stat is None or dict(stat.metadata) != metadata:
                raise ChangedMeanwhileError(
                    f"{file.key} was changed by somebody else since it was compared: run the command again"
                ) from why
            return
        else:
            return
