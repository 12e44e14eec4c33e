"""How far a stack is, sampled all the time: from the samples it is told how long each death of a worker held it up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.contract import topics
from tests.faults.world import GROUP, PARTITIONS, ROOT

_EVERY_S = 0.1
#: A sample takes no longer, on a busy machine too; the first one has the start of a process before it.
_LONGEST_S = 15.0
_FIRST_S = 40.0


class Sample(NamedTuple):
    """Ends of the raw partitions and the offsets up to which they are folded, at one monotonic time."""

    at: float
    ends: tuple[int, ...]
    folded: tuple[int, ...]


class Progress:
    """Samples until it is cancelled, through every death of the broker.

    A process of its own takes them: a consumer whose broker was killed may wait for ever, and is then started anew.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self.samples: list[Sample] = []
        self._bootstrap_servers = bootstrap_servers

    async def run(self) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.progress", self._bootstrap_servers,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT,
            )  # fmt: skip
            assert process.stdout is not None
            try:
                within_s = _FIRST_S
                while text := await asyncio.wait_for(process.stdout.readline(), within_s):
                    at, ends, folded = json.loads(text)
                    self.samples.append(Sample(at, tuple(ends), tuple(folded)))
                    within_s = _LONGEST_S
            except TimeoutError:
                pass
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def recovered_after(self, death: float) -> float | None:
        """Return the seconds from a death until all that was appended before it was folded; None: not seen."""
        later = [sample for sample in self.samples if sample.at >= death]
        for sample in later:
            if all(done >= end for done, end in zip(sample.folded, later[0].ends, strict=True)):
                return sample.at - death
        return None


#: What each group reads.
GROUPS = {
    topics.PARTIALS_GROUP: [topics.EVENTS],
    topics.TOTALS_GROUP: [topics.PARTIALS],
    topics.SINKS_GROUP: [table.topic for table in topics.daily_tables(client_table=False)],
    topics.ARCHIVE_GROUP: [topics.EVENTS],
}


async def settled(bootstrap_servers: str, within_s: float) -> None:
    """Return when every group has worked through what was there; AssertionError names the ones that have not."""
    deadline = time.monotonic() + within_s
    for suffix in GROUPS:
        await settled_group(bootstrap_servers, suffix, deadline - time.monotonic())


async def settled_group(bootstrap_servers: str, suffix: str, within_s: float) -> None:
    """Return when one group has worked through what was there."""
    deadline = time.monotonic() + within_s
    names = GROUPS[suffix]
    async with AIOKafkaConsumer(
        *names,
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
    ) as reader:
        partitions = [TopicPartition(name, p) for name in names for p in sorted(reader.partitions_for_topic(name))]
        ends = await reader.end_offsets(partitions)
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=f"{GROUP}-{suffix}", enable_auto_commit=False
    ) as consumer:
        consumer.assign(partitions)
        while behind := {at: end for at, end in ends.items() if (await consumer.committed(at) or 0) < end}:
            assert time.monotonic() < deadline, f"{suffix} is behind: {behind}"
            await asyncio.sleep(0.2)


async def _tell(bootstrap_servers: str) -> None:
    """Print a sample every now and then, until something fails."""
    raw = [TopicPartition(topics.EVENTS, p) for p in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=f"{GROUP}-{topics.PARTIALS_GROUP}", enable_auto_commit=False
    )
    consumer.assign(raw)
    await consumer.start()
    while True:
        ends = await consumer.end_offsets(raw)
        folded = [await consumer.committed(partition) or 0 for partition in raw]
        print(json.dumps([time.monotonic(), [ends[partition] for partition in raw], folded]), flush=True)
        await asyncio.sleep(_EVERY_S)


if __name__ == "__main__":
    asyncio.run(_tell(sys.argv[1]))
