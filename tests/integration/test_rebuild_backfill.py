"""Days rebuilt from raw objects of the reference and of older stacks: what is read, and what counts."""

from __future__ import annotations

import gzip
import json
import shutil

import orjson
import pytest

from sinks.folder import FolderStore
from sinks.provenance import is_from_elsewhere
from sinks.rebuild_sources import NoSourceError
from streams.contract.days import DAY_MS
from tests.integration.rebuilding import rebuild, rows
from tests.lakes import DAYS, NOW, files, watched_lake, write


def event(number, event_type="watch_tick", *, at=NOW - DAY_MS, video="v", channel="c", **fields):
    extra = {"watch_ms_delta": 1_000} if event_type == "watch_tick" else {}
    return orjson.dumps(
        {
            "schema": 1,
            "event_id": f"e{number}",
            "event_ts": at,
            "event_type": event_type,
            "client_session_id": "s",
            "tab_id": "t",
            "video_id": video,
            "channel_name": channel,
            **extra,
            **fields,
        }
    )


async def totals_of(folder, dt):
    found = await files(FolderStore(folder / "lake"))
    videos = rows(found.get(f"analytics/video_daily/dt={dt}/data.jsonl", b""))
    (ingest,) = rows(found[f"analytics/ingest_daily/dt={dt}/data.jsonl"])
    return sum(row["watch_ms"] for row in videos), sum(row["views"] for row in videos), ingest


async def test_backfill_reads_every_way_in_which_the_reference_stored(tmp_path):
    old = tmp_path / "old"
    write(old, {"raw/2026/01/05/plain": event(1) + b"\n" + event(2) + b"\n"})
    write(old, {"raw/2026/01/05/04/joined.gz": gzip.compress(event(3) + event(4, "video_start"))})
    write(old, {"raw-processed/2026/01/05/moved": event(5)})
    # Killed between copying and deleting, it had one object in both places.
    write(old, {"raw-processed/2026/01/05/plain": event(1) + b"\n" + event(2) + b"\n"})

    outcome = await rebuild(tmp_path, "2026-01-05", old.as_uri())
    watched, views, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (watched, views) == (4_000, 1)
    assert (ingest["total_events"], ingest["valid_events"], ingest["duplicate_events"]) == (5, 5, 0)
    assert (outcome.objects, outcome.events) == (3, 5)


async def test_repeats_of_the_reference_count_as_there_unless_asked(tmp_path):
    old = tmp_path / "old"
    write(old, {"raw/2026/01/05/a": event(1) + b"\n" + event(1) + b"\n"})
    write(old, {"raw/2026/01/05/b": event(1) + b"\n" + event(2) + b"\n"})

    await rebuild(tmp_path, "2026-01-05", old.as_uri())
    as_there = await totals_of(tmp_path, "2026-01-05")
    await rebuild(tmp_path, "2026-01-05", old.as_uri(), dedupe=True)
    deduped = await totals_of(tmp_path, "2026-01-05")

    assert (as_there[0], as_there[2]["total_events"], as_there[2]["duplicate_events"]) == (4_000, 4, 0)
    assert (deduped[0], deduped[2]["total_events"], deduped[2]["duplicate_events"]) == (2_000, 2, 2)


@pytest.mark.parametrize(("rule", "expected"), [("event", 3), ("received", 2)])
async def test_lines_of_the_reference_count_by_the_day_rule(tmp_path, rule, expected):
    old = tmp_path / "old"
    write(old, {"raw/2026/01/05/a": event(1) + b"\n" + event(2, at=NOW - 2 * DAY_MS) + b"\n"})
    write(old, {"raw/2026/01/06/b": event(3) + b"\n"})
    write(old, {"raw/2026/01/09/c": event(4) + b"\n"})

    outcome = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule=rule)

    assert expected == outcome.events


async def test_a_lake_remembers_the_rule_of_its_days_whatever_a_later_shell_says(tmp_path):
    old = tmp_path / "old"
    write(old, {"raw/2026/01/05/a": event(1) + b"\n" + event(2, at=NOW - 2 * DAY_MS) + b"\n"})

    first = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule="received")
    later = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule="event")

    assert (first.events, later.events) == (2, 2)
    assert later.differing == 0
    assert json.loads((tmp_path / "lake/analytics/_layout.json").read_text())["day_rule"] == "received"


async def test_an_event_that_cannot_be_believed_counts_on_its_delivery_day(tmp_path):
    write(tmp_path / "old", {"raw/2026/01/05/a": event(1, at=5) + b"\n" + event(2, at=NOW + 9 * DAY_MS)})

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri())
    _, _, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (ingest["total_events"], ingest["moved_events"]) == (2, 2)


async def test_strict_reading_counts_empty_and_joined_lines_as_invalid(tmp_path):
    write(tmp_path / "old", {"raw/2026/01/05/a": event(1) + b"\n\n" + event(2) + event(3) + b"\n"})

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri(), strict=True)
    _, _, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (ingest["total_events"], ingest["valid_events"], ingest["invalid_events"]) == (3, 1, 2)


async def test_own_raw_and_backfill_are_counted_together(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    key = f"analytics/video_daily/dt={DAYS[0]}/data.jsonl"
    await rebuild(tmp_path, DAYS[0])
    before, alone = await totals_of(tmp_path, DAYS[0]), (await store.head(key)).metadata
    write(tmp_path / "old", {"raw/2026/01/05/a": event(1) + b"\n" + event(2, "video_start") + b"\n"})

    await rebuild(tmp_path, DAYS[0], (tmp_path / "old").as_uri())
    after, together = await totals_of(tmp_path, DAYS[0]), (await store.head(key)).metadata

    assert (is_from_elsewhere(alone), is_from_elsewhere(together)) == (False, True)

    assert (before[0] + 1_000, before[1] + 1) == after[:2]
    assert before[2]["total_events"] + 2 == after[2]["total_events"]
    assert before[2]["duplicate_events"] == after[2]["duplicate_events"] > 0


async def test_the_lake_of_an_older_stack_counts_as_it_did_there(tmp_path):
    await watched_lake().write(FolderStore(tmp_path / "old"))
    there = await files(FolderStore(tmp_path / "old"), f"analytics/video_daily/dt={DAYS[0]}/")

    # Named twice, or copied into the new lake as well, it is still the same archive.
    shutil.copytree(tmp_path / "old/raw", tmp_path / "lake/raw")
    shutil.copytree(tmp_path / "old/.sinks/metadata/raw", tmp_path / "lake/.sinks/metadata/raw")
    await rebuild(tmp_path, DAYS[0], (tmp_path / "old").as_uri(), (tmp_path / "old").as_uri())

    assert there == await files(FolderStore(tmp_path / "lake"), f"analytics/video_daily/dt={DAYS[0]}/")


async def test_what_the_reference_left_in_the_own_bucket_counts_only_when_named(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    before = await totals_of(tmp_path, DAYS[0])
    write(tmp_path / "lake", {"raw/2026/01/05/delivery-1": event(1)})

    await rebuild(tmp_path, DAYS[0])
    not_named = await totals_of(tmp_path, DAYS[0])
    await rebuild(tmp_path, DAYS[0], (tmp_path / "lake").as_uri())
    named = await totals_of(tmp_path, DAYS[0])

    assert before == not_named
    assert before[0] + 1_000 == named[0]


async def test_a_source_without_raw_objects_is_refused(tmp_path):
    (tmp_path / "old").mkdir()

    with pytest.raises(NoSourceError, match="no raw/"):
        await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri())
    with pytest.raises(NoSourceError, match="ftp"):
        await rebuild(tmp_path, "2026-01-05", "ftp://old")


async def test_reading_a_folder_of_the_reference_leaves_nothing_in_it(tmp_path):
    write(tmp_path / "old", {"raw/2026/01/05/a": event(1)})

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri())

    assert [
        path.relative_to(tmp_path / "old").as_posix() for path in (tmp_path / "old").rglob("*") if path.is_file()
    ] == ["raw/2026/01/05/a"]
