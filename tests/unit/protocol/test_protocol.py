"""The protocol of exactness as a state machine: any order of posts, moves, kills, zombies and compactions ends in the
numbers of a plain count. And each rule is needed: without it, the same machine finds a wrong number."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from streams.totals import LowerTotalError
from tests.unit.protocol.kafka_model import Cluster, FencedError
from tests.unit.protocol.workers_model import (
    CRASHES,
    NOON_MS,
    Folder,
    KilledError,
    P,
    Rules,
    Summer,
    newest_shares,
    published,
)

PROCESSES = 2
crashes = st.sampled_from([None, None, *CRASHES])
processes = st.integers(0, PROCESSES - 1)
partitions = st.integers(0, P - 1)


# The machine is one class whose rules share the switched-off rule: long, not complex.
def machine(rules: Rules) -> type[RuleBasedStateMachine]:  # noqa: C901
    """Return the machine under a set of rules."""

    class Protocol(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.cluster = Cluster(fencing=rules.fencing)
            self.group: dict[int, int] = {}
            #: What each process owns or believes to own; a killed process loses all of it.
            self.folders: dict[tuple[int, int], Folder] = {}
            self.taken: set[tuple[int, int]] = set()
            self.summers: dict[int, Summer] = {}
            self.posts: list[tuple[int, list[dict[str, object]]]] = []
            self.next_seq: Counter[int] = Counter()

        @rule(p=partitions, count=st.integers(1, 3))
        def post(self, p: int, count: int) -> None:
            for _ in range(count):
                events = [self._event(p)]
                self._append(p, events)
                self.posts.append((p, events))

        @precondition(lambda self: self.posts)
        @rule(data=st.data())
        def repeat(self, data: st.DataObject) -> None:
            self._append(*data.draw(st.sampled_from(self.posts)))

        @rule(w=processes, p=partitions)
        def take(self, w: int, p: int) -> None:
            folder = self.folders.setdefault((w, p), Folder(self.cluster, p, rules, self.group))
            folder.take()
            self.taken.add((w, p))

        @rule(w=processes, p=partitions, crash=crashes, limit=st.integers(1, 3))
        def fold(self, w: int, p: int, crash: str | None, limit: int) -> None:
            if (w, p) not in self.taken:
                self.take(w, p)
            try:
                self.folders[w, p].step(crash, limit)
            except KilledError:
                self._kill(w)
            except FencedError:
                if rules.refused_ends:
                    self._kill(w)

        @rule(w=processes, p=partitions, limit=st.integers(1, 3), others_write=st.booleans(), wakes_up=st.booleans())
        def go_and_return(self, w: int, p: int, limit: int, others_write: bool, wakes_up: bool) -> None:  # noqa: FBT001
            """Move a partition away and back; the first owner may try to write in between, like one that woke up."""
            other = PROCESSES - 1 - w
            self.fold(w, p, None, limit)
            self.take(other, p)
            if others_write:
                self.fold(other, p, None, limit)
            if wakes_up:
                self.fold(w, p, None, limit)
            self.take(w, p)
            self.fold(w, p, None, limit)

        @rule(w=processes)
        def take_sums(self, w: int) -> None:
            self.summers[w] = Summer(self.cluster, rules)
            self.summers[w].take()

        @rule(w=processes, crash=crashes)
        def add_up(self, w: int, crash: str | None) -> None:
            if w not in self.summers:
                self.take_sums(w)
            try:
                self.summers[w].step(crash)
            except (KilledError, FencedError):
                self._kill(w)

        @rule(log=st.sampled_from(["partials", "state-0", "watch.video_daily", "watch.ingest_daily"]))
        def compact(self, log: str) -> None:
            self.cluster.compact(log)

        @invariant()
        def shares_never_go_back(self) -> None:
            newest = newest_shares(self.cluster)
            for (kind, key), counters in published(self.cluster).items():
                dt, _, row_id = key.decode().partition("|")
                shares = [newest[dt, kind, row_id, p].counters for p in range(P) if (dt, kind, row_id, p) in newest]
                assert counters <= [sum(column) for column in zip(*shares, strict=True)], "published before committed"

        def teardown(self) -> None:
            for p in range(P):
                folder = Folder(self.cluster, p, rules, self.group)
                folder.take()
                folder.step(None)
            summer = Summer(self.cluster, rules)
            summer.take()
            summer.step(None)

            assert published(self.cluster) == self._plain_count()

        def _event(self, p: int) -> dict[str, object]:
            seq = self.next_seq[p]
            self.next_seq[p] += 1
            return {
                "event_type": "watch_tick",
                "event_ts": NOON_MS,
                "tab_id": "t",
                "client_id": f"client-{p}",
                "seq": seq,
                "seq_epoch": "e",
                "video_id": "v",
                "watch_ms_delta": 1 + seq % 7,
            }

        def _append(self, p: int, events: list[dict[str, object]]) -> None:
            self.cluster.append(f"raw-{p}", b"", b"".join(orjson.dumps(event) + b"\n" for event in events))

        def _kill(self, w: int) -> None:
            self.summers.pop(w, None)
            for key in [key for key in self.folders if key[0] == w]:
                del self.folders[key]
                self.taken.discard(key)

        def _plain_count(self) -> dict[tuple[str, bytes], list[int]]:
            """Count the raw logs anew: each (client, number) once."""
            rows: dict[tuple[str, bytes], list[int]] = {}
            seen: set[tuple[object, object]] = set()
            dt, hour = b"2026-09-21", b"14"
            for p in range(P):
                for _, entry in self.cluster.read(f"raw-{p}", 0, self.cluster.end(f"raw-{p}")):
                    for event in map(orjson.loads, (entry.value or b"").splitlines()):
                        ingest = rows.setdefault(("ingest", dt), [0] * 7)
                        identity = (event["client_id"], event["seq"])
                        if identity in seen:
                            ingest[5] += 1
                            continue
                        seen.add(identity)
                        ingest[0] += 1
                        ingest[1] += 1
                        ingest[4] += 1  # no channel
                        for row in (("video", dt + b"|v"), ("hour", dt + b"|" + hour)):
                            rows.setdefault(row, [0] * 4)[0] += event["watch_ms_delta"]
            return rows

    return Protocol


def run(rules: Rules, examples: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(rules),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_order_of_events_ends_in_the_plain_count():
    run(Rules(), examples=150)


@pytest.mark.parametrize("broken", [field.name for field in fields(Rules)])
def test_no_rule_can_be_left_out(broken: str):
    with pytest.raises((AssertionError, LowerTotalError, FencedError, KeyError)):
        run(Rules(**{broken: False}), examples=500)
