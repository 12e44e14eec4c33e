"""Days rebuilt from raw objects, over lakes in folders: what is written, byte for byte, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
import time

import orjson
import pytest

from deploy.viewers import Audience
from sinks.folder import FolderStore
from sinks.lake import Lake
from sinks.provenance import FileProvenance, is_from_elsewhere
from sinks.raw_days import RawHoleError
from sinks.rebuild import NothingCountedError, Rebuild, Wish, is_young
from sinks.rebuild_count import BusyError, counted
from sinks.rebuild_files import ChangedMeanwhileError
from sinks.rebuild_guard import OpenDayError
from sinks.rebuild_part import Reading
from sinks.rebuild_shape import Shape
from sinks.rebuild_sources import NoSourceError
from sinks.reconcile_day import Stack
from sinks.store import MemoryStore
from streams.contract.days import DAY_MS, dt_of_ms, shift_dt
from tests.lakes import DAYS, NOW, files, put_over, watched_lake


def stack(folder, *, client_table=False, day_rule="event"):
    return Stack(
        lake=Lake(url=folder.as_uri()),
        bootstrap_servers="127.0.0.1:1",
        group="none",
        day_rule=day_rule,
        client_table=client_table,
    )


def wish(folder, dt, *sources, shape=None, **reading):
    return Wish(
        dt=dt,
        sources=sources,
        reading=Reading(**reading),
        folder=folder / "work" / dt,
        default_shape=shape or Shape("jsonl", 1),
    )


async def rebuild(folder, dt, *sources, **options):
    """Rebuild a day of the lake in `folder`/lake; return the outcome."""
    named = {name: options.pop(name) for name in ("client_table", "day_rule") if name in options}
    work = Rebuild(stack(folder / "lake", **named), wish(folder, dt, *sources, **options))
    outcome = await work.prepare(lambda _: None)
    await work.write(lambda _: None)
    return outcome


def rows(body):
    return [json.loads(line) for line in body.decode().splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("shards", [1, 3])
async def test_a_day_from_own_raw_is_byte_for_byte_what_the_live_path_wrote(tmp_path, form, shards):
    live = watched_lake(form=form, shards=shards, client_table=True)
    store = FolderStore(tmp_path / "lake")
    await live.write(store)
    wrote = await files(store)
    shutil.rmtree(tmp_path / "lake" / "analytics")

    for dt in DAYS:
        await rebuild(tmp_path, dt, client_table=True, shape=Shape(form, shards))

    rebuilt = await files(store)
    assert {key for key in wrote if key.split("dt=")[1][:10] in DAYS} == set(rebuilt)
    assert {key: wrote[key] for key in rebuilt} == rebuilt
    assert len(rebuilt) >= 8


async def test_files_that_are_right_are_only_marked_and_then_left_alone(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    before = await files(store)
    old = FileProvenance.decode("", (await store.head(f"analytics/video_daily/dt={DAYS[0]}/data.jsonl")).metadata)

    first = await rebuild(tmp_path, DAYS[0])
    second = await rebuild(tmp_path, DAYS[0])

    new = FileProvenance.decode("", (await store.head(f"analytics/video_daily/dt={DAYS[0]}/data.jsonl")).metadata)
    assert (first.differing, len(first.written)) == (0, 4)
    assert second.written == []
    assert before == await files(store)
    assert (True, old.topic_id, old.offset, old.totals) == (new.rebuilt, new.topic_id, new.offset, new.totals)


async def test_a_wrong_file_is_shown_row_by_row_and_replaced(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    right = await files(store)
    key = f"analytics/video_daily/dt={DAYS[0]}/data.jsonl"
    first, *others = rows(right[key])
    damaged = [{**first, "watch_ms": first["watch_ms"] + 1}, *others[1:]]
    metadata = (await store.head(key)).metadata
    await put_over(
        store, key, b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in damaged), metadata
    )

    outcome = await rebuild(tmp_path, DAYS[0])

    assert outcome.differing == 2
    assert {first["video_id"], others[0]["video_id"]} == {difference["id"] for difference in outcome.differences}
    assert right == await files(store)


async def test_a_file_that_something_else_put_there_is_replaced(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    right = await files(store)
    key = f"analytics/hour_daily/dt={DAYS[0]}/data.jsonl"
    (tmp_path / "lake" / key).write_bytes(b"not ours")
    (tmp_path / "lake" / ".sinks/metadata" / f"{key}.json").unlink()

    await rebuild(tmp_path, DAYS[0])

    assert right == await files(store)


async def test_the_folder_for_work_is_gone_when_all_is_written(tmp_path):
    await watched_lake().write(FolderStore(tmp_path / "lake"))

    await rebuild(tmp_path, DAYS[0])

    assert not (tmp_path / "work" / DAYS[0]).exists()


async def test_a_rebuild_that_died_goes_on_with_the_parts_it_made(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    right = await files(store)
    died = Rebuild(stack(tmp_path / "lake"), wish(tmp_path, DAYS[0]))
    await died.prepare(lambda _: None)
    parts = sorted((tmp_path / "work" / DAYS[0] / "parts").iterdir())
    made = {path.name: path.stat().st_mtime_ns for path in parts}
    # It died in the middle of one, and before another.
    parts[0].rename(parts[0].with_suffix(".partial"))
    parts[1].unlink()

    again = Rebuild(stack(tmp_path / "lake"), wish(tmp_path, DAYS[0]))
    await again.prepare(lambda _: None)
    remade = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / DAYS[0] / "parts").iterdir()}
    await again.write(lambda _: None)

    assert made.keys() == remade.keys()
    assert {parts[0].name, parts[1].name} == {name for name in made if made[name] != remade[name]}
    assert right == await files(store)


async def test_two_rebuilds_of_one_day_do_not_meet(tmp_path):
    await watched_lake().write(FolderStore(tmp_path / "lake"))
    folder = tmp_path / "work" / DAYS[0]

    async with counted([], DAYS[0], "event", reading=Reading(), folder=folder, report=lambda _: None):
        with pytest.raises(BusyError, match="another command"):
            await rebuild(tmp_path, DAYS[0])


async def test_a_part_of_an_object_that_has_changed_since_is_made_again(tmp_path):
    store = FolderStore(tmp_path / "lake")
    live = watched_lake()
    await live.write(store)
    await Rebuild(stack(tmp_path / "lake"), wish(tmp_path, DAYS[1])).prepare(lambda _: None)
    live.post(Audience(8, 1, NOW, strays=False).take(0, 30, NOW), NOW + 9_000)
    await live.write(store)

    outcome = await rebuild(tmp_path, DAYS[1])

    assert outcome.differing == 0


async def test_a_hole_in_the_archive_is_refused(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake(max_bytes=500).write(store)
    chunks = [key for key in await store.keys("raw/") if "-0-" in key]
    (tmp_path / "lake" / chunks[1]).unlink()

    with pytest.raises(RawHoleError, match="offsets"):
        await rebuild(tmp_path, DAYS[0])


async def test_files_are_not_replaced_by_nothing_when_the_archive_is_gone(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    before = await files(store)
    shutil.rmtree(tmp_path / "lake" / "raw")

    with pytest.raises(NothingCountedError, match="--from"):
        await rebuild(tmp_path, DAYS[0])
    assert before == await files(store)


async def test_a_file_that_changed_after_the_comparison_is_not_overwritten(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    work = Rebuild(stack(tmp_path / "lake"), wish(tmp_path, DAYS[0]))
    await work.prepare(lambda _: None)
    key = f"analytics/video_daily/dt={DAYS[0]}/data.jsonl"
    await put_over(store, key, b"{}", {})

    with pytest.raises(ChangedMeanwhileError, match="video_daily"):
        await work.write(lambda _: None)


@pytest.mark.parametrize(("age", "young"), [(0, True), (24, True), (25, False), (-1, True)])
def test_a_day_is_young_while_its_totals_may_change(age, young):
    now = 1_767_657_900_000

    assert young is is_young(shift_dt(dt_of_ms(now), -age), now)


async def test_a_young_day_takes_nothing_from_elsewhere(tmp_path):
    today = dt_of_ms(time.time_ns() // 1_000_000)

    with pytest.raises(OpenDayError, match="--from"):
        await rebuild(tmp_path, today, (tmp_path / "old").as_uri())


async def test_a_young_day_needs_the_broker(tmp_path):
    today = dt_of_ms(time.time_ns() // 1_000_000)

    with pytest.raises(OpenDayError, match="watchtime down sinks"):
        await rebuild(tmp_path, today)


# The reference's own raw objects.


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


def put_raw(folder, key, body):
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)


async def totals_of(folder, dt):
    found = await files(FolderStore(folder / "lake"))
    videos = rows(found.get(f"analytics/video_daily/dt={dt}/data.jsonl", b""))
    (ingest,) = rows(found[f"analytics/ingest_daily/dt={dt}/data.jsonl"])
    return sum(row["watch_ms"] for row in videos), sum(row["views"] for row in videos), ingest


async def test_backfill_reads_every_way_in_which_the_reference_stored(tmp_path):
    old = tmp_path / "old"
    put_raw(old, "raw/2026/01/05/plain", event(1) + b"\n" + event(2) + b"\n")
    put_raw(old, "raw/2026/01/05/04/joined.gz", gzip.compress(event(3) + event(4, "video_start")))
    put_raw(old, "raw-processed/2026/01/05/moved", event(5))
    # Killed between copying and deleting, it had one object in both places.
    put_raw(old, "raw-processed/2026/01/05/plain", event(1) + b"\n" + event(2) + b"\n")

    outcome = await rebuild(tmp_path, "2026-01-05", old.as_uri())
    watched, views, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (watched, views) == (4_000, 1)
    assert (ingest["total_events"], ingest["valid_events"], ingest["duplicate_events"]) == (5, 5, 0)
    assert (outcome.objects, outcome.events) == (3, 5)


async def test_repeats_of_the_reference_count_as_there_unless_asked(tmp_path):
    old = tmp_path / "old"
    put_raw(old, "raw/2026/01/05/a", event(1) + b"\n" + event(1) + b"\n")
    put_raw(old, "raw/2026/01/05/b", event(1) + b"\n" + event(2) + b"\n")

    await rebuild(tmp_path, "2026-01-05", old.as_uri())
    as_there = await totals_of(tmp_path, "2026-01-05")
    await rebuild(tmp_path, "2026-01-05", old.as_uri(), dedupe=True)
    deduped = await totals_of(tmp_path, "2026-01-05")

    assert (as_there[0], as_there[2]["total_events"], as_there[2]["duplicate_events"]) == (4_000, 4, 0)
    assert (deduped[0], deduped[2]["total_events"], deduped[2]["duplicate_events"]) == (2_000, 2, 2)


@pytest.mark.parametrize(("rule", "expected"), [("event", 3), ("received", 2)])
async def test_lines_of_the_reference_count_by_the_day_rule(tmp_path, rule, expected):
    old = tmp_path / "old"
    put_raw(old, "raw/2026/01/05/a", event(1) + b"\n" + event(2, at=NOW - 2 * DAY_MS) + b"\n")
    put_raw(old, "raw/2026/01/06/b", event(3) + b"\n")
    put_raw(old, "raw/2026/01/09/c", event(4) + b"\n")

    outcome = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule=rule)

    assert expected == outcome.events


async def test_a_lake_remembers_the_rule_of_its_days_whatever_a_later_shell_says(tmp_path):
    old = tmp_path / "old"
    put_raw(old, "raw/2026/01/05/a", event(1) + b"\n" + event(2, at=NOW - 2 * DAY_MS) + b"\n")

    first = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule="received")
    later = await rebuild(tmp_path, "2026-01-05", old.as_uri(), day_rule="event")

    assert (first.events, later.events) == (2, 2)
    assert later.differing == 0
    assert json.loads((tmp_path / "lake/analytics/_layout.json").read_text())["day_rule"] == "received"


async def test_an_event_that_cannot_be_believed_counts_on_its_delivery_day(tmp_path):
    put_raw(tmp_path / "old", "raw/2026/01/05/a", event(1, at=5) + b"\n" + event(2, at=NOW + 9 * DAY_MS))

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri())
    _, _, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (ingest["total_events"], ingest["moved_events"]) == (2, 2)


async def test_strict_reading_counts_empty_and_joined_lines_as_invalid(tmp_path):
    put_raw(tmp_path / "old", "raw/2026/01/05/a", event(1) + b"\n\n" + event(2) + event(3) + b"\n")

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri(), strict=True)
    _, _, ingest = await totals_of(tmp_path, "2026-01-05")

    assert (ingest["total_events"], ingest["valid_events"], ingest["invalid_events"]) == (3, 1, 2)


async def test_own_raw_and_backfill_are_counted_together(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    key = f"analytics/video_daily/dt={DAYS[0]}/data.jsonl"
    await rebuild(tmp_path, DAYS[0])
    before, alone = await totals_of(tmp_path, DAYS[0]), (await store.head(key)).metadata
    put_raw(tmp_path / "old", "raw/2026/01/05/a", event(1) + b"\n" + event(2, "video_start") + b"\n")

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
    put_raw(tmp_path / "lake", "raw/2026/01/05/delivery-1", event(1))

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
    put_raw(tmp_path / "old", "raw/2026/01/05/a", event(1))

    await rebuild(tmp_path, "2026-01-05", (tmp_path / "old").as_uri())

    assert [
        path.relative_to(tmp_path / "old").as_posix() for path in (tmp_path / "old").rglob("*") if path.is_file()
    ] == ["raw/2026/01/05/a"]


async def test_the_live_path_of_these_tests_drops_repeats():
    store = MemoryStore()
    await watched_lake().write(store)

    (ingest,) = rows((await files(store))[f"analytics/ingest_daily/dt={DAYS[0]}/data.jsonl"])

    assert ingest["duplicate_events"] > 0
