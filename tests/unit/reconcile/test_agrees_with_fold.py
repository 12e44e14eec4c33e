"""The two ways of counting, over lines that no gateway would let through: they share no code and must not differ."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.reconcile import Recount
from sinks.reconcile_window import Window
from streams.contract.days import DAY_MS, DAY_RULES, HOUR_MS, MAX_EARLY_MS, MAX_LATE_MS, dt_of_ms
from streams.contract.event import Event
from streams.contract.keys import PartialKey
from streams.contract.rows import TABLE_BY_KIND, TABLES, row_of
from streams.dedupe import Client, Dedupe
from streams.partition_state import FoldSettings, PartitionState
from streams.state_records import Share, decode
from tests.plain_lines import take_in

NOW = 1_773_186_900_000  # 2026-03-10T23:55:00Z: a quarter of an hour touches two days
ODD = st.sampled_from([None, "", 0, 1.0, True, [], {"a": 1}, "x"])
TEXT = st.sampled_from(["a", "b", "a|b", "\u0000", "é", "zz", "\u2028", "🦉"]) | ODD
STAMPS = [NOW, NOW - 1, NOW - MAX_LATE_MS, NOW - MAX_LATE_MS - 1, NOW + MAX_EARLY_MS, NOW + MAX_EARLY_MS + 1]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "event_type": st.sampled_from(["watch_tick", "watch_tick", "video_start", "video_stop"]) | ODD,
    "event_ts": st.sampled_from([*STAMPS, 2**63 - 1, 2**63, -(2**63), 0, float(NOW), "1"]) | ODD,
    "tab_id": st.sampled_from(["t", "t", "t"]) | ODD,
    "event_id": st.sampled_from(["e1", "e2", "e3", "e4"]) | ODD,
    "client_id": st.sampled_from(["c1", "c2"]) | ODD,
    "client_session_id": st.sampled_from(["c1", "c3"]) | ODD,
    "video_id": TEXT,
    "channel_name": TEXT,
    "watch_ms_delta": st.sampled_from([1, 10, 60_000, 60_001, 0, -1, 1e3, 2**63]) | ODD,
    "watch_mode": st.sampled_from(["background", "foreground"]) | ODD,
    "ad": st.sampled_from([True, False]) | ODD,
    "seq": st.sampled_from([0, 1, 2, 3, -1, 2**53 - 1, 2**53]) | ODD,
    "seq_epoch": st.sampled_from(["p", "q"]) | ODD,
    "tz_offset_min": st.sampled_from([0, 840, 841, -840, -841, 120, 60.0]) | ODD,
}
USUAL = {"event_type": "watch_tick", "event_ts": NOW, "tab_id": "t", "client_id": "c1", "watch_ms_delta": 10}
EVENTS = st.builds(
    lambda usual, odd, delivered: {**usual, **odd, "received_at": delivered},
    st.just(USUAL) | st.just({}),
    st.fixed_dictionaries({}, optional=FIELDS),
    st.integers(NOW - 3, NOW + 3) | st.sampled_from([NOW - 30 * 60_000, NOW + 30 * 60_000]),
)
BROKEN = st.sampled_from([b"", b"x", b"[]", b"1", b'{"event_type":"watch_tick"}', b"\xff", b'{"a":NaN}'])
LINES = st.lists(st.builds(orjson.dumps, EVENTS) | BROKEN, min_size=1, max_size=40)


def folded(lines: list[bytes], rule: Any) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the rows of the stream's fold, by table and day."""
    state = PartitionState(
        0, FoldSettings(partitions=1, shards=1, day_rule=rule, client_table=True, topic_id=uuid.UUID(int=7))
    )
    for offset, line in enumerate(lines):
        state.fold(offset, NOW, line + b"\n")
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for key, value in state.take_changes().partials[0]:
        place, share = PartialKey.decode(key), decode(Share, value)
        table = TABLE_BY_KIND[place.kind]
        if any(share.counters):
            row = row_of(table, place.dt, place.row_id, share.counters, share.channel)
            rows[table.name, place.dt].append(row)
    return rows


def recounted(lines: list[bytes], rule: Any, dt: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the recount, by table."""
    recount = Recount(dt, rule, None)
    try:
        take_in(recount, lines, dt_of_ms(NOW))
        recount.judge()
        return {table.name: _rows(recount, table.name, table.columns) for table in TABLES}
    finally:
        recount.close()


def _rows(recount: Recount, name: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    found = recount.connection.execute(f"FROM expected_{name}").fetchall()
    return [
        {
            column: cell.decode() if isinstance(cell, bytes) else cell
            for column, cell in zip(columns, cells, strict=True)
        }
        for cells in found
    ]


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=orjson.dumps)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(lines=LINES, rule=st.sampled_from(DAY_RULES), day=st.sampled_from([-1, 0, 1]))
def test_recount_and_fold_agree(lines: list[bytes], rule: Any, day: int) -> None:
    dt = dt_of_ms(NOW + day * DAY_MS)

    expected = folded(lines, rule)
    actual = recounted(lines, rule, dt)

    for table in TABLES:
        assert _ordered(actual[table.name]) == _ordered(expected.get((table.name, dt), [])), table.name


def test_the_instants_are_on_both_sides_of_midnight() -> None:
    assert dt_of_ms(NOW) != dt_of_ms(NOW + HOUR_MS)


def test_window_and_dedupe_agree_beyond_their_bounds() -> None:
    rng = random.Random(11)
    client, dedupe, window = Client(0), Dedupe(b"k" * 32), Window()
    beyond = 0
    seen: set[tuple[str, int] | str] = set()
    for line in range(30_000):
        if rng.random() < 0.5:
            epoch = f"e{rng.randrange(90)}" if rng.random() < 0.3 else "wide"
            seq = rng.randrange(40) if epoch != "wide" else rng.randrange(0, 9_000)
            event, identity = Event(seq=seq, seq_epoch=epoch), (epoch, seq)
            first = window.is_first(epoch.encode(), seq, None)
        else:
            name = f"i{rng.randrange(3_000)}"
            event, identity = Event(event_id=name), name
            first = window.is_first(None, None, name.encode())

        assert first == dedupe.is_first(client, event, (0, line))
        beyond += first == (identity in seen)
        seen.add(identity)
    assert beyond > 1_000, "bounds were passed"
