"""A day that a gateway's live page shows: rows put in by hand, and how a test asks for them."""

from __future__ import annotations

import datetime

import aiohttp

from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, encode_row, row_of
from tests.unit.gateway.running import Gateway

TODAY = datetime.datetime.now(datetime.UTC).date().isoformat()
EVIL = "<img src=x onerror=alert(1)>\u2028=cmd"


def put(gateway: Gateway, table, row_id, counters, *, dt=TODAY, channel=None):  # noqa: PLR0913
    row = row_of(table, dt, row_id, counters, channel)
    gateway.reader.days.apply(table.topic, daily_key(dt, table.kind, row_id), encode_row(row, 5))


def fill(gateway: Gateway) -> None:
    put(gateway, VIDEO, "video-1", [60_000, 30_000, 2, 5_000], channel=EVIL)
    put(gateway, VIDEO, "video-2", [10_000, 0, 1, 0])
    put(gateway, CHANNEL, EVIL, [60_000, 30_000, 2, 5_000])
    put(gateway, HOUR, "7", [70_000, 30_000, 3, 5_000])
    put(gateway, INGEST, "", [9, 9, 0, 0, 0, 1, 0])
    gateway.reader.caught_up.set()


async def get(gateway: Gateway, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        return response.status, await response.text(), response
