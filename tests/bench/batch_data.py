"""Raw objects of a busy day, as the archive would have left them: what the batch benchmark counts."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sinks.chunks import Chunk, Chunks, RawRecord
from sinks.folder import FolderStore
from sinks.keys import topic8
from sinks.provenance import ChunkProvenance
from streams.contract.days import DAY_MS, day_start_ms
from streams.contract.topics import EVENTS

DT = "2026-01-05"
TOPIC_ID = uuid.UUID("5b0a2c1e-7f43-4d0b-9a55-0c1d2e3f4a5b")
PARTITIONS = 4
VIDEOS, CHANNELS = 5_000, 500
#: Events of one POST, and how many of a hundred POSTs come a second time.
PER_POST, REPEATED = 10, 1


def fill(lake: Path, events: int, clients: int) -> int:
    """Write the raw objects of `events` deliveries into a lake; return how many of them are first ones."""
    each = events // PARTITIONS // PER_POST
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_fill, lake, p, each, clients // PARTITIONS) for p in range(PARTITIONS)]
        return sum(job.result() for job in jobs)


def _fill(lake: Path, partition: int, posts: int, clients: int) -> int:
    return asyncio.run(_fill_partition(FolderStore(lake), partition, posts, clients))


async def _fill_partition(store: FolderStore, partition: int, posts: int, clients: int) -> int:
    chunks = Chunks(EVENTS, topic8(TOPIC_ID), partition, 0)
    first = 0
    for record, is_first in _records(partition, posts, clients):
        first += PER_POST * is_first
        for ended in chunks.take([record]):
            await _put(store, partition, ended)
    if chunks.open:
        await _put(store, partition, chunks.open)
    return first


async def _put(store: FolderStore, partition: int, chunk: Chunk) -> None:
    provenance = ChunkProvenance(
        topic=EVENTS,
        topic_id=str(TOPIC_ID),
        partition=partition,
        first=chunk.first,
        last=chunk.last,
        state="closed",
    )
    await store.put(chunk.key, chunk.content(), provenance.encode(), etag=None)


def _records(partition: int, posts: int, clients: int) -> Iterator[tuple[RawRecord, bool]]:
    """Yield records of one partition, and whether each is no repeat of an earlier one."""
    rng = random.Random(partition)
    ids = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(clients)]
    seqs = [0] * clients
    sent: list[bytes] = []
    start = day_start_ms(DT)
    for number in range(posts):
        at = start + number * (DAY_MS - 60_000) // posts
        is_first = not sent or rng.randrange(100) >= REPEATED
        if is_first:
            client = rng.randrange(clients)
            value = b"".join(_event(rng, ids[client], seqs[client] + n, at + n) for n in range(PER_POST))
            seqs[client] += PER_POST
            sent = [*sent[-200:], value]
        else:
            value = rng.choice(sent)
        yield RawRecord(number, at, value, control=False), is_first


def _event(rng: random.Random, client: str, seq: int, at: int) -> bytes:
    """Return a line of about 650 bytes, as the extension sends it and the gateway stamps it."""
    video = int(rng.paretovariate(0.9)) % VIDEOS
    channel = video % CHANNELS
    kind = (
        '"video_start"'
        if rng.random() < 0.1
        else f'"watch_tick","watch_ms_delta":{rng.choice((10_000, 10_000, rng.randrange(1, 10_000)))},'
        f'"position_s":{rng.random() * 600},"playback_rate":1,"flush_reason":"tick"'
    )
    mode = "foreground" if rng.random() < 0.7 else "background"
    return (
        f'{{"schema":1,"event_id":"{rng.getrandbits(128):032x}","event_ts":{at},"event_type":{kind},'
        f'"client_session_id":"{client}","tab_id":"{client[:8]}","video_id":"vid{video:08}",'
        f'"video_session_id":"{client[:13]}{video}","channel_name":"Channel {channel}",'
        f'"channel_url":"https://www.youtube.com/@c{channel}","channel_handle":"@c{channel}","channel_id":null,'
        f'"url":"https://www.youtube.com/watch?v=vid{video:08}","is_visible":true,"watch_mode":"{mode}",'
        f'"player_state":"playing","tz_offset_min":-60,"seq":{seq},"seq_epoch":"{client[-12:]}",'
        f'"received_at":{at + 150},"client_id":"{client}"}}\n'
    ).encode()
