"""One comparison of a day's files with its raw lines: read, count, compare, and again while events still arrive."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from sinks.keys import ANALYTICS, FileKey, topic8
from sinks.lake import Lake, endpoints, lake_of
from sinks.raw_days import LAST_DAY, Continuity, RawHoleError, lines_of, list_chunks, read_chunks
from sinks.reconcile import Beyond, Recount
from sinks.reconcile_compare import Drift, compare, load_files, read_rows
from sinks.reconcile_settle import Log, NotSettledError, Offsets, settle
from sinks.store import Store
from streams.contract.days import DayRule, dt_of_ms, shift_dt
from streams.contract.rows import CLIENT
from streams.contract.topics import EVENTS, daily_tables
from streams.topic_id import topic_ids

_BETWEEN_S: Final = 0.5

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a reconciliation needs to know of a stack."""

    lake: Lake
    bootstrap_servers: str
    group: str
    day_rule: DayRule
    #: None: as the broker's topics say.
    client_table: bool | None

    @classmethod
    def of(cls, data_dir: Path, environ: Mapping[str, str]) -> Stack:
        """Return the stack of a data folder, or of the stages' variables where there is none."""
        found: dict[str, Any] = endpoints(data_dir) or {}
        table = environ.get("STREAMS_CLIENT_TABLE")
        client_table = found.get("client_table", None if not table else table == "on")
        return cls(
            lake=lake_of(data_dir, environ),
            bootstrap_servers=found.get("bootstrap_servers")
            or environ.get("KAFKA_BOOTSTRAP_SERVERS")
            or "127.0.0.1:9092",
            group=found.get("group") or environ.get("WATCHTIME_GROUP") or "watchtime",
            day_rule=environ.get("STREAMS_DAY") or _recorded_day_rule(data_dir),  # type: ignore[arg-type] # judged by Recount
            client_table=client_table,
        )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a reconciliation found."""

    dt: str
    #: Rows that are not as they must be.
    drift: int
    #: Rows that were counted, and events in them, each once.
    rows: int
    events: int
    chunks: int
    #: See `Beyond`.
    counted_again: int
    dropped: int
    differences: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return the finding for a program."""
        return asdict(self)


async def reconcile(stack: Stack, dt: str, wait_s: float, report: Report) -> Finding:
    """Compare a day; NotSettledError or RawHoleError when it cannot be told."""
    store = stack.lake.store()
    deadline = time.monotonic() + wait_s
    ids = await topic_ids(stack.bootstrap_servers, [EVENTS])
    async with Log(stack.bootstrap_servers) as log:
        client_table = stack.client_table
        if client_table is None:
            client_table = CLIENT.topic in await log.topics()
        while True:
            ends = await settle(log, stack.group, deadline, _waiting(report), client_table=client_table)
            check = _Check(store, log, dt, stack.day_rule, report=report, client_table=client_table)
            finding = await check.run(ends, topic8(ids[EVENTS]))
            if not finding.drift or await log.ends(EVENTS) == ends:
                return finding
            if time.monotonic() > deadline:
                raise NotSettledError(
                    f"{dt} differs in {finding.drift} rows, but events kept arriving while it was compared; "
                    "compare when posting pauses, or give more time with --wait",
                )
            report("events arrived meanwhile: comparing again")
            await asyncio.sleep(_BETWEEN_S)


class _Check:
    """One pass over the raw days and the files."""

    def __init__(  # noqa: PLR0913 - what a pass is made of
        self, store: Store, log: Log, dt: str, day_rule: DayRule, *, report: Report, client_table: bool
    ) -> None:
        self._store = store
        self._log = log
        self._dt = dt
        self._day_rule = day_rule
        self._report = report
        self._tables = daily_tables(client_table=client_table)

    async def run(self, ends: Offsets, current: str) -> Finding:
        """Read, count and compare; `ends` are the raw ends that files and archive cover."""
        with tempfile.TemporaryDirectory(prefix="watchtime-reconcile-") as folder:
            recount = Recount(self._dt, self._day_rule, Path(folder))
            try:
                chunks = await self._read_raw(recount, ends, current)
                self._report("counting")
                beyond = await asyncio.to_thread(recount.judge)
                drift = await self._compare(recount)
                return self._finding(recount, drift, beyond, chunks)
            finally:
                recount.close()

    async def _read_raw(self, recount: Recount, ends: Offsets, current: str) -> int:
        chunks = [chunk for chunk in await list_chunks(self._store, self._dt) if chunk.topic == EVENTS]
        continuity, at = Continuity(), 0
        async for chunk, found in read_chunks(self._store, chunks):
            self._report(f"reading raw objects: {at:,} lines of {len(chunks)} objects")
            continuity.see(chunk, found.stat.metadata)
            lines = list(lines_of(chunk, found.body, at))
            at += len(lines)
            await asyncio.to_thread(recount.add, lines)
        # A window that ends before today may leave out newer chunks; one that does not must reach the raw ends.
        if shift_dt(self._dt, LAST_DAY) >= dt_of_ms(time.time_ns() // 1_000_000):
            await check_ends(continuity, current, self._log, ends, await self._log.starts(EVENTS))
        return len(chunks)

    async def _compare(self, recount: Recount) -> Drift:
        drift = Drift()
        for table in self._tables:
            self._report(f"comparing {table.name}")
            files = []
            for key in await self._store.keys(f"{ANALYTICS}{table.name}/dt={self._dt}/"):
                name, found = FileKey.parse(key), await self._store.get(key)
                if name is None or found is None:
                    continue
                try:
                    files.append(read_rows(table, name, found.body))
                except ValueError as error:
                    drift.differing += 1
                    drift.examples.append({"table": table.name, "dt": self._dt, "id": key, "error": str(error)})
            load_files(recount.connection, table, files)
            compare(recount.connection, table, self._dt, drift)
        return drift

    def _finding(self, recount: Recount, drift: Drift, beyond: Beyond, chunks: int) -> Finding:
        return Finding(
            dt=self._dt,
            drift=drift.differing,
            rows=drift.rows,
            events=recount.events(),
            chunks=chunks,
            counted_again=beyond.counted_again,
            dropped=beyond.dropped,
            differences=drift.examples,
        )


async def check_ends(continuity: Continuity, current: str, log: Log, ends: Offsets, starts: Offsets) -> None:
    """Raise RawHoleError unless the chunks of every partition reach its end in the topic."""
    for partition, end in sorted(ends.items()):
        reached = continuity.next_offset(current, partition.partition)
        missing = max(starts.get(partition, 0), reached or 0)
        # Records without lines at the end are in no chunk yet.
        if missing < end and await log.has_lines(partition, missing, end):
            raise RawHoleError(
                f"partition {partition.partition}: offsets {missing} to {end - 1} are in the topic and in no raw "
                "object, but the archive says that it has written them",
            )


def _waiting(report: Report) -> Callable[[str, str, int], None]:
    return lambda group, topic, count: report(f"waiting for {group}: {count:,} records of {topic} to go")


def _recorded_day_rule(data_dir: Path) -> str:
    """Return the day rule that a local stack has recorded for the life of its data."""
    try:
        return str(orjson.loads((data_dir / "stack.json").read_bytes())["day"])
    except FileNotFoundError:
        return "event"
