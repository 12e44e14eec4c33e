"""Days that only the lake still has, on the page of a gateway process: real files in a real S3 server and a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.s3 import client
from sinks.keys import FileKey, Format
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table
from tests.integration.gateway_processes import (  # noqa: F401 - the fixture
    Gateway,
    StartGateway,
    start_gateway_fixture,
)
from tests.integration.stream_workers import until
from tests.lakes import file_bytes, write
from tests.servers import FreshS3, FreshTopics, S3Address, aws_environ

OLD = "2026-01-02"
WITHIN_S = 60.0
ROWS: dict[Table, list[tuple[Any, ...]]] = {
    VIDEO: [(f"video-{n:04}", "Anna" if n % 2 else None, 10 * n, 9 * n, n, 1, 0) for n in range(1_000)],
    CHANNEL: [("Anna", 5_000, 4_000, 1_000, 7, 1), ("Berta |=", 9_000, 9_000, 0, 2, 0)],
    HOUR: [(7, 14_000, 13_000, 1_000, 9, 1), (23, 5, 5, 0, 0, 0)],
    INGEST: [(40, 39, 1, 0, 0, 2, 0)],
}


def files_of(dt: str, form: Format, shards: int = 1, prefix: str = "") -> dict[str, bytes]:
    """Return a day's files as sinks write them."""
    found = {}
    for table, rows in ROWS.items():
        for shard in range(shards):
            key = prefix + FileKey(table.name, dt, shard, shards, form).encode()
            found[key] = file_bytes(table, dt, rows[shard::shards], form)
    return found


@dataclass
class Page:
    """A gateway process that shows the days of a lake."""

    gateway: Gateway

    async def get(self, path: str) -> tuple[int, Any, Any]:
        async with self.gateway.session.get(self.gateway.url + path) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text, response

    async def view(self, dt: str) -> dict[str, Any]:
        """Return the first view of a day that is more than a word about its loading."""
        async with self.gateway.session.get(f"{self.gateway.url}/live?dt={dt}") as response:
            while True:
                line = await response.content.readline()
                if line.startswith(b"data: ") and "loading" not in (view := json.loads(line[6:])):
                    return dict(view)


StartPage = Callable[..., Awaitable[Page]]


@pytest.fixture
async def start_page(fresh_topics: FreshTopics, start_gateway: StartGateway) -> StartPage:
    """`await start_page(GATEWAY_LAKE=…)`: a gateway process with these settings."""
    servers = await fresh_topics()

    async def start(**environ: str) -> Page:
        return Page(await start_gateway(servers, **environ))

    return start


@pytest.mark.parametrize(("form", "shards"), [("parquet", 1), ("parquet", 3), ("jsonl", 1)])
async def test_an_old_day_is_shown_from_files_in_a_bucket(start_page: StartPage, s3: S3Address, form, shards):
    bucket = s3.bucket()
    for key, body in files_of(OLD, form, shards, "lakes/one/").items():
        client(s3.endpoint, s3.keys).put_object(Bucket=bucket, Key=key, Body=body)
    lake = {"GATEWAY_LAKE": f"s3://{bucket}/lakes/one", "GATEWAY_S3_ENDPOINT": s3.endpoint, "GATEWAY_LIVE_ROWS": "100"}
    page = await start_page(**s3.environ, **lake)

    view = await page.view(OLD)

    assert (view["dt"], view["from"], view["days"]) == (OLD, "lake", [OLD])
    assert view["totals"] == {"watch_ms": 14_005, "watch_ms_fg": 13_005, "watch_ms_bg": 1_000, "views": 9, "ad_ms": 1}
    assert [row["video_id"] for row in view["videos"][:2]] == ["video-0999", "video-0998"]
    assert [row["channel"] for row in view["channels"]] == ["Berta |=", "Anna"]
    assert [row["hour"] for row in view["hours"]] == [7, 23]
    assert view["held"]["video"] == [100, True]
    assert view["ingest"]["duplicate_events"] == 2
    status, rows, response = await page.get(f"/api/daily?dt={OLD}&q=ANNA&limit=2")
    assert (status, response.headers["X-Rows-From"], response.headers["X-Rows-Cut"]) == (200, "lake", "true")
    wanted = dict(zip(VIDEO.columns, (OLD, "video-0999", "Anna", 9_990, 8_991, 999, 1, 0), strict=True))
    assert rows[0] == wanted
    assert rows[1]["video_id"] == "video-0997"
    text = (await page.get(f"/api/daily?dt={OLD}&table=channel&format=csv"))[1]
    assert text.splitlines()[:2] == [",".join(CHANNEL.columns), f"{OLD},Berta |=,9000,9000,0,2,0"]
    assert (await page.get("/api/days"))[1] == [{"dt": OLD, "from": "lake"}]
    assert (await page.get("/api/daily?dt=2025-12-31"))[1] == []


async def test_a_folder_and_a_file_of_the_reference(start_page: StartPage, tmp_path: Path):
    """It has fewer columns, and channels of videos are not among them."""
    folder = tmp_path / "lake with space"
    write(folder, files_of(OLD, "parquet"))
    before = "2025-12-30"
    line = {"dt": before, "video_id": "v", "watch_ms": 3, "watch_ms_fg": 3, "watch_ms_bg": 0, "more": {"x": []}}
    for table in (VIDEO, INGEST):
        (folder / "analytics" / table.name / f"dt={before}").mkdir()
    (folder / f"analytics/video_daily/dt={before}/data.jsonl").write_text(json.dumps(line) + "\n")
    page = await start_page(GATEWAY_LAKE=f"{folder.as_uri()}")

    assert (await page.view(OLD))["totals"]["watch_ms"] == 14_005

    row = dict(zip(VIDEO.columns, (before, "v", None, 3, 3, 0, 0, 0), strict=True))
    assert (await page.get(f"/api/daily?dt={before}"))[1] == [row]
    assert (await page.view(before))["days"] == [OLD, before]


async def test_a_lake_that_is_away_is_said_and_logged(start_page: StartPage, fresh_s3: FreshS3):
    server = await fresh_s3()
    server.make_bucket("lake")
    for key, body in files_of(OLD, "parquet").items():
        client(server.endpoint, server.keys).put_object(Bucket="lake", Key=key, Body=body)
    server.kill()
    lake = {"GATEWAY_LAKE": "s3://lake", "GATEWAY_S3_ENDPOINT": server.endpoint}
    page = await start_page(**aws_environ(server.keys), **lake)

    status, answer, _ = await page.get(f"/api/daily?dt={OLD}")
    assert status == 503
    assert "s3://lake/analytics/" in answer["error"]
    assert server.endpoint in (await page.view(OLD))["error"]
    assert page.gateway.logged("a day of the lake cannot be read")[0]["dt"] == OLD
    assert (await page.get("/api/daily?dt=2999-01-01"))[1] == []  # what the topics hold is shown all the same
    assert server.keys.secret_key not in page.gateway.log.read_text()

    await server.start()

    async def shown() -> bool:
        return (await page.get(f"/api/daily?dt={OLD}"))[0] == 200

    await until(shown, WITHIN_S)


@pytest.mark.slow
async def test_a_day_of_a_million_videos_in_bounded_memory(start_page: StartPage, tmp_path: Path):
    write(tmp_path, files_of(OLD, "parquet"))
    many = [(f"video-{n:07}", f"channel {n % 9_999}", n, n, 0, 1, 0) for n in range(1_000_000)]
    (tmp_path / FileKey(VIDEO.name, OLD, 0, 1, "parquet").encode()).write_bytes(file_bytes(VIDEO, OLD, many, "parquet"))
    page = await start_page(GATEWAY_LAKE=tmp_path.as_uri())
    process = psutil.Process(page.gateway.process.pid)
    before, started_s = process.memory_info().rss, time.perf_counter()

    assert (await page.view(OLD))["videos"][0]["watch_ms"] == 999_999

    grown = (process.memory_info().rss - before) / 2**20
    print(f"a million rows shown after {time.perf_counter() - started_s:.1f} s, {grown:.0f} MiB")
    assert grown < 200


async def test_a_file_that_is_none_of_ours_is_said(start_page: StartPage, tmp_path: Path):
    whole = files_of(OLD, "parquet")
    write(tmp_path, {key: body[:-9] if "video" in key else body for key, body in whole.items()})
    page = await start_page(GATEWAY_LAKE=tmp_path.as_uri())

    assert "video_daily of 2026-01-02" in (await page.view(OLD))["error"]
