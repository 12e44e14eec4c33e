"""Part `restore`: how fast the state of a worker that was killed is there again, by us and by others."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from tests.bench import restore
from tests.bench.peer_runs import forget_topics, run_peer
from tests.bench.peers.homes import FOLDER, PeerMissingError
from tests.bench.raw_topic import Shape, fill, fresh
from tests.bench.report import Part, Plan, number, table

KEYS = 200_000
PARTITIONS = 4
MOST_RUNS = 3
WITHIN_S = 180.0


async def measure(plan: Plan) -> Part:
    """Return seconds and keys a second."""
    keys = plan.events(KEYS)
    part = Part(title=f"Restore of {keys:,} keys into empty memory or an empty folder")
    runs = min(plan.runs, MOST_RUNS)
    plan.say(f"restoring {keys:,} keys by a stream worker, {runs} times")
    ours = (await restore.measure(argparse.Namespace(keys=keys, runs=runs)))["median"]
    part.figures["watchtime"] = ours
    body = [["**Watchtime**", number(ours["seconds"], 2), number(ours["keys_per_s"]), number(ours["rss_mb"])]]
    broker = LocalBroker(Path(plan.folder, "restore-part"), Cache.from_env(os.environ), jvm=())
    await broker.start()
    try:
        await fresh(broker.bootstrap_servers, PARTITIONS)
        await fill(broker.bootstrap_servers, keys, Shape(), PARTITIONS)
        peers = {
            "Kafka Streams, a RocksDB store": _KafkaStreams(plan, broker, keys),
            "Faust, a table in memory, start included": _Faust(plan, broker, keys),
        }
        for name, peer in peers.items():
            plan.say(f"{name}: putting {keys:,} keys, then restoring them")
            try:
                figures = await peer.restored()
            except PeerMissingError as error:
                part.skipped[name] = str(error)
                continue
            seconds = figures.get("seconds", figures["with_start_s"])
            part.figures[name] = figures
            body.append([name, number(seconds, 2), number(figures["keys"] / seconds), number(figures["rss_mb"])])
            plan.say(f"{name}: {figures['keys']:,} keys in {seconds:.2f} s")
    finally:
        broker.stop()
    part.markdown += table(["", "seconds", "keys/s", "memory MiB"], body)
    return part


class _Peer:
    """Puts keys by one process and restores them by the next one."""

    def __init__(self, plan: Plan, broker: LocalBroker, keys: int) -> None:
        self._plan = plan
        self._broker = broker
        self._servers = broker.bootstrap_servers
        self._keys = keys
        self._name = f"peer-restore-{uuid.uuid4().hex[:8]}"
        self._state = plan.folder / self._name

    async def restored(self) -> dict[str, Any]:
        """Return the figures of the restore."""
        try:
            await self._run(load=True)
            shutil.rmtree(self._state, ignore_errors=True)
            return await self._run(load=False)
        finally:
            await forget_topics(self._servers, self._name)

    async def _run(self, *, load: bool) -> dict[str, Any]:
        raise NotImplementedError

    async def _peer(self, command: list[str], environ: dict[str, str] | None = None) -> dict[str, Any]:
        return await run_peer(
            command=command,
            folder=self._plan.folder,
            broker_pid=self._broker.pid,
            within_s=WITHIN_S,
            environ=environ,
        )


class _KafkaStreams(_Peer):
    async def _run(self, *, load: bool) -> dict[str, Any]:
        arguments = [self._servers, self._name, str(self._keys if load else 0), str(self._state)]
        return await self._peer([*self._plan.homes.java(), "peers.Restore", *arguments])


class _Faust(_Peer):
    async def _run(self, *, load: bool) -> dict[str, Any]:
        environ = {
            "PEER_SERVERS": self._servers,
            "PEER_APP": self._name,
            "PEER_EVENTS": str(self._keys),
            "PEER_FOLDER": str(self._state),
            "PEER_TASK": "load" if load else "restore",
        }
        return await self._peer([sys.executable, str(FOLDER / "faust_totals.py"), "worker", "-l", "error"], environ)
