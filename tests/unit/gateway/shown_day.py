"""A day that a gateway's live page shows: rows put in by hand, and how a test asks for them."""

from __future__ import annotations

import aiohttp

from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO
from tests.live_gateway import put
from tests.unit.gateway.running import Gateway

EVIL = "<img src=x onerror=alert(1)>\u2028=cmd"


def fill(gateway: Gateway) -> None:
    days = gateway.reader.days
    put(days, VIDEO, "video-1", [60_000, 30_000, 2, 5_000], channel=EVIL)
    put(days, VIDEO, "video-2", [10_000, 0, 1, 0])
    put(days, CHANNEL, EVIL, [60_000, 30_000, 2, 5_000])
    put(days, HOUR, "7", [70_000, 30_000, 3, 5_000])
    put(days, INGEST, "", [9, 9, 0, 0, 0, 1, 0])
    gateway.reader.caught_up.set()


async def get(gateway: Gateway, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        return response.status, await response.text(), response
