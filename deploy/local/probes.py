"""Readiness, asked as any monitor would: whether a server listens, and over HTTP whether a stage is ready."""

from __future__ import annotations

import asyncio
import re

import aiohttp

from deploy.local.ports import LOOPBACK

_TIMEOUT = aiohttp.ClientTimeout(total=2)


async def listens(host: str, port: int) -> bool:
    """Tell whether a server accepts connections."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def gateway_ready(port: int) -> bool:
    """Tell whether the gateway takes events."""
    status, _ = await _get(f"http://{LOOPBACK}:{port}/ready")
    return status == 200  # noqa: PLR2004 - HTTP OK


async def metrics_ready(port: int, stage: str) -> bool:
    """Tell whether a stage says in its metrics that it is ready."""
    status, text = await _get(f"http://{LOOPBACK}:{port}/metrics")
    return status == 200 and says_ready(text, stage)  # noqa: PLR2004 - HTTP OK


def says_ready(metrics: str, stage: str) -> bool:
    """Read the gauge `watchtime_ready` in a Prometheus text."""
    found = re.search(rf'^watchtime_ready\{{stage="{re.escape(stage)}"\}} (\S+)$', metrics, re.MULTILINE)
    return found is not None and float(found[1]) == 1.0


async def _get(url: str) -> tuple[int, str]:
    """Return status and text; status 0 when nobody answers."""
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(url) as answer:
            return answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return 0, ""
