"""Takes a client out of the raw objects of a lake: each object that names it is replaced under its own key.

Key and metadata stay, so that the archive is as whole as before. Only objects that are final are touched: the chunk
that held the client's last lines was closed by the control record that asks for this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from sinks.anonymise import Anonymiser
from sinks.chunks import compressor
from sinks.keys import RAW, ChunkKey
from sinks.patience import Patience, patiently
from sinks.progress import Report
from sinks.provenance import ChunkProvenance
from sinks.rebuild_lines import content, foreign_lines
from sinks.rebuild_sources import PROCESSED
from sinks.store import PreconditionFailed, Store, StoredObject, StoreUnavailable
from streams.contract.event import split_lines

_GZIP_MAGIC: Final = b"\x1f\x8b"
_AT_ONCE: Final = 4


class OpenChunkError(Exception):
    """The archive has not passed the control record."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Up to where lines of a raw partition are to be made anonymous: the control record."""

    topic8: str
    partition: int
    offset: int


@dataclass(kw_only=True)
class RawOutcome:
    """What was done to raw objects."""

    read: int = 0
    #: Objects that were replaced, and lines in them that were changed.
    replaced: int = 0
    lines: int = 0


async def forget_in_raw(store: Store, anonymiser: Anonymiser, bound: Bound, report: Report) -> RawOutcome:
    """Make a client's lines anonymous in every closed raw object up to the control record."""
    outcome = RawOutcome()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(key: str) -> None:
        async with gate:
            lines = await _forget_in(store, key, anonymiser, bound)
        outcome.read += 1
        outcome.replaced += lines > 0
        outcome.lines += lines
        report(f"raw objects: {outcome.read:,} read, {outcome.replaced:,} replaced")

    async for keys in _days(store):
        wanted = [key for key in keys if not key.endswith("/") and _is_before(key, bound)]
        await asyncio.gather(*(one(key) for key in wanted))
    return outcome


async def _days(store: Store) -> AsyncIterator[list[str]]:
    """Give the keys of each raw day, the reference's included."""
    for root in (RAW, PROCESSED):
        for year in await patiently(store.folders, root):
            for month in await patiently(store.folders, year):
                for day in await patiently(store.folders, month):
                    yield await patiently(store.keys, day)


def _is_before(key: str, bound: Bound) -> bool:
    """Tell whether an object may hold lines from before the control record."""
    chunk = ChunkKey.parse(key)
    if chunk is None or (chunk.topic8, chunk.partition) != (bound.topic8, bound.partition):
        return True
    return chunk.first <= bound.offset


async def _forget_in(store: Store, key: str, anonymiser: Anonymiser, bound: Bound) -> int:
    """Replace one object if it names the client; return how many lines were changed."""
    patience = Patience()
    while True:
        stored = await patiently(store.get, key)
        if stored is None or not _is_final(key, stored, bound):
            return 0
        body, lines = await asyncio.to_thread(_without, key, stored.body, anonymiser)
        if not lines:
            return 0
        try:
            await store.put(key, body, stored.stat.metadata, etag=stored.stat.etag)
        except StoreUnavailable as why:
            # It may have been written all the same: the next look finds the client in it, or not.
            await patience.bear(why)
        except PreconditionFailed:
            continue
        else:
            return lines


def _is_final(key: str, stored: StoredObject, bound: Bound) -> bool:
    """Tell whether an object may hold lines from before the control record and is never written again."""
    chunk = ChunkKey.parse(key)
    # Nobody writes the chunks of a topic that is no more, closed or not.
    if chunk is None or chunk.topic8 != bound.topic8:
        return True
    provenance = ChunkProvenance.decode(key, stored.stat.metadata)
    if chunk.partition != bound.partition:
        return provenance.state == "closed"
    # The control record ended its chunk, so that one which goes further has nothing from before it.
    if provenance.last > bound.offset:
        return False
    if provenance.state == "open":
        raise OpenChunkError(f"{key} ends before the control record and is still open: are the sinks running?")
    return True


def _without(key: str, body: bytes, anonymiser: Anonymiser) -> tuple[bytes, int]:
    text = content(key, body)
    new, lines = anonymiser.lines((foreign_lines if ChunkKey.parse(key) is None else split_lines)(text))
    return (_gzip(new) if body.startswith(_GZIP_MAGIC) else new), lines


def _gzip(text: bytes) -> bytes:
    """Compress as the archive does: no time of day in it."""
    packing = compressor()
    return packing.compress(text) + packing.flush()
