"""A holder of a raw partition over a lake in memory, and records for it."""

from __future__ import annotations

import gzip
import uuid

from aiokafka.structs import ConsumerRecord

from sinks.archive import ArchiveLane
from sinks.keys import RAW, ChunkKey
from sinks.provenance import ChunkProvenance
from sinks.raw_objects import RawObjects
from streams.contract.days import DAY_MS, HOUR_MS
from streams.contract.topics import EVENTS

START = 20_000 * DAY_MS + 5 * HOUR_MS


TOPIC_ID = uuid.UUID("01ec8821-a93a-4f72-aab2-0bec25d3b004")


FIRST_KEY = f"raw/2024/10/04/{EVENTS}-01ec8821-3-{0:020}.ndjson.gz"


def event(offset, *, hour=0, control=False):
    ms = START + hour * HOUR_MS
    value = b"" if control else b'{"n":%d,"received_at":%d}\n' % (offset, ms)
    headers = (("control", b"forget"),) if control else ()
    return ConsumerRecord(EVENTS, 3, offset, ms, 1, b"client", value, None, 6, len(value), headers)


def lane_on(store, *, refresh_s=0.02, partition=3):
    return ArchiveLane(RawObjects(store, EVENTS, TOPIC_ID, partition), refresh_s)


async def archive(lane, log, *, start=0):
    """Locate, feed and flush a lane, as a worker's whole life; `log` holds offsets from `start` on."""
    end = start + len(log)
    offset = await lane.locate(start, end)
    lane.feed(log[offset - start :], end)
    lane.stop(flush=True)
    await lane.run()
    return offset


async def objects(store):
    """Return the objects as (extent, state, numbers of the events in them)."""
    found = {}
    for key in await store.keys(RAW):
        stored = await store.get(key)
        said = ChunkProvenance.decode(key, stored.stat.metadata)
        assert ChunkKey.parse(key).first == said.first
        text = gzip.decompress(stored.body)
        numbers = [int(line.split(b":")[1].split(b",")[0]) for line in text.split(b"\n")[:-1]]
        found[key] = (said.first, said.last, said.state, numbers)
    return list(found.values())
