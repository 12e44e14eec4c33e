"""`python -m sinks` as a process: its settings, its metrics, its end."""

from __future__ import annotations

import signal
import time

import aiohttp
import pytest

from deploy.local.ports import free_port
from sinks.folder import FolderStore
from streams.contract.days import dt_of_ms
from streams.contract.rows import VIDEO
from tests.clock import now_ms
from tests.integration.sinks_processes import Process, has_watch_ms, processes_fixture, watch_ms  # noqa: F401 - the fixture
from tests.sinks_stage import committed, publisher, until


async def test_a_stopped_process_has_written_all_and_ends_with_0(fresh_topics, group_prefix, tmp_path, processes):
    broker = await fresh_topics(partitions=1)
    store, dt, port = FolderStore(tmp_path / "lake"), dt_of_ms(now_ms()), free_port()
    async with publisher(broker) as publish:
        process = await processes(broker, group_prefix, SINKS_REFRESH_S="3600", SINKS_METRICS_PORT=str(port))
        await publish.row(VIDEO, dt, "v", [1, 0, 0, 0])
        await until(lambda: has_watch_ms(store, dt, 1), "the first row is in its file")
        await publish.row(VIDEO, dt, "v", [2, 0, 0, 0])
        await until(lambda: _waits(port), "the second row is read, and waits for its interval")
        started = time.monotonic()
        process.send(signal.SIGTERM)

        assert await process.ended() == 0

    assert time.monotonic() - started < 10
    assert await watch_ms(store, dt) == 2
    assert await committed(broker, f"{group_prefix}-sinks", VIDEO.topic, 0) == 2
    assert process.said()[-1]["event"] == "stopped"


async def _page(port):
    """Return the metrics page, empty while there is none."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            return await answer.text()
    except aiohttp.ClientConnectionError:
        return ""


async def _waits(port):
    name = f'watchtime_sinks_dirty_seconds{{partition="0",topic="{VIDEO.topic}"}} '
    return any(text.startswith(name) and float(text.split()[1]) > 0 for text in (await _page(port)).splitlines())


async def test_the_metrics_page_tells_when_the_worker_is_ready(fresh_topics, group_prefix, processes):
    broker = await fresh_topics(partitions=1)
    port = free_port()
    await processes(broker, group_prefix, SINKS_METRICS_PORT=str(port))

    async def ready():
        return 'watchtime_ready{stage="sinks"} 1.0' in await _page(port)

    await until(ready, "the worker is ready")
    assert "watchtime_sinks_put_seconds" in await _page(port)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SINKS_LAKE": ""}, "SINKS_LAKE is not set"),
        ({"SINKS_LAKE": "ftp://x"}, "names no lake"),
        ({"SINKS_FORMAT": "csv"}, "SINKS_FORMAT must be parquet or jsonl"),
        ({"SINKS_REFRESH_S": "0"}, "SINKS_REFRESH_S='0'"),
    ],
)
async def test_bad_settings_are_named(variables, said, tmp_path):
    process = await Process.start(tmp_path, "127.0.0.1:1", "g", **variables)

    assert await process.ended() == 2
    assert said in process.said()[-1]["why"]


async def test_a_fatal_error_is_logged_and_ends_the_process(fresh_topics, group_prefix, tmp_path, processes):
    broker = await fresh_topics(partitions=1)
    key = f"analytics/video_daily/dt={dt_of_ms(now_ms())}/data.parquet"
    await FolderStore(tmp_path / "lake").put(key, b"PAR1", {}, etag=None)
    async with publisher(broker) as publish:
        await publish.row(VIDEO, dt_of_ms(now_ms()), "v", [1, 0, 0, 0])
    process = await processes(broker, group_prefix)

    assert await process.ended() == 70
    last = process.said()[-1]
    assert (last["level"], last["what"]) == ("critical", "ForeignObjectError")
    assert key in last["why"]
