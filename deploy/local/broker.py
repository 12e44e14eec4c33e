"""The local broker: Apache Kafka in KRaft mode, one process that is broker and controller, on loopback only."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.errors import DeployError
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.probes import listens
from deploy.local.process import Child, Program, log_tail
from streams.brokers import Address, Brokers, Security
from streams.connect import client_options

HEAP_MB: Final = 512
#: For a broker that lives for seconds: starts in half the time, but is slower under load. Not for benchmarks.
QUICK_START: Final = ("-XX:TieredStopAtLevel=1",)
STOP_GRACE_S: Final = 8.0
READY_TIMEOUT_S: Final = 60.0
#: As long as the state topics: a stack that rested for weeks must find its committed offsets again.
OFFSETS_RETENTION_MINUTES: Final = 35 * 24 * 60

#: To standard output, so that one file takes all that the Java machine says.
_LOG4J: Final = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.direct = true
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSX} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


class BrokerError(DeployError):
    """The local broker did not start; the text holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class BrokerPlace:
    """Where a broker runs: its folder, its two loopback ports, and properties that differ from ours."""

    folder: Path
    port: int
    controller_port: int
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: More options of the Java machine.
    jvm: Sequence[str] = ()
    heap_mb: int = HEAP_MB
    #: Id of the cluster that this broker belongs to; none: one of its own.
    cluster_id: str = ""
    #: More arguments of the first format, such as the users of a cluster.
    format_arguments: Sequence[str] = ()
    #: How its readiness is asked for.
    security: Security = field(default_factory=Security)

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def brokers(self) -> Brokers:
        """Address, and how to get in."""
        return Brokers(self.bootstrap_servers, self.security)


def properties(place: BrokerPlace) -> dict[str, str]:
    """Return the broker's settings."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Named here and not kept in the metadata log, so that the port may change between two starts.
        "controller.quorum.voters": f"1@{LOOPBACK}:{place.controller_port}",
        "listeners": f"CLIENTS://{place.bootstrap_servers},CONTROLLER://{LOOPBACK}:{place.controller_port}",
        "advertised.listeners": f"CLIENTS://{place.bootstrap_servers}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(place.folder / "data"),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.replication.factor": "1",
        # One broker gains nothing from the default of 50 partitions, and starts slower with them.
        "offsets.topic.num.partitions": "4",
        "offsets.retention.minutes": str(OFFSETS_RETENTION_MINUTES),
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        # A killed broker may register again only when its old session has run out: 9 s by default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(32 * 1024 * 1024),
        **place.overrides,
    }


def program(place: BrokerPlace, cache: Cache, log: Path) -> Program:
    """Return the broker as a program; `prepare` must have run in its folder."""
    config = str(place.folder / "server.properties")
    return Program(name="kafka", command=[*_java(place, cache), "kafka.Kafka", config], log=log)


def prepare(place: BrokerPlace, cache: Cache) -> None:
    """Write the settings, and format the data folder when it is new. Takes 2 s the first time."""
    place.folder.mkdir(parents=True, exist_ok=True)
    config = place.folder / "server.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in properties(place).items()))
    (place.folder / "log4j2.properties").write_text(_LOG4J)
    if (place.folder / "data" / "meta.properties").exists():
        return
    # A format that was interrupted leaves a folder without meta.properties, which is written last.
    shutil.rmtree(place.folder / "data", ignore_errors=True)
    # May begin with a dash, hence one argument with "=" below.
    cluster_id = place.cluster_id or secrets.token_urlsafe(16)
    command = [*_java(place, cache), "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    done = subprocess.run(  # noqa: S603 - fixed command
        [*command, "--config", str(config), *place.format_arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BrokerError(f"formatting {place.folder / 'data'} failed:\n{done.stdout}{done.stderr}")


async def is_ready(brokers: Address) -> bool:
    """Tell whether the broker takes part in its cluster and answers clients."""
    servers = brokers if isinstance(brokers, str) else brokers.servers
    places = [server.rpartition(":") for server in servers.split(",")]
    if not any([await listens(host, int(port)) for host, _, port in places]):
        return False
    admin = AIOKafkaAdminClient(**client_options(brokers), request_timeout_ms=5_000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])


class LocalBroker:
    """A broker of one's own, for tests and benchmarks; a stack's broker is kept by the supervisor."""

    def __init__(
        self,
        folder: Path,
        cache: Cache,
        overrides: Mapping[str, str] | None = None,
        jvm: Sequence[str] = (),
    ) -> None:
        self.place = BrokerPlace(
            folder=folder, port=free_port(), controller_port=free_port(), overrides=dict(overrides or {}), jvm=jvm
        )
        self._cache = cache
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Address for clients."""
        return self.place.bootstrap_servers

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and neither stopped nor killed."""
        return self._child is not None

    async def start(self, within_s: float = READY_TIMEOUT_S) -> None:
        """Start and return when ready; on the same ports and data after a `stop` or `kill`."""
        await asyncio.to_thread(prepare, self.place, self._cache)
        out = self.place.folder / "broker.log"
        self._child = Child(program(self.place, self._cache, out))
        async with asyncio.timeout(within_s):
            while not await is_ready(self.place.brokers):
                if self._child.exit_code() is not None:
                    raise BrokerError(f"the broker in {self.place.folder} ended while starting:\n{log_tail(out)}")
                await asyncio.sleep(0.1)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stop cleanly; by force after `grace_s`."""
        self._running().stop(grace_s)
        self._child = None

    def kill(self) -> None:
        """End as by a power cut of the process: no shutdown, nothing flushed by the broker itself."""
        child = self._running()
        child.kill()
        child.wait(STOP_GRACE_S)
        self._child = None

    def _running(self) -> Child:
        if self._child is None:
            raise BrokerError(f"the broker in {self.place.folder} is not running; call start() first")
        return self._child


def _java(place: BrokerPlace, cache: Cache) -> list[str]:
    # The variable of Kafka's own scripts.
    more = shlex.split(os.environ.get("KAFKA_OPTS", ""))
    classes = [f"-XX:SharedArchiveFile={cache.kafka_classes}"] if cache.kafka_classes.exists() else []
    return [
        "java",
        *classes,
        f"-Xmx{place.heap_mb}m",
        *more,
        *place.jvm,
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={place.folder / 'log4j2.properties'}",
        "-cp",
        f"{cache.kafka_libs}/*",
    ]
