"""What one client can do to a partition: very many videos, very long names, clocks that are years off."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.files import day_file
from sinks.tables import DayTable
from streams.contract.days import DAY_MS, dt_of_ms
from streams.contract.keys import PartialKey
from streams.contract.rows import TABLE_BY_KIND
from streams.contract.topics import MAX_MESSAGE_BYTES
from streams.fold_settings import FoldSettings
from streams.folding import MAX_PENDING
from streams.partition_state import Changes, PartitionState
from streams.state_records import Share, decode
from streams.totals import Totals

NOW_MS = 1_760_000_000_000
TODAY = dt_of_ms(NOW_MS)
SETTINGS = FoldSettings(partitions=1, shards=1, day_rule="event", client_table=False, topic_id=uuid.UUID(int=9))
#: Of one POST; each is about a video of its own.
EVENTS_IN_A_RECORD = 500


def tick(number: int, **more: object) -> dict[str, object]:
    return {
        "event_id": str(number),
        "event_ts": NOW_MS,
        "event_type": "watch_tick",
        "tab_id": "1",
        "client_id": "one",
        "video_id": f"{number:011d}",
        "channel_name": f"channel {number}",
        "watch_ms_delta": 1_000,
        "received_at": NOW_MS,
        **more,
    }


def value(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def size(changes: Changes) -> int:
    pairs = [*changes.state, *(pair for pairs in changes.partials.values() for pair in pairs)]
    return sum(len(key) + len(stored or b"") for key, stored in pairs)


def rows_of(state: PartitionState) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the rows that come out at the end of the sums, by table and dt."""
    totals = Totals()
    for pairs in state.take_changes().partials.values():
        for key, stored in pairs:
            assert stored is not None
            totals.put_share(PartialKey.decode(key), decode(Share, stored))
    return {
        (row.table.name, json.loads(row.value)["dt"]): json.loads(row.value)
        for row in totals.take_differences()
        if row.value
    }


def test_each_transaction_of_a_client_with_very_many_videos_stays_small():
    state, sizes, shares = PartitionState(0, SETTINGS), [], set()
    for offset in range(60):
        first = offset * EVENTS_IN_A_RECORD
        state.fold(offset, NOW_MS, value(*(tick(first + number) for number in range(EVENTS_IN_A_RECORD))))
        if state.pending >= MAX_PENDING:
            changes = state.take_changes()
            sizes.append(size(changes))
            shares |= {key for key, _ in changes.partials[0]}
    changes = state.take_changes()
    shares |= {key for key, _ in changes.partials.get(0, [])}

    assert len(shares) == 2 * 60 * EVENTS_IN_A_RECORD + 2  # videos, channels, the hour, the ingest row
    assert len(sizes) > 1
    # One micro-batch is cut once this many keys changed; what a single record adds beyond that is bounded too.
    assert max(sizes) < 2 * MAX_MESSAGE_BYTES


@pytest.mark.parametrize("name", ["\U0001f600" * 256, "|" * 256, "\u2028" * 256])
def test_the_longest_name_goes_through_keys_rows_and_files_as_it_is(name: str):
    state = PartitionState(0, SETTINGS)
    state.fold(0, NOW_MS, value(tick(1, channel_name=name)))
    totals = Totals()
    for key, stored in state.take_changes().partials[0]:
        totals.put_share(PartialKey.decode(key), decode(Share, stored or b""))
    table = DayTable(TABLE_BY_KIND["channel"])
    for offset, row in enumerate(row for row in totals.take_differences() if row.table.kind == "channel"):
        table.apply(row.key, row.value, offset, 0, oldest=TODAY)

    body = day_file(table.table, table.snapshot(TODAY), "parquet").body

    assert pq.read_table(pa.BufferReader(body)).to_pylist()[0]["channel"] == name


@pytest.mark.parametrize("years", [-2_000, -50, -1, 1, 50, 8_000, 2**62])
def test_a_clock_that_is_years_off_counts_at_its_delivery(years: int):
    state = PartitionState(0, SETTINGS)
    stamp = max(-(2**63), min(2**63 - 1, NOW_MS + years * 365 * DAY_MS))
    state.fold(0, NOW_MS, value(tick(1, event_ts=stamp)))

    rows = rows_of(state)

    assert {dt for _, dt in rows} == {TODAY}
    assert rows["ingest_daily", TODAY]["moved_events"] == 1
    assert rows["video_daily", TODAY]["watch_ms"] == 1_000


@pytest.mark.parametrize("stamp", [-(2**63), 2**63 - 1, 0])
def test_a_gateway_s_stamp_that_is_years_off_is_replaced_by_the_broker_s_time(stamp: int):
    state = PartitionState(0, SETTINGS)
    state.fold(0, NOW_MS, value(tick(1, received_at=stamp)))

    assert rows_of(state)["ingest_daily", TODAY]["moved_events"] == 0
