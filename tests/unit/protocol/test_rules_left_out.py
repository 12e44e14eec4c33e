"""The rules that the state machine of test_protocol has no part in. Each is left out in the project's own code (the
days that sums keep: in the model of their owner), and the test that guards it, which runs elsewhere too, must fail.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from sinks import day_files, worker
from sinks.raw_objects import RawObjects
from sinks.store import MemoryStore
from streams import clients, partition_state, totals
from tests.unit.retention import test_retention
from tests.unit.sinks import test_sinks_archive_lane, test_sinks_archive_lane_order, test_sinks_table_lane_order
from tests.unit.streams import test_partition_state, test_totals


class LeftOut(NamedTuple):
    """A rule, the name in the code that keeps it, what stands there without it, and the test that guards it."""

    rule: str
    owner: object
    name: str
    instead: Any
    guard: Callable[..., Any]
    given: tuple[Any, ...] = ()


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


async def put_over(store: MemoryStore, key: str, *written: Any, etag: str | None, put: Any = MemoryStore.put) -> str:
    """Write without asking what is there."""
    del etag
    store._objects.pop(key, None)
    return await put(store, key, *written, etag=None)


async def no_newest(_: object) -> None:
    """Find no object."""


def by_its_own_clock(*_: object) -> int:
    return time.time_ns() // 1_000_000


ORDER, ARCHIVE = test_sinks_table_lane_order, test_sinks_archive_lane
RULES = [
    LeftOut(
        "fold: only the log decides",
        partition_state,
        "delivery_ms",
        by_its_own_clock,
        test_partition_state.test_the_sums_are_those_of_the_plain_fold,
        ("event",),
    ),
    LeftOut(
        "fold: a repeat counts once",
        clients.Clients,
        "is_first",
        lambda *_: True,
        test_partition_state.test_the_sums_are_those_of_the_plain_fold,
        ("event",),
    ),
    LeftOut(
        "sums: a lower total stops the worker",
        totals,
        "_check_growth",
        nothing,
        test_totals.test_a_lower_total_is_an_error_that_names_the_way_out,
        (0,),
    ),
    LeftOut(
        "old days: sums end before shares do",
        test_retention,
        "TOTALS_DAYS",
        40,
        test_retention.test_ninety_days_lose_no_row_change_no_old_file_and_do_not_grow,
    ),
    LeftOut(
        "old days: shares stay in memory for as long as lines may come",
        partition_state,
        "FOLD_DAYS",
        5,
        test_retention.test_ninety_days_lose_no_row_change_no_old_file_and_do_not_grow,
    ),
    LeftOut(
        "files: conditional writes",
        MemoryStore,
        "put",
        put_over,
        ORDER.test_of_two_workers_the_one_that_knows_more_wins,
    ),
    LeftOut(
        "files: never less in one generation",
        day_files,
        "check_growth",
        nothing,
        ORDER.test_a_file_never_shrinks_within_a_generation,
    ),
    LeftOut(
        "files: of this topic only",
        day_files,
        "check_origin",
        nothing,
        ORDER.test_a_file_of_another_topic_id_is_not_touched,
    ),
    LeftOut(
        "files: a rebuilt one is never overwritten",
        day_files,
        "_is_settled",
        lambda _key, file, snapshot, _position: file.offset >= snapshot.offset,
        ORDER.test_a_rebuilt_file_is_never_overwritten,
    ),
    LeftOut(
        "files: none beyond the topic's end",
        worker,
        "check_end",
        nothing,
        ORDER.test_a_file_beyond_the_topic_s_end_is_an_error,
    ),
    LeftOut(
        "archive: conditional writes",
        MemoryStore,
        "put",
        put_over,
        test_sinks_archive_lane_order.test_of_two_workers_the_one_that_knows_less_reads_again,
    ),
    LeftOut(
        "archive: goes on behind its newest object",
        RawObjects,
        "newest",
        no_newest,
        ARCHIVE.test_after_a_restart_an_open_object_is_read_again_and_a_closed_one_is_not,
    ),
    LeftOut(
        "refold: held back until all is folded",
        totals.Totals,
        "_is_whole",
        lambda _: True,
        test_totals.test_a_refold_holds_everything_back_until_each_partition_is_folded,
    ),
]


@pytest.mark.parametrize("left_out", RULES, ids=lambda one: one.rule)
async def test_no_rule_can_be_left_out(left_out: LeftOut, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_out.owner, left_out.name, left_out.instead)

    with pytest.raises((AssertionError, pytest.fail.Exception, totals.LowerTotalError)):
        await _run(left_out)


async def _run(left_out: LeftOut) -> None:
    found = left_out.guard(*left_out.given)
    if inspect.isawaitable(found):
        await found
