"""Takes a client's rows out of the daily files that sinks will not write again by themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from sinks.file_rows import read_rows
from sinks.files import batch_bytes, batch_totals
from sinks.keys import ANALYTICS, FileKey
from sinks.patience import patiently
from sinks.progress import Report
from sinks.provenance import FileProvenance, Totals
from sinks.rebuild_files import NewFile, write_file
from sinks.row_columns import row_batch
from sinks.store import Store, StoredObject, content_hash
from streams.contract.rows import CLIENT


async def forget_in_files(store: Store, client_id: str, kept_days: Collection[str], report: Report) -> list[str]:
    """Remove a client's rows from files of every day; return the files that were replaced.

    `kept_days`: days on which the client has come back, so that its row is a new one.
    """
    replaced: list[str] = []
    for folder in await patiently(store.folders, f"{ANALYTICS}{CLIENT.name}/"):
        report(f"files of {CLIENT.name}: {len(replaced)} replaced")
        for key in await patiently(store.keys, folder):
            name = FileKey.parse(key)
            if name is None or name.dt in kept_days:
                continue
            stored = await patiently(store.get, key)
            new = stored and _without(name, stored, client_id)
            if new:
                await write_file(store, new)
                replaced.append(key)
    return replaced


def _without(name: FileKey, stored: StoredObject, client_id: str) -> NewFile | None:
    """Return a file without the client's row; None when it has none."""
    rows = [_values(row) for row in read_rows(CLIENT, name, stored.body).to_pylist()]
    kept = [row for row in rows if row[0] != client_id]
    if len(kept) == len(rows):
        return None
    batch = row_batch(CLIENT, kept)
    body = batch_bytes(CLIENT, name.dt, batch, name.format)
    old = FileProvenance.decode(name.encode(), stored.stat.metadata)
    sums = batch_totals(CLIENT, batch)
    # Which rows a refold has made is not known here, so that after one nothing is said about what must not shrink.
    newest = Totals(rows=0, sums=dict.fromkeys(sums.sums, 0)) if old.generation else sums
    provenance = dataclasses.replace(old, content_hash=content_hash(body), totals=sums, newest=newest)
    return NewFile(key=name.encode(), body=body, provenance=provenance, etag=stored.stat.etag)


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the columns after `dt`, text as text."""
    return tuple(
        row[column].decode() if isinstance(row[column], bytes) else row[column] for column in CLIENT.columns[1:]
    )
