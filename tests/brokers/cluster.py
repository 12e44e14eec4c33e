"""Three brokers on one machine: each topic on all of them, an acknowledgement takes two."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK

SIZE = 3
HEAP_MB = 320
#: Both are a matter of seconds; on a machine with much else to do, of minutes.
READY_S = 180.0
IN_SYNC_S = 180.0


class Cluster:
    """The brokers by number, 0 to 2; each may be killed and started again."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.brokers = [LocalBroker(folder / f"broker-{number}", cache) for number in range(SIZE)]
        voters = ",".join(
            f"{number + 1}@{LOOPBACK}:{broker.place.controller_port}" for number, broker in enumerate(self.brokers)
        )
        cluster_id = secrets.token_urlsafe(16)
        for number, broker in enumerate(self.brokers):
            copies = {
                "node.id": str(number + 1),
                "controller.quorum.voters": voters,
                "min.insync.replicas": "2",
                "offsets.topic.replication.factor": str(SIZE),
                "transaction.state.log.replication.factor": str(SIZE),
                "transaction.state.log.min.isr": "2",
            }
            broker.place = dataclasses.replace(
                broker.place, overrides=copies, cluster_id=cluster_id, heap_mb=HEAP_MB, jvm=["-XX:+UseSerialGC"]
            )

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all brokers."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    async def start(self) -> None:
        """Start all brokers, which need each other."""
        await self.start_again(range(SIZE))

    async def start_again(self, numbers: Iterable[int]) -> None:
        """Start brokers that were killed, and return when they are ready: they may need each other for that."""
        await asyncio.gather(*(self.brokers[number].start(READY_S) for number in numbers))

    async def in_sync(self) -> None:
        """Return when every partition of ours has all its copies."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        deadline = time.monotonic() + IN_SYNC_S
        await admin.start()
        try:
            while behind := await _behind(admin):
                assert time.monotonic() < deadline, f"copies are missing: {behind}"
                await asyncio.sleep(0.2)
        finally:
            await admin.close()

    def stop(self) -> None:
        """Stop what runs."""
        for broker in self.brokers:
            if broker.is_running:
                # A controlled shutdown waits for the others, which are going too.
                broker.kill()


async def _behind(admin: AIOKafkaAdminClient) -> list[str]:
    names = [name for name in await admin.list_topics() if name.startswith(("watch.", "__"))]
    return [
        f"{topic['topic']}-{part['partition']}: {part['isr']}"
        for topic in await admin.describe_topics(names)
        for part in topic["partitions"]
        if len(part["isr"]) < SIZE
    ]
