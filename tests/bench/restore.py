"""How fast a stream worker restores the state of a partition, and how much memory that takes.

Starts a broker of its own, fills partition 0 of the state topic (two thirds shares of rows, the rest windows of
clients: epochs and slots of ids), and lets a process of its own take the partition as a worker does: fence, read to
the end, decode, build.

    python -m tests.bench.restore [--keys 1000000] [--runs 3] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import TopicPartition

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from streams.contract import topics
from streams.contract.days import HOUR_MS, dt_of_ms
from streams.contract.keys import PartialKey
from streams.contract.rows import Kind
from streams.fold_settings import FoldSettings, Generation
from streams.folding import FoldingOwner
from streams.provision import provision
from streams.settings import Settings
from streams.state_records import MARKER_KEY, VERSION, EpochPiece, Share, SlotPiece, encode, epoch_key, slot_key
from streams.topic_id import topic_ids
from streams.transactions import FencedProducer, Record
from tests.bench.machine import facts, sentence

#: Records of one transaction while the topic is filled.
BATCH = 20_000
GROUP = "bench"
FIGURES = ("seconds", "keys_per_s", "cpu_s", "rss_mb")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.add_argument("--take", metavar="SERVERS", help=argparse.SUPPRESS)  # what the measured process is told
    args = parser.parse_args()
    if args.take:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.stdout.write(json.dumps(runner.run(take(args.take))))
        return 0
    report = asyncio.run(measure(args))
    sys.stdout.write((json.dumps(report, indent=2) if args.json else table(report)) + "\n")
    return 0


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured, and on which machine."""
    with tempfile.TemporaryDirectory(prefix="watchtime-bench-") as folder:
        broker = LocalBroker(Path(folder, "kafka"), Cache.from_env(os.environ))
        await broker.start()
        try:
            await provision(broker.bootstrap_servers, 1, 1, replication=1, client_table=False)
            await fill(broker.bootstrap_servers, args.keys)
            runs = [await taken(broker.bootstrap_servers, args.keys) for _ in range(args.runs)]
        finally:
            broker.stop()
    medians = {name: statistics.median(one[name] for one in runs) for name in FIGURES}
    return {"machine": facts(), "keys": args.keys, "median": medians, "runs": runs}


async def fold_settings(bootstrap_servers: str) -> FoldSettings:
    """Return what the stored state was folded under."""
    ids = await topic_ids(bootstrap_servers, [topics.EVENTS])
    return FoldSettings(partitions=1, shards=1, day_rule="event", client_table=False, topic_id=ids[topics.EVENTS])


async def fill(bootstrap_servers: str, keys: int) -> None:
    """Write so many keys of state, and the marker that completes it."""
    settings = await fold_settings(bootstrap_servers)
    now_ms = time.time_ns() // 1_000_000
    producer = await FencedProducer.started(bootstrap_servers, f"{GROUP}-0")
    state = TopicPartition(topics.STATE, 0)
    batch: list[Record] = []
    for record in records(keys - 1, now_ms):
        batch.append(record)
        if len(batch) == BATCH:
            await producer.write({state: batch})
            batch = []
    # The raw topic is empty: everything that was in it is folded, and gone.
    batch.append(Record(MARKER_KEY, encode(settings.marker(-1, now_ms, Generation()))))
    await producer.write({state: batch})
    await producer.stop()


def records(count: int, now_ms: int) -> Iterator[Record]:
    """Give state as a busy partition has it."""
    pick = random.Random(1)
    hour, today = now_ms // HOUR_MS, dt_of_ms(now_ms)
    kinds: list[Kind] = ["video", "video", "video", "channel"]
    for number in range(count):
        client = f"{number // 3:032x}"
        if number % 3:
            row_id = f"video-{number:08d}"
            counters = [pick.randrange(10**7), pick.randrange(10**6), pick.randrange(1_000), 0]
            share = Share(
                v=VERSION, offset=number, counters=counters, updated_at=now_ms, channel="A channel", channel_ts=now_ms
            )
            yield Record(PartialKey(today, pick.choice(kinds), row_id, 0).encode(), encode(share))
        elif number % 2:
            epoch = EpochPiece(v=VERSION, hour=hour, touched=(number, 0), intervals=[0, pick.randrange(1, 5_000)])
            yield Record(epoch_key(client, f"{number:016x}"), encode(epoch))
        else:
            slot = SlotPiece(v=VERSION, hour=hour, count=64, hashes=pick.randbytes(64 * 8))
            yield Record(slot_key(client, 0), encode(slot))


async def taken(bootstrap_servers: str, keys: int) -> dict[str, float]:
    """Let a process of its own take the partition; return its figures."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.restore", "--take", bootstrap_servers, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the taking process ended with {process.returncode}")
    figures: dict[str, float] = json.loads(told)
    return {**figures, "keys_per_s": keys / figures["seconds"]}


async def take(bootstrap_servers: str) -> dict[str, float]:
    """Take the partition in this process."""
    settings = Settings(bootstrap_servers=bootstrap_servers, group=GROUP, partitions=1)
    owner = FoldingOwner(0, settings, await fold_settings(bootstrap_servers))
    # As streams/__main__.py has it.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    started, cpu_s = time.monotonic(), time.process_time()
    await owner.take()
    seconds, cpu_s = time.monotonic() - started, time.process_time() - cpu_s
    await owner.release()
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu_s": cpu_s, "rss_mb": rss_mb}


def table(report: dict[str, Any]) -> str:
    """Return the report for people: medians, with the extremes of the runs in brackets."""
    lines = [f"{sentence(report['machine'])}, {report['keys']:,} keys of state, median of {len(report['runs'])}:"]
    for name in FIGURES:
        values = [one[name] for one in report["runs"]]
        lines.append(f"  {name:12} {report['median'][name]:12,.1f}   ({min(values):,.1f} … {max(values):,.1f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
