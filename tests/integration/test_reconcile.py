"""Reconcile against a real broker and a lake made by hand: it agrees, it says no, and it says when it cannot tell."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sinks.keys import ChunkKey, FileKey
from sinks.layout import settle_layout
from sinks.provenance import ChunkProvenance
from sinks.raw_days import Continuity, RawHoleError
from sinks.rebuild_guard import OpenDayError, check_archive_is_whole
from sinks.reconcile_day import Stack
from sinks.reconcile_range import reconcile
from sinks.reconcile_settle import NotSettledError
from streams.contract.days import shift_dt
from streams.contract.rows import CHANNEL, HOUR, VIDEO
from streams.contract.topics import EVENTS
from tests.integration.made_lake import NASTY, Made
from tests.lakes import file_bytes
from tests.servers import FreshTopics


@pytest.fixture(name="made")
async def _made(tmp_path: Path, fresh_topics: FreshTopics, group_prefix: str) -> Made:
    made = Made(tmp_path, await fresh_topics(partitions=2), group_prefix)
    await made.append(0, made.event("1", "video_start"), made.event("2"))
    await made.append(0, made.event("2"))
    await made.append(0, b"no json")
    await made.append(0, made.event("3"))
    await made.archive()
    made.put_files()
    return made


async def test_agrees(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(made.run) == 0

    assert f"{made.dt} drift=0 rows=4 events=4 raw_objects=2" in capsys.readouterr().out


async def test_a_range_says_a_line_a_day_and_a_total(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    before = shift_dt(made.dt, -2)

    assert await asyncio.to_thread(made.run_days, "--from", before, "--to", made.dt) == 0

    *days, total = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in days] == [before, shift_dt(made.dt, -1), made.dt]
    assert days[-1] == f"{made.dt} drift=0 rows=4 events=4 raw_objects=2"
    assert total == "total drift=0 days=3 untold=0 rows=4 events=4"


async def test_a_range_is_as_bad_as_its_worst_day(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    _wrong_value(made)

    assert await asyncio.to_thread(made.run_days, "--from", shift_dt(made.dt, -1), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [day["drift"] for day in found["days"]] == [0, 1]
    assert (found["drift"], found["untold"], found["to"]) == (1, 0, made.dt)

    (made.root / made.chunk_keys[-1]).unlink()
    assert await asyncio.to_thread(made.run_days, "--from", shift_dt(made.dt, -11), "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert found["untold"] == 10, "each day whose window reaches today"
    assert "in no raw object" in found["days"][-1]["error"]


async def test_days_that_cannot_be_meant_are_refused(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    assert made.run_days("--from", made.dt, "--to", shift_dt(made.dt, -1)) == 2
    assert "the first day is after the last one" in capsys.readouterr().err
    assert made.run_days("--dt", made.dt, "--to", made.dt) == 2
    assert "--to belongs to --from" in capsys.readouterr().err


async def test_the_rule_of_the_lake_is_followed_and_one_that_is_none_is_named(
    made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMS_DAY", "lunar")
    assert await asyncio.to_thread(made.run) == 2
    assert "STREAMS_DAY is 'lunar'" in capsys.readouterr().err

    await settle_layout(made.store, "parquet", 1, day_rule="event")
    assert await asyncio.to_thread(made.run) == 0


async def test_a_day_that_was_filled_in_from_elsewhere_is_not_called_wrong(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    """The own archive has none of its lines, so that all its rows would differ."""
    old = shift_dt(made.dt, -40)
    key = FileKey(VIDEO.name, old, 0, 1, "parquet").encode()
    body = file_bytes(VIDEO, old, [("v", None, 1, 1, 0, 1, 0)], "parquet")
    await made.store.put(key, body, {"rebuilt": "true", "rebuilt-from": "elsewhere"}, etag=None)

    assert await asyncio.to_thread(made.run_days, "--dt", old) == 2
    assert "1 rows of" in (said := capsys.readouterr().err)
    assert f"{key} was written by `watchtime rebuild --from`" in said
    await made.store.put(key, body, {"rebuilt": "true"}, etag=(await made.store.head(key)).etag)
    assert await asyncio.to_thread(made.run_days, "--dt", old) == 1, "one of the own archive is compared"


def _wrong_value(made: Made) -> None:
    made.put_file(CHANNEL, (NASTY, 2_001, 2_001, 0, 1, 0))


def _wrong_label(made: Made) -> None:
    made.put_file(VIDEO, ("v", None, 2_000, 2_000, 0, 1, 0))


def _missing_row(made: Made) -> None:
    made.put_file(HOUR)


def _missing_file(made: Made) -> None:
    (made.root / FileKey("ingest_daily", made.dt, 0, 1, "parquet").encode()).unlink()


def _row_too_many(made: Made) -> None:
    made.put_file(CHANNEL, (NASTY, 2_000, 2_000, 0, 1, 0), ("other", 1, 1, 0, 0, 0))


def _row_in_two_parts(made: Made) -> None:
    made.put_file(HOUR, (made.hour, 2_000, 2_000, 0, 1, 0), part=(1, 2))


def _broken_file(made: Made) -> None:
    (made.root / FileKey("video_daily", made.dt, 0, 1, "parquet").encode()).write_bytes(b"PAR1")


@pytest.mark.parametrize(
    "spoil",
    [_wrong_value, _wrong_label, _missing_row, _missing_file, _row_too_many, _row_in_two_parts, _broken_file],
)
async def test_names_what_differs(
    made: Made, spoil: Callable[[Made], None], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(made)

    assert await asyncio.to_thread(made.run, "--json") == 1

    finding = json.loads(capsys.readouterr().out)
    assert finding["drift"] >= 1
    assert finding["differences"]


async def test_a_hole_in_the_archive_is_no_agreement(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    (made.root / made.chunk_keys[0]).unlink()
    await made.append(0, made.event("4"))
    await made.archive(chunk_records=1)
    (made.root / made.chunk_keys[-2]).unlink()

    assert await asyncio.to_thread(made.run) == 2
    assert "in no raw object" in capsys.readouterr().err


@pytest.mark.parametrize(("which", "offsets"), [(0, "0 to 1"), (-1, "2 to 3")], ids=["first", "newest"])
async def test_an_object_missing_at_either_end_is_a_hole(made: Made, which: int, offsets: str) -> None:
    (made.root / made.chunk_keys[which]).unlink()

    with pytest.raises(RawHoleError, match=f"offsets {offsets} are in the topic"):
        await reconcile(Stack.of(made.data_dir, {}), made.dt, 5, lambda _: None)


@pytest.mark.parametrize(("gone", "offsets"), [(1, "1 to 1"), (3, "3 to 3"), (None, "")])
async def test_an_object_missing_at_an_edge_of_days_that_are_long_over_is_a_hole(
    made: Made, gone: int | None, offsets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has nothing of them any more; the objects next to those that matter say what there was."""
    for number, days_ago in enumerate([61, 55, 45, 31, 30]):
        dt = shift_dt(made.dt, -days_ago)
        key = ChunkKey(dt, EVENTS, "0123abcd", 0, number).encode()
        told = ChunkProvenance(
            topic=EVENTS, topic_id="of before", partition=0, first=number, last=number, state="closed"
        )
        if number != gone:
            await made.store.put(key, gzip.compress(b""), told.encode(), etag=None)

    code = await asyncio.to_thread(made.run_days, "--dt", shift_dt(made.dt, -40))

    said = capsys.readouterr()
    assert code == (0 if gone is None else 2), said
    assert gone is None or f"offsets {offsets} are in no raw object" in said.err


async def test_what_came_in_after_the_days_that_matter_is_not_missed(made: Made) -> None:
    stack, nothing_seen = Stack.of(made.data_dir, {}), Continuity()

    await check_archive_is_whole(stack, nothing_seen, shift_dt(made.dt, -10))
    with pytest.raises(OpenDayError, match="too small: partition 0: offsets 0 to 3 are in the topic"):
        await check_archive_is_whole(stack, nothing_seen, shift_dt(made.dt, -9))


async def test_a_stage_that_lags_is_waited_for_and_then_named(made: Made) -> None:
    await made.append(1, made.event("5"))

    with pytest.raises(NotSettledError, match=rf"{made.group}-partials is behind .*watch.events/1: 1"):
        await reconcile(Stack.of(made.data_dir, {}), made.dt, 0.5, lambda _: None)


async def test_events_that_arrive_meanwhile_make_it_compare_again(made: Made) -> None:
    """The files are ahead of the raw lines that were read; the second look finds both equal."""
    made.put_files(ticks=3)
    said: list[str] = []

    async def grow() -> None:
        await made.append(0, made.event("6"))
        await made.archive()

    def report(text: str) -> None:
        if text == "counting" and text not in said:
            # Grown before the pass ends, whoever runs when.
            growing = threading.Thread(target=asyncio.run, args=(grow(),))
            growing.start()
            growing.join()
        said.append(text)

    finding = await reconcile(Stack.of(made.data_dir, {}), made.dt, 30, report)

    assert finding.drift == 0
    assert finding.events == 5
    assert any("again" in text for text in said)
