"""The examples of docs/live-topics.md, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.cache import Cache
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, HOUR, VIDEO, encode_row, row_of
from tests.servers import FreshTopics, unavailable

DOC = (Path(__file__).parents[2] / "docs/live-topics.md").read_text()
DAY = "2026-01-02"
NAME = "Änna | \u2028 <b>"
WITHIN_S = 60.0


def example(language: str) -> str:
    """The one block of a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)
    return block


@pytest.fixture
async def rows(fresh_topics: FreshTopics, group_prefix: str) -> AsyncIterator[str]:
    """A broker with a committed row in each table, and an aborted one after it."""
    servers = await fresh_topics()
    producer = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{group_prefix}-rows")
    await producer.start()
    for views in (1, 666):
        await producer.begin_transaction()
        for table, row_id in ((VIDEO, NAME), (CHANNEL, NAME), (HOUR, "7")):
            value = encode_row(row_of(table, DAY, row_id, [1, 2, views, 4], None), 5)
            await producer.send_and_wait(table.topic, value, key=daily_key(DAY, table.kind, row_id))
        await (producer.commit_transaction() if views == 1 else producer.abort_transaction())
    yield servers
    await producer.stop()


async def first_line(servers: str, *command: str) -> str:
    """Return the first line that a program prints, and end it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "BROKER": servers}
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            return (await process.stdout.readuntil(b"\n")).decode().rstrip("\n")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kcat(rows: str):
    if shutil.which("kcat") is None:
        unavailable("kcat is not on this machine (Debian: kcat)")
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", example("sh"), stdout=asyncio.subprocess.PIPE, env={**os.environ, "BROKER": rows}
    )
    async with asyncio.timeout(WITHIN_S):
        out, _ = await process.communicate()

    (line,) = out.decode().rstrip("\n").split("\n")
    assert line.startswith(f"{DAY}|{NAME} ")
    assert json.loads(line.removeprefix(f"{DAY}|{NAME} "))["views"] == 1


async def test_aiokafka(rows: str, tmp_path: Path):
    (tmp_path / "rows.py").write_text(example("python"))

    assert await first_line(rows, sys.executable, str(tmp_path / "rows.py")) == f"{DAY} {NAME} 3"


async def test_java(rows: str, tmp_path: Path, cache: Cache, java: None):  # noqa: ARG001
    (tmp_path / "Rows.java").write_text(example("java"))

    line = await first_line(rows, "java", "-Xmx128m", "-cp", f"{cache.kafka_libs}/*", str(tmp_path / "Rows.java"))

    assert line.startswith(f"{DAY}|7 ")
    assert json.loads(line.removeprefix(f"{DAY}|7 "))["views"] == 1
