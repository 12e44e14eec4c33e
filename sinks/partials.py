"""The partial documents of the pipeline before this one, written on request for programs that still read them.

`results/daily/YYYY/MM/DD/partials/<16 hex>.json`, one for each raw object that holds events of the day:

    {"source": {"bucket": …, "key": …, "etag": …},
     "day_partition": {"yyyy": "2026", "mm": "01", "dd": "05"},
     "totals": {"total_ms_by_channel": {…}, "total_ms_by_video": {…},
                "total_ms_by_channel_fg": {…}, "total_ms_by_channel_bg": {…}},
     "views": {"views_by_video": {…}, "views_by_channel": {…}},
     "metrics": {"total_events": …, "valid_events": …, "invalid_events": …,
                 "ignored_no_video_ticks": …, "ignored_no_channel_ticks": …}}

Times are milliseconds. Names and shape are that pipeline's. Three things differ, all so that the documents of a day
add up to its daily files, whatever is exact there: the day is the one that events count on, not the one that they
were delivered on; a repeat counts nowhere; time of advertisements is no watch time. The 16 digits are of the object's
key alone, so that a document of an object that has grown since replaces the one from before.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import duckdb

from sinks.patience import Patience, patiently
from sinks.progress import Report
from sinks.rebuild_count import counted
from sinks.rebuild_part import LINE_BITS, Reading
from sinks.rebuild_sources import Found, Source, find_objects
from sinks.reconcile_day import Stack
from sinks.store import PreconditionFailed, Store, StoreUnavailable, content_hash

RESULTS: Final = "results/daily/"
#: Key of the metadata that tells whether a document is up to date.
_HASH_FIELD: Final = "sha256"


class Document(NamedTuple):
    """A partial document and where it goes."""

    key: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Partials:
    """What was written."""

    dt: str
    events: int
    documents: int
    #: Documents that were not there or not so.
    written: list[str]


class Bucket(NamedTuple):
    """The bucket of a lake and what its keys begin with there."""

    name: str
    prefix: str


def bucket_of(url: str) -> Bucket:
    """Return the bucket of a lake; of a folder its path."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        path = parts.path.strip("/")
        return Bucket(parts.netloc, f"{path}/" if path else "")
    return Bucket(unquote(parts.path), "")


async def write_partials(stack: Stack, dt: str, folder: Path, report: Report) -> Partials:
    """Count a day from the own archive and write its documents."""
    store = stack.lake.store()
    report("listing raw objects")
    findings = await find_objects([Source(stack.lake.url, store, foreign=False)], dt, dedupe=False)
    rule = await stack.rule_of_days(store)
    async with counted(findings.objects, dt, rule, reading=Reading(), folder=folder, report=report) as (recount, _):
        made = documents(recount.connection, dt, findings.objects, bucket_of(stack.lake.url))
        events = recount.events()
    written = []
    for number, document in enumerate(made):
        report(f"writing document {number + 1} of {len(made)}")
        if await _put(store, document):
            written.append(document.key)
    return Partials(dt=dt, events=events, documents=len(made), written=written)


async def _put(store: Store, document: Document) -> bool:
    """Write a document over the one that is there; tell whether that was necessary."""
    metadata, patience = {_HASH_FIELD: content_hash(document.body)}, Patience()
    tried = False
    while True:
        stat = await patiently(store.head, document.key)
        if stat is not None and dict(stat.metadata) == metadata:
            return tried
        try:
            await store.put(document.key, document.body, metadata, etag=stat.etag if stat else None)
        except StoreUnavailable as why:
            tried = True
            await patience.bear(why)
        except PreconditionFailed:
            tried = True
        else:
            return True


def documents(
    connection: duckdb.DuckDBPyConnection, dt: str, objects: Sequence[Found], bucket: Bucket
) -> list[Document]:
    """Return the documents of a counted day, in the order of the objects."""
    found: dict[int, dict[str, Any]] = defaultdict(_empty)
    for number, *metrics in connection.execute(_METRICS).fetchall():
        found[number]["metrics"] = dict(zip(_METRIC_NAMES, metrics, strict=True))
    for number, name, total, fg, bg, views in connection.execute(_by("channel", _CHANNELS)).fetchall():
        _set(found[number]["totals"]["total_ms_by_channel"], name, total)
        _set(found[number]["totals"]["total_ms_by_channel_fg"], name, fg)
        _set(found[number]["totals"]["total_ms_by_channel_bg"], name, bg)
        _set(found[number]["views"]["views_by_channel"], name, views)
    for number, name, total, _, _, views in connection.execute(_by("video", _VIDEOS)).fetchall():
        _set(found[number]["totals"]["total_ms_by_video"], name, total)
        _set(found[number]["views"]["views_by_video"], name, views)
    return [_document(dt, objects[number], counts, bucket) for number, counts in sorted(found.items())]


def _empty() -> dict[str, Any]:
    return {
        "totals": {
            "total_ms_by_channel": {},
            "total_ms_by_video": {},
            "total_ms_by_channel_fg": {},
            "total_ms_by_channel_bg": {},
        },
        "views": {"views_by_video": {}, "views_by_channel": {}},
        "metrics": {},
    }


def _set(counts: dict[str, int], name: bytes, count: int) -> None:
    if count:
        counts[name.decode()] = count


def _document(dt: str, found: Found, counts: dict[str, Any], bucket: Bucket) -> Document:
    year, month, day = dt.split("-")
    key = bucket.prefix + found.key
    body = {
        "source": {"bucket": bucket.name, "key": key, "etag": found.etag.strip('"')},
        "day_partition": {"yyyy": year, "mm": month, "dd": day},
        **counts,
    }
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    return Document(
        f"{RESULTS}{year}/{month}/{day}/partials/{name}.json", json.dumps(body, ensure_ascii=False).encode()
    )


#: What the reference counts of an object; it knows no repeats and no days of arrival.
_METRIC_NAMES: Final = (
    "total_events",
    "valid_events",
    "invalid_events",
    "ignored_no_video_ticks",
    "ignored_no_channel_ticks",
)
#: A place is the number of its object and the line's number in it.
_OBJECT: Final = f"place >> {LINE_BITS}"
_METRICS: Final = f"""
SELECT {_OBJECT} AS object,
  count(*),
  count(*) FILTER (valid),
  count(*) FILTER (NOT valid),
  count(*) FILTER (tick AND video IS NULL),
  count(*) FILTER (tick AND video IS NOT NULL AND channel IS NULL)
FROM counted WHERE NOT again GROUP BY object
"""  # noqa: S608 - constants
_CHANNELS: Final = "channel IS NOT NULL AND (start OR video IS NOT NULL)"
_VIDEOS: Final = "video IS NOT NULL"


def _by(column: str, condition: str) -> str:
    return f"""
    SELECT {_OBJECT} AS object, {column},
      coalesce(sum(delta_ms) FILTER (tick AND NOT ad), 0)::BIGINT,
      coalesce(sum(delta_ms) FILTER (tick AND NOT ad AND NOT background), 0)::BIGINT,
      coalesce(sum(delta_ms) FILTER (tick AND NOT ad AND background), 0)::BIGINT,
      count(*) FILTER (start)
    FROM counted WHERE (start OR tick) AND {condition} GROUP BY object, {column} ORDER BY object, {column}
    """  # noqa: S608 - constants
