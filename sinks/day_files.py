"""The files of one (table, partition) in the lake: last seen, compared, and replaced by conditional writes.

The lake is the truth: a file's metadata say from which topic and up to which offset it was built. Whatever is
unclear after a write (refused, or not answered) is settled by looking at the file again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from sinks import metrics
from sinks.files import DayFile, day_file
from sinks.keys import FileKey, Format
from sinks.patience import Patience, patiently
from sinks.precedence import ReadAgainError, check_growth, check_origin
from sinks.provenance import FileProvenance
from sinks.store import PreconditionFailed, Store, StoreUnavailable, content_hash
from sinks.tables import DaySnapshot
from streams import failpoints
from streams.contract.rows import Table

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where and how daily files are written."""

    store: Store
    form: Format
    #: Number of partitions of each daily topic.
    shards: int
    #: Shortest time between two writes of one file, seconds.
    refresh_s: float


@dataclass(frozen=True)
class _Seen:
    """A file as it was last seen."""

    etag: str
    provenance: FileProvenance


class DayFiles:
    """The daily files that one partition of a daily topic is written to."""

    def __init__(self, table: Table, shard: int, topic_id: str, destination: Destination) -> None:
        self._table = table
        self._shard = shard
        self._topic_id = topic_id
        self._to = destination
        self._seen: dict[str, _Seen | None] = {}

    def look_again(self) -> None:
        """Forget what was seen: somebody else may have written since."""
        self._seen.clear()

    async def write(self, snapshot: DaySnapshot, position: int) -> None:
        """Bring a day's file up to the snapshot, however long the lake takes; `position`: offsets read so far.

        ReadAgainError when the file knows offsets that were not read here.
        """
        dt = snapshot.dt
        key = FileKey(self._table.name, dt, self._shard, self._to.shards, self._to.form).encode()
        patience = Patience()
        built: DayFile | None = None
        while True:
            seen = await self._look(key, dt)
            if seen and _is_settled(key, seen.provenance, snapshot, position):
                return
            if built is None:
                built = await asyncio.to_thread(day_file, self._table, snapshot, self._to.form)
            if seen is None and not built.totals.rows:
                return
            provenance = self._provenance(snapshot, built)
            if seen:
                if seen.provenance.content_hash == provenance.content_hash:
                    return
                check_growth(key, seen.provenance, snapshot, built)
            try:
                etag = await self._put(key, built.body, provenance, seen.etag if seen else None)
            except PreconditionFailed as why:
                metrics.CONFLICTS.labels(table=self._table.name).inc()
                log.info("the file is another than expected; looking again", key=key, why=str(why))
                del self._seen[dt]
            except StoreUnavailable as why:
                # It may have been written all the same.
                del self._seen[dt]
                await patience.bear(why)
            else:
                self._seen[dt] = _Seen(etag, provenance)
                return

    async def _look(self, key: str, dt: str) -> _Seen | None:
        """Return the day's file, from memory or from the lake."""
        if dt not in self._seen:
            stat = await patiently(self._to.store.head, key)
            if stat is None:
                self._seen[dt] = None
            else:
                provenance = FileProvenance.decode(key, stat.metadata)
                if not provenance.rebuilt:
                    check_origin(key, provenance, self._table.topic, self._topic_id)
                self._seen[dt] = _Seen(stat.etag, provenance)
        return self._seen[dt]

    def _provenance(self, snapshot: DaySnapshot, built: DayFile) -> FileProvenance:
        return FileProvenance(
            topic=self._table.topic,
            topic_id=self._topic_id,
            offset=snapshot.offset,
            generation=snapshot.generation,
            content_hash=content_hash(built.body),
            totals=built.totals,
            newest=built.newest,
        )

    async def _put(self, key: str, body: bytes, provenance: FileProvenance, etag: str | None) -> str:
        started = time.monotonic()
        await failpoints.reach("before-put")
        new_etag = await self._to.store.put(key, body, provenance.encode(), etag=etag)
        await failpoints.reach("after-put")
        metrics.PUT_SECONDS.observe(time.monotonic() - started)
        metrics.OBJECTS.labels(table=self._table.name).inc()
        metrics.OBJECT_BYTES.labels(table=self._table.name).inc(len(body))
        return new_etag


def _is_settled(key: str, file: FileProvenance, snapshot: DaySnapshot, position: int) -> bool:
    """Tell whether the file needs nothing from the snapshot."""
    if file.rebuilt:
        log.warning("a rebuilt file is not overwritten; newer rows of its day stay in the topic", key=key)
        return True
    if file.offset >= position:
        raise ReadAgainError(key, file.offset, position)
    return file.offset >= snapshot.offset
