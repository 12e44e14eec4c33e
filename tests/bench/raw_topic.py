"""Raw records as a gateway writes them, for topics that are full before anything is measured."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from streams.contract import topics
from streams.contract.days import DAY_MS
from streams.contract.keys import partition_of
from streams.provision import provision

EVENT_BYTES = 600
CHANNELS = 500
#: Batches on their way to the broker at once.
IN_FLIGHT = 64
#: Spreads client numbers over ids that look like those of browsers: an odd number, so no two meet.
_SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835
_LINE = (
    '{{"schema":1,"event_id":"{id:032x}","event_ts":{ts},"event_type":"{kind}","client_session_id":"{client}",'
    '"tab_id":"{tab}","video_id":"vid{video:08d}","video_session_id":"{tab}-{video}",'
    '"channel_name":"Channel {channel}","channel_url":"https://www.youtube.com/@channel{channel}","watch_ms_delta":10000,"watch_mode":"{mode}",'
    '"tz_offset_min":-60,"seq":{seq},"seq_epoch":"{epoch}","received_at":{now},"client_id":"{client}",'
    '"url":"https://www.youtube.com/watch?v='
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the events are like."""

    clients: int = 2_000
    videos: int = 5_000
    #: Popularity of the n-th video is n to the minus this; None: one video has half of all events.
    zipf: float | None = None
    #: Over how many days up to now the events are spread.
    days: int = 1
    per_record: int = 1


def lines(events: int, shape: Shape) -> Iterator[tuple[str, bytes]]:
    """Give (client, line): every client in turn, ticks and some starts."""
    pick = random.Random(1)
    now_ms = time.time_ns() // 1_000_000
    span_ms = (shape.days - 1) * DAY_MS + DAY_MS // 24
    seqs = [0] * shape.clients
    # In turn, so that all clients come; not in one order again and again.
    order = pick.sample(range(shape.clients), shape.clients)
    for number, video in zip(range(events), _videos(pick, shape), strict=False):
        client = order[number % shape.clients]
        name, tab = _names(client)
        line = _LINE.format(
            id=pick.getrandbits(128),
            ts=now_ms - int(pick.random() * span_ms),
            kind="video_start" if pick.random() < 0.1 else "watch_tick",
            client=name,
            tab=tab,
            video=video,
            channel=video % CHANNELS,
            mode="foreground" if pick.random() < 0.7 else "background",
            seq=seqs[client],
            epoch=name[8:24],
            now=now_ms,
        )
        seqs[client] += 1
        yield name, (line.ljust(EVENT_BYTES - 3, "x") + '"}\n').encode()


def _videos(pick: random.Random, shape: Shape) -> Iterator[int]:
    """Give the videos of events: a few first, or by rank."""
    if shape.zipf is None:
        while True:
            yield int(pick.paretovariate(0.9)) % shape.videos
    weights = list(accumulate((n + 1) ** -shape.zipf for n in range(shape.videos)))
    while True:
        yield from pick.choices(range(shape.videos), cum_weights=weights, k=1_000)


@cache
def _names(client: int) -> tuple[str, str]:
    name = f"{(client + 1) * _SCATTER % 2**128:032x}"
    return name, name[:8]


async def fill(bootstrap_servers: str, events: int, shape: Shape, partitions: int) -> None:
    """Append the events to the raw topic, `shape.per_record` of one client a record."""
    waiting: dict[str, list[bytes]] = defaultdict(list)
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        enable_idempotence=True,
        max_batch_size=64 * 1024,
        max_request_size=4 * 1024 * 1024,
    ) as producer:
        batches = _Batches(producer, partitions)
        for client, line in lines(events, shape):
            waiting[client].append(line)
            if len(waiting[client]) == shape.per_record:
                await batches.add(client, b"".join(waiting.pop(client)))
        for client, rest in waiting.items():
            await batches.add(client, b"".join(rest))
        await batches.end()


class _Batches:
    """One open batch for each partition: a quarter of the time that `send` takes for each record."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self._producer = producer
        self._places = cache(lambda client: partition_of(client.encode(), partitions))
        self._open: dict[int, Any] = {}
        self._sent: list[Any] = []

    async def add(self, client: str, value: bytes) -> None:
        p = self._places(client)
        batch = self._open.setdefault(p, self._producer.create_batch())
        if batch.append(timestamp=None, key=client.encode(), value=value) is None:
            await self._send(p)
            batch = self._open[p] = self._producer.create_batch()
            batch.append(timestamp=None, key=client.encode(), value=value)

    async def _send(self, p: int) -> None:
        self._sent.append(await self._producer.send_batch(self._open.pop(p), topics.EVENTS, partition=p))
        if len(self._sent) >= IN_FLIGHT:
            await self._sent.pop(0)

    async def end(self) -> None:
        for p in list(self._open):
            await self._send(p)
        for sent in self._sent:
            await sent


async def fresh(bootstrap_servers: str, partitions: int, *, keep_raw: bool = False) -> None:
    """Make the contract's topics anew; with `keep_raw` all but the raw one."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        kept = {topics.EVENTS} if keep_raw else set()
        while names := [name for name in await admin.list_topics() if name.startswith("watch.") and name not in kept]:
            await admin.delete_topics(names)
    finally:
        await admin.close()
    await provision(bootstrap_servers, partitions, 1, replication=1, client_table=False)
