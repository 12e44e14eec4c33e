"""`python -m sinks` as processes of a test, and what tests ask of them and of their lake."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from streams.contract.rows import VIDEO
from tests.integration.stream_workers import log_entries
from tests.sinks_stage import file_rows

ROOT = Path(__file__).parents[2]
WRITES = {"SINKS_REFRESH_S": "0.2", "SINKS_SESSION_TIMEOUT_MS": "6000"}


class Process:
    """One sinks process; its log lines are in `log`."""

    def __init__(self, process, log):
        self.process, self.log = process, log

    @classmethod
    async def start(cls, folder, broker, group, **variables):
        log = folder / f"sinks-{time.monotonic_ns()}.log"
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SINKS_", "AWS_"))},
            "KAFKA_BOOTSTRAP_SERVERS": broker,
            "WATCHTIME_GROUP": group,
            "SINKS_LAKE": f"file://{folder}/lake",
            **WRITES,
            **variables,
        }
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sinks", env=environ, cwd=ROOT, stderr=file
            )
        return cls(process, log)

    def send(self, number):
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def ended(self):
        async with asyncio.timeout(30):
            return await self.process.wait()

    def said(self):
        return log_entries(self.log)

    async def has_said(self, event):
        return any(said.get("event") == event for said in self.said())


@pytest.fixture(name="processes")
async def processes_fixture(tmp_path):
    started = []

    async def start(broker, group, **variables):
        started.append(await Process.start(tmp_path, broker, group, **variables))
        return started[-1]

    yield start
    for process in started:
        process.send(signal.SIGKILL)
        await process.ended()


async def watch_ms(store, dt):
    return (await file_rows(store, VIDEO, dt)).get("v", {}).get("watch_ms")


async def has_watch_ms(store, dt, expected):
    return await watch_ms(store, dt) == expected
