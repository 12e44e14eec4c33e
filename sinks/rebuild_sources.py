"""Where a rebuilt day's lines come from: the own raw archive, and every lake or bucket that --from names.

A source may be another lake of this project, whose chunks count as ours do, or the reference's bucket, whose objects
are known by their day alone. A chunk that lies in two lakes is one chunk.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sinks.keys import RAW, day_folder
from sinks.lake import Lake, NoStackError
from sinks.provenance import ChunkProvenance, ForeignObjectError
from sinks.raw_days import FIRST_DAY, LAST_DAY, Chunk, Continuity, RawHoleError, chunk_of
from sinks.raw_edges import Edges, Place, place_of
from sinks.store import Store, StoreError, StoreRefused
from streams.contract.days import dt_of_ms, shift_dt
from streams.contract.topics import EVENTS

#: Where the reference moves an object when it has processed it.
PROCESSED: Final = "raw-processed/"
#: First raw day whose lines may count on a day: its viewers may be a day ahead, and clocks ten minutes.
_FIRST_COUNTED: Final = -2
_HEADS: Final = 8


class NoSourceError(Exception):
    """A place that --from names is not what it should be."""


@dataclass(frozen=True)
class Source:
    """A lake or bucket with raw objects."""

    url: str
    store: Store
    #: Whether the reference's objects in it are wanted: yes when it was named.
    foreign: bool


class Findings(NamedTuple):
    """The raw objects that matter to a day, in the order in which they are read, and how far each partition goes."""

    objects: list[Found]
    continuity: Continuity


class Found(NamedTuple):
    """A raw object that is to be read."""

    source: Source
    key: str
    #: Day in the key.
    dt: str
    #: Whether it is the reference's, and not a chunk of an archive of ours.
    foreign: bool
    etag: str
    metadata: Mapping[str, str]


async def source_of(url: str, own: Lake, own_store: Store) -> Source:
    """Return the source that a --from names: a bucket of the own S3 server, or else as boto3 finds it."""
    if url.rstrip("/") == own.url.rstrip("/"):
        return Source(own.url, own_store, foreign=True)
    try:
        parts, home = urlsplit(url), urlsplit(own.url)
        if parts.scheme == home.scheme == "s3" and (own.s3_endpoint or parts.netloc == home.netloc):
            near = replace(own, url=url).store()
            with contextlib.suppress(StoreRefused):
                await near.folders(RAW)
                return Source(url, near, foreign=True)
        return Source(url, Lake(url=url).store(), foreign=True)
    except NoStackError as error:
        raise NoSourceError(f"--from {error}") from error
    except StoreError as error:
        raise NoSourceError(f"--from {url} cannot be read: {error}") from error


async def find_objects(sources: Sequence[Source], dt: str, *, dedupe: bool) -> Findings:
    """Return the raw objects that matter to a day, the reference's first, each in the order of deliveries."""
    foreign: list[tuple[str, Source, str]] = []
    chunks: list[tuple[Chunk, Source]] = []
    for source in sources:
        if source.foreign:
            await _check_source(source)
        for offset in range(FIRST_DAY, LAST_DAY + 1):
            day = shift_dt(dt, offset)
            for key in await _keys(source, day):
                chunk = chunk_of(key)
                if chunk is not None:
                    if chunk.topic == EVENTS:
                        chunks.append((chunk, source))
                elif source.foreign and (dedupe or offset >= _FIRST_COUNTED):
                    foreign.append((day, source, key))
    wanted = [(source, key, day, True) for day, source, key in sorted(foreign, key=lambda found: (found[0], found[2]))]
    wanted += _rows(chunks)
    return await _look(wanted, await _edges(sources, chunks, dt))


class _Edges(NamedTuple):
    """The chunks next to the window of a day: the last before it with its copies, the first after it."""

    before: list[tuple[Chunk, Source]]
    after: list[Chunk]


async def _edges(sources: Sequence[Source], chunks: Sequence[tuple[Chunk, Source]], dt: str) -> _Edges:
    """Find them, each only where its lake has the partition on the other side of the window's edge too.

    Of a lake from which days were moved away, what is left says nothing of what another lake holds.
    """
    today = dt_of_ms(time.time_ns() // 1_000_000)
    before: list[tuple[Chunk, Source]] = []
    after: dict[Place, Chunk] = {}
    for source in sources:
        edges, inside = Edges(source.store), {place_of(chunk) for chunk, at in chunks if at is source}
        ahead = await edges.before(shift_dt(dt, FIRST_DAY), inside)
        known = inside | {place_of(chunk) for chunk in ahead}
        behind = [
            chunk for chunk in await edges.after(shift_dt(dt, LAST_DAY), known, today) if place_of(chunk) in known
        ]
        known = inside | {place_of(chunk) for chunk in behind}
        before += [(chunk, source) for chunk in ahead if place_of(chunk) in known]
        for chunk in behind:
            after[place_of(chunk)] = min(chunk, after.get(place_of(chunk), chunk))
    last = {place_of(chunk): chunk.first for chunk, _ in sorted(before, key=itemgetter(0))}
    return _Edges([one for one in before if one[0].first == last[place_of(one[0])]], list(after.values()))


async def _keys(source: Source, dt: str) -> list[str]:
    """Return the objects of a raw day; one that the reference was just moving is in both places and counts once."""
    keys = await source.store.keys(day_folder(dt))
    if source.foreign:
        named = {key.removeprefix(RAW) for key in keys}
        moved = await source.store.keys(PROCESSED + day_folder(dt).removeprefix(RAW))
        keys += [key for key in moved if key.removeprefix(PROCESSED) not in named]
    # Consoles and some tools make an empty object for each folder.
    return [key for key in keys if not key.endswith("/")]


async def _check_source(source: Source) -> None:
    try:
        if await source.store.folders(RAW) or await source.store.folders(PROCESSED):
            return
    except StoreError as error:
        raise NoSourceError(f"--from {source.url} cannot be read: {error}") from error
    raise NoSourceError(f"--from {source.url} has no raw/YYYY/MM/DD/ in it: name the bucket or folder that holds raw/")


async def _look(wanted: Sequence[tuple[Source, str, str, bool]], edges: _Edges) -> Findings:
    gate = asyncio.Semaphore(_HEADS)

    async def look(source: Source, key: str, dt: str, foreign: bool) -> Found:  # noqa: FBT001 - the shape of a row
        async with gate:
            stat = await source.store.head(key)
        if stat is None:
            raise RawHoleError(f"{key} was listed and is gone: does another program delete raw objects?")
        return Found(source, key, dt, foreign, stat.etag, stat.metadata)

    found = await asyncio.gather(*(look(*one) for one in wanted))
    continuity, objects = Continuity(), [one for one in found if one.foreign]
    before = await asyncio.gather(*(look(*one) for one in _rows(edges.before)))
    for chunk, longest in _longest(before):
        with contextlib.suppress(ForeignObjectError):  # of another day, which will say so
            continuity.see(chunk, longest.metadata)
    for chunk, longest in _longest(found):
        continuity.see(chunk, longest.metadata)
        objects.append(longest)
    for following in edges.after:
        continuity.follow(following)
    return Findings(objects, continuity)


def _rows(chunks: Iterable[tuple[Chunk, Source]]) -> list[tuple[Source, str, str, bool]]:
    """Return what is to be looked at, in the order of deliveries: copies of a chunk stand side by side."""
    return [(source, chunk.key, chunk.dt, False) for chunk, source in sorted(chunks, key=itemgetter(0))]


def _longest(found: Iterable[Found]) -> Iterator[tuple[Chunk, Found]]:
    """Give each chunk with its longest copy, as another may have been made while it grew; copies stand side by side."""
    chunks = ((chunk, one) for one in found if (chunk := chunk_of(one.key)))
    for _, copies in groupby(chunks, key=lambda each: each[0][:4]):
        yield max(copies, key=lambda each: _last(each[1]))


def _last(found: Found) -> int:
    """Return a chunk's last offset; one of a copy that lost its metadata is not known, and any other copy is better."""
    try:
        return ChunkProvenance.decode(found.key, found.metadata).last
    except ForeignObjectError:
        return -1
