"""A whole stack for fault tests, without a supervisor: each part is a process that can be killed, stopped or set up to
fail, and a proxy stands between each pair of them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.local.broker import QUICK_START, LocalBroker
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Child, Program, log_tail
from deploy.local.s3 import LocalS3
from sinks.lake import Lake
from streams.provision import provision
from tests.faults.proxy import Proxy, S3Proxy
from tests.servers import aws_environ

ROOT = Path(__file__).parents[2]
GROUP = "faults"
BUCKET = "faults"
PARTITIONS = 4
SHARDS = 2
SESSION_MS = 6_000
#: Pause before a process that ended is started again.
AGAIN_S = 0.2
_STAGES = ("gateway", "streams", "sinks")


class Part:
    """One process of a stage, started again whenever it ends."""

    def __init__(self, name: str, stage: str, log: Path, environ: dict[str, str], on_end: Callable[[Part, int], None]):
        self.name = name
        self.stage = stage
        self.log = log
        #: Failpoint of the next start only.
        self.failpoint = ""
        self._environ = environ
        self._on_end = on_end
        self._child: Child | None = None
        self._task = asyncio.create_task(self._keep(), name=name)

    @property
    def pid(self) -> int:
        assert self._child is not None, f"{self.name} was not started yet"
        return self._child.pid

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()

    def signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.exit_code() is None:
            os.kill(self._child.pid, number)

    async def stop(self) -> int | None:
        """Stop cleanly, as a supervisor does; return the exit code."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._child is None:
            return None
        self.signal(signal.SIGCONT)
        return await asyncio.to_thread(self._child.stop, 20.0)

    async def _keep(self) -> None:
        while True:
            failpoint, self.failpoint = self.failpoint, ""
            environ = {**self._environ, "WATCHTIME_FAILPOINT": failpoint}
            command = [sys.executable, "-P", "-m", self.stage]
            self._child = Child(Program(name=self.name, command=command, log=self.log, environ=environ))
            while (code := self._child.exit_code()) is None:  # noqa: ASYNC110 - processes have no event
                await asyncio.sleep(0.02)
            self._on_end(self, code)
            await asyncio.sleep(AGAIN_S)


class World:
    """Broker, S3 server, gateway, workers, and the proxies between them."""

    def __init__(self, folder: Path, cache: Cache, pick: random.Random) -> None:
        self.folder = folder
        self.parts: dict[str, Part] = {}
        #: (monotonic time, name, stage, exit code) of each end.
        self.ends: list[tuple[float, str, str, int]] = []
        self.broker = LocalBroker(folder / "kafka", cache, jvm=QUICK_START)
        self.s3 = LocalS3(folder / "s3", cache)
        inner = {stage: free_port() for stage in _STAGES}
        #: Between each stage and the broker.
        self.kafka_proxies = {stage: Proxy(free_port(), inner[stage]) for stage in _STAGES}
        overrides = self._listeners(inner)
        self.broker.place = dataclasses.replace(self.broker.place, overrides=overrides)
        self.s3_proxy = S3Proxy(free_port(), self.s3.place.port, pick)
        self._gateway_port, self._gateway_metrics_port = free_port(), free_port()
        #: Between clients and the gateway.
        self.gateway_proxy = Proxy(free_port(), self._gateway_port)

    def _listeners(self, inner: dict[str, int]) -> dict[str, str]:
        """Give the broker a listener for each stage, which it advertises as the stage's proxy."""
        place = self.broker.place
        mine = {"CLIENTS": place.port, **{stage.upper(): inner[stage] for stage in _STAGES}}
        told = {"CLIENTS": place.port, **{stage.upper(): self.kafka_proxies[stage].port for stage in _STAGES}}
        listeners = [f"{name}://{LOOPBACK}:{port}" for name, port in mine.items()]
        return {
            "listeners": ",".join([*listeners, f"CONTROLLER://{LOOPBACK}:{place.controller_port}"]),
            "advertised.listeners": ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in told.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (*mine, "CONTROLLER")),
        }

    @property
    def url(self) -> str:
        """Where clients post, through the proxy."""
        return f"http://{LOOPBACK}:{self.gateway_proxy.port}/ingest"

    @property
    def lake(self) -> Lake:
        """The lake, past the proxy."""
        keys = self.s3.keys
        return Lake(
            url=f"s3://{BUCKET}",
            s3_endpoint=self.s3.endpoint,
            access_key=keys.access_key,
            secret_key=keys.secret_key,
        )

    @property
    def proxies(self) -> dict[str, Proxy]:
        """Every proxy by the pair that it stands between."""
        return {
            "client-gateway": self.gateway_proxy,
            **{f"{stage}-kafka": proxy for stage, proxy in self.kafka_proxies.items()},
            "sinks-s3": self.s3_proxy,
        }

    @property
    def endpoints(self) -> dict[str, Any]:
        """What `watchtime` commands need to know about a stack."""
        return {
            "bootstrap_servers": self.broker.bootstrap_servers,
            "s3_endpoint": self.s3.endpoint,
            "access_key": self.s3.keys.access_key,
            "secret_key": self.s3.keys.secret_key,
            "lake": f"s3://{BUCKET}",
            "group": GROUP,
            "client_table": False,
            "pids": {},
        }

    async def start(self, workers: int) -> None:
        """Start all of it, with `workers` stream workers, two sinks workers and a second copy of the sinks."""
        await asyncio.gather(self.broker.start(), self.s3.start(), *(proxy.start() for proxy in self.proxies.values()))
        await provision(self.broker.bootstrap_servers, PARTITIONS, SHARDS, replication=1, client_table=False)
        self.s3.make_bucket(BUCKET)
        (self.folder / "endpoints.json").write_text(json.dumps(self.endpoints))
        self.add("gateway-0", "gateway")
        for number in range(workers):
            self.add(f"streams-{number}", "streams")
        for number in range(2):
            self.add(f"sinks-{number}", "sinks")
        # Files and raw objects are written by two groups at once: each races the other one for every object.
        self.add("sinks-copy", "sinks", WATCHTIME_GROUP=f"{GROUP}-copy")

    def add(self, name: str, stage: str, **more: str) -> Part:
        """Start one more process of a stage."""
        environ = self._environ(name, stage) | more
        part = Part(name, stage, self.folder / "logs" / f"{name}.log", environ, self._ended)
        self.parts[name] = part
        return part

    def _ended(self, part: Part, code: int) -> None:
        self.ends.append((time.monotonic(), part.name, part.stage, code))

    def _environ(self, name: str, stage: str) -> dict[str, str]:
        common = {
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.kafka_proxies[stage].port}",
            "WATCHTIME_GROUP": GROUP,
            "STREAMS_PARTITIONS": str(PARTITIONS),
            "STREAMS_SHARDS": str(SHARDS),
            f"{stage.upper()}_SESSION_TIMEOUT_MS": str(SESSION_MS),
            f"{stage.upper()}_INSTANCE": name,
        }
        if stage == "gateway":
            return common | {
                "GATEWAY_PORT": str(self._gateway_port),
                "GATEWAY_METRICS_PORT": str(self._gateway_metrics_port),
            }
        if stage == "sinks":
            return common | {
                "SINKS_LAKE": f"s3://{BUCKET}",
                "SINKS_S3_ENDPOINT": f"http://{LOOPBACK}:{self.s3_proxy.port}",
                "SINKS_REFRESH_S": "1",
                **aws_environ(self.s3.keys),
            }
        return common

    async def stop(self) -> dict[str, int | None]:
        """Stop everything; return the exit codes of the stages."""
        codes = await asyncio.gather(*(part.stop() for part in self.parts.values()))
        for proxy in self.proxies.values():
            await proxy.stop()
        for server in (self.s3, self.broker):
            if server.is_running:
                await asyncio.to_thread(server.stop)
        return dict(zip(self.parts, codes, strict=True))

    def logs(self, lines: int = 4) -> str:
        """Return the end of each log."""
        return "\n".join(f"--- {name}\n{log_tail(part.log, lines)}" for name, part in self.parts.items())
