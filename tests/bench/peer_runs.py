"""Runs a peer once, as a process of its own, and reads the line of figures that it prints."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.process import Child, Program, log_tail
from tests.bench.machine import Watch
from tests.bench.peers.homes import FOLDER, PeerMissingError

RESULT = "RESULT "


async def run_peer(
    *,
    command: list[str],
    folder: Path,
    broker_pid: int,
    within_s: float,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a peer's figures with the broker's share and that of others; PeerMissingError when it gives none."""
    log = folder / f"peer-{uuid.uuid4().hex[:8]}.log"
    watch = Watch(broker_pid)
    child = Child(
        Program(name="peer", command=command, log=log, environ={**(environ or {}), "PYTHONPATH": str(FOLDER)})
    )
    code = await asyncio.to_thread(child.wait, within_s)
    if code is None:
        child.kill()
        child.wait(10)
        raise PeerMissingError(f"no result within {within_s:.0f} s: {log_tail(log, 3)}")
    # A framework may have left something on the line before.
    told = [line.partition(RESULT)[2] for line in log.read_text(errors="replace").splitlines() if RESULT in line]
    if not told:
        raise PeerMissingError(f"ended with {code} and no result: {log_tail(log, 3)}")
    figures: dict[str, Any] = json.loads(told[-1])
    return {**figures, "broker_cpu_s": watch.broker_s(), "others": watch.others()}


def per_million(figures: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a run over a topic as rates."""
    events = figures["events"]
    return {
        "events_per_s": events / figures["seconds"],
        "cpu_s_per_million": figures["cpu_s"] / events * 1e6,
        "broker_cpu_s_per_million": figures["broker_cpu_s"] / events * 1e6,
        "rss_mb": figures["rss_mb"],
        "others": figures["others"],
    }


async def forget_topics(bootstrap_servers: str, prefix: str) -> None:
    """Delete what a peer has created for itself."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        if names := [name for name in await admin.list_topics() if prefix in name]:
            await admin.delete_topics(names)
    finally:
        await admin.close()
