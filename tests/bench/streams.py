"""Part `streams`: how fast events of a full topic are counted, by us and by others doing the same work or less.

The candidates take turns on one broker and one topic, so that the ratios hold also on a machine that is busy.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from tests.bench import ours
from tests.bench.peer_runs import forget_topics, per_million, run_peer
from tests.bench.peers.homes import FOLDER, PeerMissingError
from tests.bench.raw_topic import Shape, fill, fresh
from tests.bench.report import Part, Plan, Run, mark, median, number, table

PARTITIONS = 4
#: So many that the seconds in which Java compiles the peers and the broker do not decide.
EVENTS = 600_000
#: Slow peers count fewer events, and fewer times.
QUIX_EVENTS = 30_000
FAUST_EVENTS = 10_000
SLOW_RUNS = 2
JAVA_RUNS = 3
PEER_WITHIN_S = 180.0
OURS, TWO, LIMIT = (
    "**Watchtime**, one worker",
    "Watchtime, two workers",
    "Python limit: nothing kept, no repeats dropped",
)
STREAMS_EOS = "Kafka Streams, exactly once, repeats dropped"


@dataclass(frozen=True)
class Candidate:
    """One line of the table."""

    name: str
    run: Callable[[], Awaitable[dict[str, Any]]]
    runs: int


class Race:
    """All candidates over one full topic."""

    def __init__(self, plan: Plan, broker: LocalBroker) -> None:
        self._plan = plan
        self._broker = broker
        self._servers = broker.bootstrap_servers
        self._events = plan.events(EVENTS)

    async def run(self, part: Part, per_record: int) -> None:
        """Measure with so many events a record and add to the part."""
        plan = self._plan
        plan.say(f"filling the topic: {self._events:,} events, {per_record} a record")
        await fresh(self._servers, PARTITIONS)
        await fill(self._servers, self._events, Shape(per_record=per_record), PARTITIONS)
        candidates = self._candidates(per_record)
        measured: dict[str, list[Run]] = defaultdict(list)
        for turn in range(plan.runs):
            for candidate in candidates:
                if turn >= candidate.runs or candidate.name in part.skipped:
                    continue
                try:
                    run = await candidate.run()
                except PeerMissingError as error:
                    part.skipped[candidate.name] = str(error)
                    plan.say(f"{candidate.name}: skipped, {error}")
                    continue
                measured[candidate.name].append(run)
                told = f"{run['events_per_s']:,.0f} events/s, {run['cpu_s_per_million']:.1f} CPU s per million"
                plan.say(f"{turn + 1}/{candidate.runs} {candidate.name}: {told}, others {run['others']:.0%}")
        part.figures[f"{per_record} a record"] = measured
        part.markdown += ["", *rows(measured, per_record)]

    def _candidates(self, per_record: int) -> list[Candidate]:
        runs, slow, java = (min(self._plan.runs, most) for most in (self._plan.runs, SLOW_RUNS, JAVA_RUNS))
        both = [Candidate(OURS, self._ours, runs), Candidate(LIMIT, self._limit, runs)]
        if per_record > 1:  # a peer reads one event a record
            return both
        return [
            *both,
            Candidate(STREAMS_EOS, lambda: self._kafka_streams("exactly_once_v2", "on"), java),
            Candidate("Kafka Streams, at least once", lambda: self._kafka_streams("at_least_once", "off"), java),
            Candidate("Bytewax 0.21, at least once, recovery each 5 s", self._bytewax, runs),
            Candidate(TWO, lambda: self._ours(2), java),
            Candidate("Quix Streams 3.28, exactly once", self._quix, slow),
            Candidate("Faust, two tables in memory, at least once", self._faust, slow),
        ]

    async def _ours(self, workers: int = 1) -> dict[str, Any]:
        return await ours.fold(
            bootstrap_servers=self._servers,
            broker_pid=self._broker.pid,
            folder=self._plan.folder,
            events=self._events,
            partitions=PARTITIONS,
            workers=workers,
        )

    async def _peer(self, command: list[str], name: str, environ: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            figures = await run_peer(
                command=command,
                folder=self._plan.folder,
                broker_pid=self._broker.pid,
                within_s=PEER_WITHIN_S,
                environ=environ,
            )
        finally:
            await forget_topics(self._servers, name)
        return per_million(figures)

    async def _limit(self) -> dict[str, Any]:
        command = [sys.executable, str(FOLDER / "python_limit.py"), self._servers, str(self._events)]
        return await self._peer(command, _name("limit"))

    async def _kafka_streams(self, guarantee: str, dedupe: str) -> dict[str, Any]:
        name = _name("kafka-streams")
        arguments = [self._servers, name, str(self._events), guarantee, dedupe, str(self._plan.folder / name)]
        return await self._peer([*self._plan.homes.java(), "peers.Totals", *arguments], name)

    async def _bytewax(self) -> dict[str, Any]:
        python, name = self._plan.homes.python("bytewax"), _name("bytewax")
        recovery = self._plan.folder / name
        recovery.mkdir()
        environ = {"PEER_SERVERS": self._servers, "PEER_EVENTS": str(self._events)}
        prepare = f"{python} -m bytewax.recovery {recovery} {PARTITIONS}"
        run = f"{python} -m bytewax.run bytewax_totals:flow -r {recovery} -s 5 -b 0"
        return await self._peer(["bash", "-c", f"{prepare} && exec {run}"], name, environ)

    async def _quix(self) -> dict[str, Any]:
        python, name = self._plan.homes.python("quix"), _name("quix")
        events = min(self._events, self._plan.events(QUIX_EVENTS))
        arguments = [self._servers, name, str(events), str(self._plan.folder / name)]
        return await self._peer([python, str(FOLDER / "quix_totals.py"), *arguments], name)

    async def _faust(self) -> dict[str, Any]:
        name, events = _name("faust"), min(self._events, self._plan.events(FAUST_EVENTS))
        environ = {
            "PEER_SERVERS": self._servers,
            "PEER_APP": name,
            "PEER_EVENTS": str(events),
            "PEER_FOLDER": str(self._plan.folder / name),
        }
        command = [sys.executable, str(FOLDER / "faust_totals.py"), "worker", "-l", "error"]
        return await self._peer(command, name, environ)


def _name(peer: str) -> str:
    """Return a name that no earlier run has used: each starts from nothing."""
    return f"peer-{peer}-{uuid.uuid4().hex[:8]}"


def rows(measured: dict[str, list[Run]], per_record: int) -> list[str]:
    """Return the table: what each candidate did, and ours as a multiple of it."""
    head = [f"{per_record} event(s) a record", "events/s", "ours is", "CPU s per million", "memory MiB", "broker CPU s"]
    body = []
    for name, runs in measured.items():
        ratio = median(measured[OURS], "events_per_s") / median(runs, "events_per_s") if OURS in measured else 0
        body.append(
            [
                name + mark(runs),
                number(median(runs, "events_per_s")),
                "" if name == OURS else f"{ratio:.2f}x",
                number(median(runs, "cpu_s_per_million"), 1),
                number(median(runs, "rss_mb")),
                number(median(runs, "broker_cpu_s_per_million"), 1),
            ]
        )
    return table(head, body)


async def measure(plan: Plan) -> Part:
    """Return the figures of one event and of ten a record."""
    part = Part(title="Streams: events of a full topic, counted")
    # Without the options for a quick start: they make the broker slower under load.
    broker = LocalBroker(Path(plan.folder, "kafka-streams-part"), Cache.from_env(os.environ), jvm=())
    await broker.start()
    try:
        race = Race(plan, broker)
        for per_record in (1, 10):
            await race.run(part, per_record)
    finally:
        broker.stop()
    return part
