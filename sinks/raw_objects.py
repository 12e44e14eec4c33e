"""The raw objects of one partition in the lake: which one is the newest, and how one is replaced.

An object may only grow, by whoever holds the partition: writes are conditional, and an object that goes further
than the writer makes the writer read again. Closing changes the bytes of an object even where no line was added: its
ETag is made of them, and an archive that slept meanwhile must not take the closed object for the open one it knows.
"""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import structlog

from sinks import metrics
from sinks.keys import RAW, ChunkKey, chunk_prefix, topic8
from sinks.patience import Patience, patiently
from sinks.precedence import LakeMismatchError, ReadAgainError
from sinks.provenance import ChunkProvenance
from sinks.store import PreconditionFailed, Store, StoreUnavailable
from streams import failpoints

log = structlog.get_logger(__name__)

_TABLE_LABEL = "raw"
#: Behind the content of a closed object: one more gzip member, with nothing in it.
CLOSING: Final = zlib.compressobj(wbits=31).flush()


class Newest(NamedTuple):
    """The object of a partition that goes furthest."""

    key: ChunkKey
    etag: str
    provenance: ChunkProvenance


class RawObjects:
    """Raw objects of one partition of one topic."""

    def __init__(self, store: Store, topic: str, topic_id: uuid.UUID, partition: int) -> None:
        self._store = store
        self.topic = topic
        self.topic8 = topic8(topic_id)
        self.partition = partition
        self._topic_id = str(topic_id)
        self._etag: str | None = None

    async def newest(self) -> Newest | None:
        """Return the object that goes furthest, None when there is none, and remember it as the one to replace."""
        self._etag = None
        key = await self._newest_key()
        if key is None:
            return None
        stat = await patiently(self._store.head, key.encode())
        if stat is None:
            raise LakeMismatchError(f"{key.encode()} was listed and is gone: does another program delete raw objects?")
        newest = Newest(key, stat.etag, self._provenance(key.encode(), stat.metadata))
        self._etag = stat.etag if newest.provenance.state == "open" else None
        return newest

    async def _newest_key(self) -> ChunkKey | None:
        """Look through the days, newest first; one day more, in case a broker's clock went back over midnight."""
        prefix = chunk_prefix(self.topic, self.topic8, self.partition)
        found: list[ChunkKey] = []
        for year in reversed(await patiently(self._store.folders, RAW)):
            for month in reversed(await patiently(self._store.folders, year)):
                for day in reversed(await patiently(self._store.folders, month)):
                    last_look = bool(found)
                    found += filter(None, map(ChunkKey.parse, await patiently(self._store.keys, day + prefix)))
                    if last_look:
                        return max(found, key=lambda key: key.first)
        return max(found, key=lambda key: key.first, default=None)

    async def close(self, newest: Newest) -> None:
        """Mark an open object as closed, as it is: the log no longer holds its first records."""
        key = newest.key.encode()
        found = await patiently(self._store.get, key)
        if found is None or found.stat.etag != newest.etag:
            raise ReadAgainError(key, newest.provenance.last, newest.provenance.last)
        await self.put(key, found.body, newest.provenance.first, newest.provenance.last, "closed")

    async def put(self, key: str, body: bytes, first: int, last: int, state: Literal["open", "closed"]) -> None:
        """Write an object over the one last seen, however long the lake takes."""
        provenance = ChunkProvenance(
            topic=self.topic, topic_id=self._topic_id, partition=self.partition, first=first, last=last, state=state
        )
        if state == "closed":
            body += CLOSING
        patience = Patience()
        while True:
            started = time.monotonic()
            try:
                await failpoints.reach("before-raw-put")
                etag = await self._store.put(key, body, provenance.encode(), etag=self._etag)
                await failpoints.reach("after-raw-put")
            except (PreconditionFailed, StoreUnavailable) as why:
                if isinstance(why, StoreUnavailable):
                    await patience.bear(why)
                else:
                    metrics.CONFLICTS.labels(table=_TABLE_LABEL).inc()
                    log.info("the object is another than expected; looking again", key=key, why=str(why))
                if await self._is_there(key, provenance):
                    break
            else:
                self._etag = etag
                metrics.PUT_SECONDS.observe(time.monotonic() - started)
                metrics.OBJECTS.labels(table=_TABLE_LABEL).inc()
                metrics.OBJECT_BYTES.labels(table=_TABLE_LABEL).inc(len(body))
                break
        if state == "closed":
            self._etag = None

    async def _is_there(self, key: str, wanted: ChunkProvenance) -> bool:
        """Look at an object after an unclear write: ours, one that may be replaced, or one that goes further."""
        stat = await patiently(self._store.head, key)
        self._etag = stat.etag if stat else None
        if stat is None:
            return False
        found = self._provenance(key, stat.metadata)
        if found == wanted:
            return True
        if found.first != wanted.first or found.last > wanted.last or found.state == "closed":
            raise ReadAgainError(key, found.last, wanted.last + 1)
        return False

    def _provenance(self, key: str, metadata: Mapping[str, str]) -> ChunkProvenance:
        provenance = ChunkProvenance.decode(key, metadata)
        if (provenance.topic, provenance.topic_id) != (self.topic, self._topic_id):
            raise LakeMismatchError(
                f"{key} was written from topic {provenance.topic} with id {provenance.topic_id}, but the broker's "
                f"{self.topic} has id {self._topic_id}: give SINKS_LAKE a new place"
            )
        return provenance
