"""Days rebuilt from raw objects, over lakes in folders: what is written, byte for byte, and what is refused."""

from __future__ import annotations

import shutil
import time

import orjson
import pytest

from deploy.viewers import Audience
from sinks.folder import FolderStore
from sinks.lake import NoStackError
from sinks.layout import settle_layout
from sinks.provenance import FileProvenance
from sinks.raw_days import RawHoleError
from sinks.rebuild import NothingCountedError, Rebuild, is_young
from sinks.rebuild_count import BusyError, counted
from sinks.rebuild_files import ChangedMeanwhileError
from sinks.rebuild_guard import OpenDayError
from sinks.rebuild_part import Reading
from sinks.rebuild_shape import Shape
from sinks.store import MemoryStore
from streams.contract.days import dt_of_ms, shift_dt
from tests.integration.rebuilding import folder_lake, quiet, rebuild, rows, stack, wish
from tests.lakes import DAYS, NOW, files, put_over, watched_lake


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
    died = Rebuild(stack(folder_lake(tmp_path / "lake")), wish(tmp_path, DAYS[0]))
    await died.prepare(quiet)
    parts = sorted((tmp_path / "work" / DAYS[0] / "parts").iterdir())
    made = {path.name: path.stat().st_mtime_ns for path in parts}
    # It died in the middle of one, and before another.
    parts[0].rename(parts[0].with_suffix(".partial"))
    parts[1].unlink()

    again = Rebuild(stack(folder_lake(tmp_path / "lake")), wish(tmp_path, DAYS[0]))
    await again.prepare(quiet)
    remade = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work" / DAYS[0] / "parts").iterdir()}
    await again.write(quiet)

    assert made.keys() == remade.keys()
    assert {parts[0].name, parts[1].name} == {name for name in made if made[name] != remade[name]}
    assert right == await files(store)


async def test_two_rebuilds_of_one_day_do_not_meet(tmp_path):
    await watched_lake().write(FolderStore(tmp_path / "lake"))
    folder = tmp_path / "work" / DAYS[0]

    async with counted([], DAYS[0], "event", reading=Reading(), folder=folder, report=quiet):
        with pytest.raises(BusyError, match="another command"):
            await rebuild(tmp_path, DAYS[0])


async def test_a_part_of_an_object_that_has_changed_since_is_made_again(tmp_path):
    store = FolderStore(tmp_path / "lake")
    live = watched_lake()
    await live.write(store)
    await Rebuild(stack(folder_lake(tmp_path / "lake")), wish(tmp_path, DAYS[1])).prepare(quiet)
    live.post(Audience(8, 1, NOW, strays=False).take(0, 30, NOW), NOW + 9_000)
    await live.write(store)

    outcome = await rebuild(tmp_path, DAYS[1])

    assert outcome.differing == 0


async def test_a_rule_of_days_that_is_none_is_named_unless_the_lake_knows_its_own(tmp_path):
    store = FolderStore(tmp_path / "lake")
    await watched_lake().write(store)
    right = await files(store)

    with pytest.raises(NoStackError, match="STREAMS_DAY is 'lunar'; it must be one of event, received, local"):
        await rebuild(tmp_path, DAYS[0], day_rule="lunar")
    await settle_layout(store, "jsonl", 1, day_rule="event")
    await rebuild(tmp_path, DAYS[0], day_rule="lunar")

    assert right == await files(store)


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
    work = Rebuild(stack(folder_lake(tmp_path / "lake")), wish(tmp_path, DAYS[0]))
    await work.prepare(quiet)
    key = f"analytics/video_daily/dt={DAYS[0]}/data.jsonl"
    await put_over(store, key, b"{}", {})

    with pytest.raises(ChangedMeanwhileError, match="video_daily"):
        await work.write(quiet)


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


async def test_the_live_path_of_these_tests_drops_repeats():
    store = MemoryStore()
    await watched_lake().write(store)

    (ingest,) = rows((await files(store))[f"analytics/ingest_daily/dt={DAYS[0]}/data.jsonl"])

    assert ingest["duplicate_events"] > 0
