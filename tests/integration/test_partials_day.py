"""Partial documents over a lake in a folder: their shape, and that they add up to the daily files."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter

import pytest

from sinks.folder import FolderStore
from sinks.keys import ChunkKey
from sinks.lake import NoStackError
from sinks.partials import bucket_of, write_partials
from tests.integration.rebuilding import folder_lake, quiet, stack
from tests.lakes import DAYS, NOW, files, watched_lake


@pytest.fixture
def lake(tmp_path):
    return FolderStore(tmp_path / "lake"), stack(folder_lake(tmp_path / "lake"))


def added(docs, group, name):
    total = Counter()
    for doc in docs:
        total.update(doc[group][name])
    return dict(total)


async def rows(store, table, dt):
    body = (await files(store))[f"analytics/{table}/dt={dt}/data.jsonl"]
    return [json.loads(line) for line in body.splitlines()]


async def test_documents_have_the_shape_that_their_readers_know(lake, tmp_path):
    store, stack = lake
    await watched_lake().write(store)
    await write_partials(stack, DAYS[0], tmp_path / "work", quiet)

    found = await files(store, "results/")

    year, month, day = DAYS[0].split("-")
    assert len(found) > 2
    for key, body in found.items():
        doc = json.loads(body)
        assert re.fullmatch(rf"results/daily/{year}/{month}/{day}/partials/[0-9a-f]{{16}}\.json", key)
        assert list(doc) == ["source", "day_partition", "totals", "views", "metrics"]
        assert {"yyyy": year, "mm": month, "dd": day} == doc["day_partition"]
        stat = await store.head(doc["source"]["key"])
        assert (str(tmp_path / "lake"), stat.etag) == (doc["source"]["bucket"], doc["source"]["etag"])
        assert ChunkKey.parse(doc["source"]["key"])
        assert {group: list(doc[group]) for group in ("totals", "views", "metrics")} == {
            "totals": [
                "total_ms_by_channel",
                "total_ms_by_video",
                "total_ms_by_channel_fg",
                "total_ms_by_channel_bg",
            ],
            "views": ["views_by_video", "views_by_channel"],
            "metrics": [
                "total_events",
                "valid_events",
                "invalid_events",
                "ignored_no_video_ticks",
                "ignored_no_channel_ticks",
            ],
        }


@pytest.mark.parametrize("dt", DAYS)
async def test_documents_of_a_day_add_up_to_its_files(lake, tmp_path, dt):
    store, stack = lake
    await watched_lake().write(store)
    await write_partials(stack, dt, tmp_path / "work", quiet)
    docs = [json.loads(body) for body in (await files(store, "results/")).values()]

    videos, channels = await rows(store, "video_daily", dt), await rows(store, "channel_daily", dt)
    (ingest,) = await rows(store, "ingest_daily", dt)

    def counted(table, column, counter):
        return {row[column]: row[counter] for row in table if row[counter]}

    assert counted(videos, "video_id", "watch_ms") == added(docs, "totals", "total_ms_by_video")
    assert counted(videos, "video_id", "views") == added(docs, "views", "views_by_video")
    assert counted(channels, "channel", "watch_ms") == added(docs, "totals", "total_ms_by_channel")
    assert counted(channels, "channel", "watch_ms_fg") == added(docs, "totals", "total_ms_by_channel_fg")
    assert counted(channels, "channel", "watch_ms_bg") == added(docs, "totals", "total_ms_by_channel_bg")
    assert counted(channels, "channel", "views") == added(docs, "views", "views_by_channel")
    metrics = Counter()
    for doc in docs:
        metrics.update(doc["metrics"])
    assert {name: ingest[name] for name in docs[0]["metrics"]} == {name: metrics[name] for name in docs[0]["metrics"]}


async def test_a_rule_of_days_that_is_none_is_named(lake, tmp_path):
    store, stack = lake
    await watched_lake().write(store)

    with pytest.raises(NoStackError, match="STREAMS_DAY is 'lunar'"):
        await write_partials(dataclasses.replace(stack, day_rule="lunar"), DAYS[0], tmp_path / "work", quiet)


async def test_a_second_run_replaces_what_has_grown_and_nothing_else(lake, tmp_path):
    store, stack = lake
    await watched_lake(max_bytes=1_000_000).write(store)
    first = await write_partials(stack, DAYS[1], tmp_path / "work", quiet)
    second = await write_partials(stack, DAYS[1], tmp_path / "work", quiet)
    grown = watched_lake(max_bytes=1_000_000)
    grown.append(b"x", b"no event\n", NOW + 60_000)
    await grown.write(store)
    third = await write_partials(stack, DAYS[1], tmp_path / "work", quiet)

    assert first.documents == len(first.written) == second.documents == third.documents
    assert (second.written, len(third.written)) == ([], 1)
    assert first.documents == len(await files(store, "results/"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [("s3://b", ("b", "")), ("s3://b/a/c/", ("b", "a/c/")), ("file:///a%20b", ("/a b", ""))],
)
def test_the_bucket_of_a_lake(url, expected):
    assert expected == bucket_of(url)
