"""A range of days: each raw object is read once, and each day is judged as if it had been looked at alone."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import Any

import pytest

from deploy.viewers import Audience
from sinks.line_columns import UnreadableLineError
from sinks.raw_days import RawHoleError
from sinks.rebuild_lines import BrokenObjectError
from sinks.reconcile_compare import Drift
from sinks.reconcile_day import Finding
from sinks.reconcile_pass import Compared, Outcome, Pass, Source, Untold
from sinks.reconcile_range import _answer
from sinks.store import MemoryStore
from streams.contract.days import DAY_MS, shift_dt
from streams.contract.topics import daily_tables
from tests.bad_stores import UnreliableStore
from tests.lakes import LiveLake, put_over

#: 2026-01-06T02:05:00Z
START = 1_767_665_100_000
#: Days on which something is posted, counted from the start: a pause of 20 days lets raw days leave the window.
POSTED = (0, 1, 2, 9, 10, 30, 31)
DAYS = [shift_dt("2026-01-05", n) for n in (0, 1, 2, 3, 9, 10, 11, 30, 31, 32)]


async def watched() -> MemoryStore:
    """Return a lake of a month, in which requests come again after one day and after seven."""
    lake, store = LiveLake(), MemoryStore()
    audience = Audience(3, 5, START, strays=False)
    again: list[tuple[int, list[Any]]] = []
    for day in POSTED:
        now = START + day * DAY_MS
        for client in range(5):
            events = audience.take(client, 12, now)
            lake.post(events, now + client)
            again.append((client, events))
        if day in {1, 9, 31}:
            lake.post(again[-8][1], now + 60_000)
    await lake.write(store)
    return store


async def look(store: Any, days: list[str]) -> dict[str, Outcome]:
    said: list[tuple[int, int]] = []
    # These days are over, so that nobody asks a broker.
    source = Source(store, None, "event", daily_tables(client_table=False))  # type: ignore[arg-type]
    work = Pass(source, lambda _: None, lambda done, total: said.append((done, total)))
    found = {outcome.dt: outcome async for outcome in work.run(days, {}, "")}
    assert not said or said[-1][0] == said[-1][1]
    return found


async def test_a_range_says_of_each_day_what_a_look_at_it_alone_says_and_reads_each_object_once() -> None:
    store = UnreliableStore(await watched())
    reads: Counter[str] = Counter()

    async def note(key: str) -> None:
        reads[key] += key.endswith(".gz")

    store.before_read = note
    together = await look(store, DAYS)
    raw = {key: count for key, count in reads.items() if count}

    assert list(together) == DAYS
    told = [outcome.finding for outcome in together.values() if isinstance(outcome, Compared)]
    assert {finding.drift for finding in told} == {0}
    assert sum(finding.events for finding in told) > 300
    assert sorted(raw) == await store.inner.keys("raw/")
    assert set(raw.values()) == {1}
    for dt in ("2026-01-15", "2026-02-05"):
        assert together[dt] == (await look(store, [dt]))[dt]


async def test_drift_of_one_day_is_said_of_that_day_only() -> None:
    store = await watched()
    key = "analytics/hour_daily/dt=2026-01-15/data.jsonl"
    found = await store.get(key)
    assert found is not None
    await put_over(store, key, b"", found.stat.metadata)

    outcomes = await look(store, ["2026-01-14", "2026-01-15", "2026-01-16"])

    drifting = {dt: outcome.finding.drift for dt, outcome in outcomes.items() if outcome.finding.drift}  # type: ignore[union-attr]
    assert drifting == {"2026-01-15": len(found.body.splitlines())}


async def test_a_hole_is_told_of_the_days_that_it_matters_to() -> None:
    store = await watched()
    del store._objects[(await store.keys("raw/2026/01/07/"))[0]]

    outcomes = await look(store, ["2025-12-29", "2026-01-08", "2026-02-05"])

    untold = [dt for dt, outcome in outcomes.items() if isinstance(outcome, Untold)]
    # The hole shows where an object before it and one after it are read.
    assert untold == ["2025-12-29", "2026-01-08"]
    assert all(isinstance(outcomes[dt].why, RawHoleError) for dt in untold)  # type: ignore[union-attr]
    assert isinstance(outcomes["2026-02-05"], Compared)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"no gzip", BrokenObjectError),
        (gzip.compress(b"x" * 1_000)[:-9], BrokenObjectError),
        (gzip.compress(b'{"event_type":"a","event_ts":1,"tab_id":"t"}\n'), UnreadableLineError),
    ],
    ids=["no gzip", "cut short", "no received_at"],
)
async def test_an_object_that_cannot_be_read_is_told_of_the_days_that_it_matters_to(
    body: bytes, why: type[Exception]
) -> None:
    store = await watched()
    key = (await store.keys("raw/2026/01/06/"))[0]
    found = await store.get(key)
    assert found is not None
    await put_over(store, key, body, found.stat.metadata)

    outcomes = await look(store, ["2025-12-27", "2025-12-28", "2026-01-21", "2026-01-22"])

    untold = [dt for dt, outcome in outcomes.items() if isinstance(outcome, Untold)]
    assert untold == ["2025-12-28", "2026-01-21"]
    assert all(isinstance(outcomes[dt].why, why) for dt in untold)  # type: ignore[union-attr]


def test_what_differs_twice_in_the_same_way_is_drift_although_events_keep_coming() -> None:
    rows = {1: {"id": "moving"}, 2: {"id": "wrong"}, 3: {"id": "moving too"}}
    first, second = compared([1, 2], rows), compared([2, 3], rows)

    assert _answer(first, None, grown=True) is None
    answer = _answer(second, first, grown=True)

    assert isinstance(answer, Compared)
    assert answer.finding.drift == 1
    assert answer.finding.differences == [{"id": "wrong"}]


@pytest.mark.parametrize(("is_open", "grown"), [(False, True), (True, False)])
def test_a_closed_day_and_one_without_new_events_are_judged_at_once(is_open: bool, grown: bool) -> None:  # noqa: FBT001
    now = compared([1], {1: {"id": "wrong"}}, is_open=is_open)

    assert _answer(now, None, grown=grown) == now


def test_rows_that_go_on_moving_are_no_answer() -> None:
    rows = {1: {"id": "a"}, 2: {"id": "b"}}

    assert _answer(compared([2], rows), compared([1], rows), grown=True) is None
    assert _answer(compared([], rows), compared([1], rows), grown=True) == compared([], rows)


def compared(marks: list[int], rows: dict[int, dict[str, Any]], *, is_open: bool = True) -> Compared:
    differences = [rows[mark] for mark in marks]
    drift = Drift(rows=9, differing=len(marks), examples=differences, marks=set(marks), example_marks=marks)
    finding = Finding(
        dt="2026-01-06",
        drift=len(marks),
        rows=9,
        events=9,
        chunks=1,
        counted_again=0,
        dropped=0,
        differences=differences,
    )
    return Compared(finding=finding, drift=drift, is_open=is_open)
