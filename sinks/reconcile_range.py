"""Days compared with their raw lines, again where events still arrived, until each has its answer.

An answer stands when nothing differs, or no event came meanwhile, or the day is closed, or a row differs twice in the
same way: files and archive had then both gone past all that the first look saw, and a row only ever grows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from sinks.keys import topic8
from sinks.progress import Report
from sinks.reconcile_day import Finding, Stack
from sinks.reconcile_pass import Advance, Compared, Outcome, Pass, Source, Untold
from sinks.reconcile_settle import Log, NotSettledError, settle
from streams.contract.rows import CLIENT
from streams.contract.topics import EVENTS, daily_tables
from streams.topic_id import topic_ids

_BETWEEN_S: Final = 0.5


async def reconcile(stack: Stack, dt: str, wait_s: float, report: Report) -> Finding:
    """Compare a day; NotSettledError or RawHoleError when it cannot be told."""
    async with aclosing(reconcile_days(stack, [dt], wait_s, report)) as outcomes:
        outcome = await anext(outcomes)
    if isinstance(outcome, Untold):
        raise outcome.why
    return outcome.finding


async def reconcile_days(
    stack: Stack, days: Sequence[str], wait_s: float, report: Report, advance: Advance = lambda *_: None
) -> AsyncGenerator[Outcome, None]:
    """Yield the answer for each day, in order but for open days that need another look."""
    store = stack.lake.store()
    day_rule = await stack.rule_of_days(store)
    deadline = time.monotonic() + wait_s
    ids = await topic_ids(stack.brokers, [EVENTS])
    async with Log(stack.brokers) as log:
        client_table = stack.client_table
        if client_table is None:
            client_table = CLIENT.topic in await log.topics()
        source = Source(store, log, day_rule, daily_tables(client_table=client_table))
        pending, before = list(days), dict[str, Compared]()
        while pending:
            ends = await settle(log, stack.group, deadline, _waiting(report), client_table=client_table)
            look = Pass(source, report, advance)
            again: dict[str, Compared] = {}
            async with aclosing(look.run(pending, ends, topic8(ids[EVENTS]))) as outcomes:
                async for outcome in outcomes:
                    answer = _answer(outcome, before.get(outcome.dt), grown=await log.ends(EVENTS) != ends)
                    if isinstance(outcome, Compared) and answer is None:
                        again[outcome.dt] = outcome
                    else:
                        yield answer or outcome
            if not before and len(days) > 1:
                # Many days may take longer than anybody means to wait for one.
                deadline = time.monotonic() + wait_s
            if time.monotonic() > deadline:
                for outcome in again.values():
                    yield _not_settled(outcome)
                return
            pending, before = list(again), again
            if pending:
                report("events arrived meanwhile: comparing again")
                await asyncio.sleep(_BETWEEN_S)


def _answer(now: Outcome, before: Compared | None, *, grown: bool) -> Outcome | None:
    """Return the answer for a day; None when it has to be looked at once more."""
    if isinstance(now, Untold) or not now.finding.drift or not now.is_open or not grown:
        return now
    same = now.drift.marks & before.drift.marks if before else set()
    if not same:
        return None
    examples = zip(now.drift.example_marks, now.drift.examples, strict=True)
    finding = dataclasses.replace(
        now.finding, drift=len(same), differences=[example for mark, example in examples if mark in same]
    )
    return dataclasses.replace(now, finding=finding)


def _not_settled(outcome: Compared) -> Untold:
    finding = outcome.finding
    return Untold(
        dt=finding.dt,
        why=NotSettledError(
            f"{finding.dt} differs in {finding.drift} of {finding.rows} rows, but events for them kept arriving while "
            "it was compared; compare when posting pauses, or give more time with --wait",
        ),
    )


def _waiting(report: Report) -> Callable[[str, str, int], None]:
    return lambda group, topic, count: report(f"waiting for {group}: {count:,} records of {topic} to go")
