"""What a running stack says, read as anyone would read it, and held against the oracle."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson

from athena import query_command
from athena.local import connect
from sinks.lake import Lake, lake_of
from streams.contract.topics import daily_tables
from tests import oracle
from tests.integration.stream_workers import all_records, reader
from tests.stacks import Stack

Rows = dict[tuple[str, str], list[dict[str, Any]]]


def post(stack: Stack, *arguments: str, timeout_s: float = 240) -> tuple[dict[str, Any], Path]:
    """Run `watchtime load`; return its summary and the file of acknowledged POSTs."""
    done = stack.watchtime("load", "--json", *arguments, timeout_s=timeout_s)
    facts: dict[str, Any] = json.loads(done.stdout)
    print("load:", {name: value for name, value in facts.items() if name not in {"refusals", "acknowledged"}})
    return facts, Path(facts["acknowledged"])


def reconcile(stack: Stack, dt: str, wait_s: float = 60) -> dict[str, Any]:
    """Run `watchtime reconcile`; return its finding, with the exit code as `exit`."""
    done = stack.watchtime(
        "reconcile", "--dt", dt, "--wait", str(wait_s), "--json", check=False, timeout_s=wait_s + 120
    )
    finding: dict[str, Any] = json.loads(done.stdout or "{}")
    return {**finding, "exit": done.returncode, "said": done.stderr}


def reconcile_all(stack: Stack, days: list[str], wait_s: float = 60) -> None:
    """Reconcile days, of which the first waits until the stack is settled; fail at any drift."""
    for dt in days:
        finding = reconcile(stack, dt, wait_s)
        print(f"reconcile {dt}: exit={finding['exit']} drift={finding.get('drift')} rows={finding.get('rows')}")
        assert finding["exit"] == 0, (finding, stack.logs())
        assert finding["rows"] > 0


def assert_right(stack: Stack, acknowledged: Path) -> None:
    """Wait for the stages by reconcile, then hold every row of the files against the oracle."""
    expected = oracle.fold(acknowledged)
    reconcile_all(stack, expected.days[-2:], wait_s=120)
    rows = lake_rows(stack)

    assert lost_and_double(expected, rows) == (0, 0)
    assert differences(expected, rows) == []


def lake_rows(stack: Stack) -> Rows:
    """Return every row of the daily files, by table and day."""
    return rows_in(lake_of(stack.data_dir, os.environ))


def rows_in(lake: Lake) -> Rows:
    """Return every row of a lake's daily files, by table and day."""
    found: Rows = defaultdict(list)
    with connect(lake) as connection:
        for table in oracle.TABLES:
            names, _, rows = query_command.ask(connection, f"FROM {table}")
            for cells in rows:
                row = dict(zip(names, cells, strict=True))
                found[table, row["dt"]].append(row)
    return found


async def topic_rows(stack: Stack) -> Rows:
    """Return the last committed value of every key of the daily topics, by table and day."""
    told = stack.endpoints
    return await committed_rows(told["bootstrap_servers"], client_table=told["client_table"])


async def committed_rows(bootstrap_servers: str, *, client_table: bool) -> Rows:
    """Return the last committed value of every key of the daily topics, by table and day."""
    found: Rows = defaultdict(list)
    async with reader(bootstrap_servers) as consumer:
        for table in daily_tables(client_table=client_table):
            newest = {record.key: record.value for record in await all_records(consumer, table.topic)}
            for row in map(orjson.loads, newest.values()):
                found[table.name, row["dt"]].append(row)
    return found


def differences(expected: oracle.Expectation, actual: Rows) -> list[str]:
    """Return a line for each row that is not as it must be, over all tables and days of both sides."""
    places = sorted(expected.rows.keys() | actual.keys())
    return [line for table, dt in places for line in expected.differences(table, dt, actual.get((table, dt), []))]


def lost_and_double(expected: oracle.Expectation, actual: Rows) -> tuple[int, int]:
    """Return how many events the files lack and how many they hold too often, by day."""
    lost = double = 0
    for dt in {dt for _, dt in expected.rows.keys() | actual.keys()}:
        want = expected.rows.get(("ingest_daily", dt), {}).get(None, {}).get("total_events", 0)
        got = sum(row["total_events"] for row in actual.get(("ingest_daily", dt), []))
        lost += max(want - got, 0)
        double += max(got - want, 0)
    return lost, double
