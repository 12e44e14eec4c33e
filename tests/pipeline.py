"""The three stages as processes on any cluster, as one would run them without `watchtime up`; the lake is a folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.probes import gateway_ready, metrics_ready
from sinks.lake import Lake
from tests import commands
from tests.faults.world import Part

ROOT = Path(__file__).parents[1]
STAGES = ("gateway", "streams", "sinks")
READY_S = 90.0

Environ = Mapping[str, str]


class Pipeline:
    """Processes of the stages, each started again when it ends; `ends` tells which did."""

    def __init__(self, folder: Path, environ_of: Callable[[str], Environ]) -> None:
        """Prepare; `environ_of` gives the variables of a stage, and those of the `operator`'s commands."""
        self.folder = folder
        self.parts: dict[str, Part] = {}
        #: Name and exit code of each process that ended by itself or was killed.
        self.ends: list[tuple[str, int]] = []
        self._environ_of = environ_of
        self._ready: list[Callable[[], Awaitable[bool]]] = []
        self.gateway_port = free_port()

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return f"http://{LOOPBACK}:{self.gateway_port}"

    @property
    def lake(self) -> Lake:
        """The folder of the files."""
        return Lake(url=(self.folder / "lake").as_uri())

    async def start(self, gateways: int = 1, workers: int = 1, sinks: int = 1) -> None:
        """Start the stages, and return when all are ready; more than one gateway would want the same port."""
        for number in range(gateways):
            self._start(f"gateway-{number}", "gateway")
        for number in range(workers):
            self._start(f"streams-{number}", "streams")
        for number in range(sinks):
            self._start(f"sinks-{number}", "sinks")
        await self.ready()

    async def ready(self) -> None:
        """Return when all stages are ready."""
        deadline = time.monotonic() + READY_S
        for ready in self._ready:
            while not await ready():
                assert time.monotonic() < deadline, self.logs()
                await asyncio.sleep(0.1)

    def _start(self, name: str, stage: str) -> None:
        port = free_port()
        upper = stage.upper()
        environ = {
            "PYTHONPATH": str(ROOT),
            f"{upper}_METRICS_PORT": str(port),
            f"{upper}_SESSION_TIMEOUT_MS": "6000",
            f"{upper}_INSTANCE": name,
            **self._environ_of(stage),
        }
        if stage == "gateway":
            environ["GATEWAY_PORT"] = str(self.gateway_port)
            self._ready.append(lambda: gateway_ready(self.gateway_port))
        else:
            self._ready.append(lambda: metrics_ready(port, stage))
        if stage == "sinks":
            (self.folder / "lake").mkdir(exist_ok=True)
            environ |= {"SINKS_LAKE": self.lake.url, "SINKS_REFRESH_S": "1"}
        log = self.folder / "logs" / f"{name}.log"
        self.parts[name] = Part(name, stage, log, environ, lambda part, code: self.ends.append((part.name, code)))

    async def watchtime(self, *arguments: str, check: bool = True, timeout_s: float = 150) -> str:
        """Run a `watchtime` command as the operator; return what it printed."""
        return await asyncio.to_thread(self._run, arguments, check, timeout_s)

    def _run(self, arguments: tuple[str, ...], check: bool, timeout_s: float) -> str:  # noqa: FBT001 - of a private method
        environ = {"SINKS_LAKE": self.lake.url, "PYTHONPATH": str(ROOT), **self._environ_of("operator")}
        line = [arguments[0], "--data-dir", str(self.folder / "data"), *arguments[1:]]
        done = commands.run(line, {**os.environ, **environ}, timeout_s)
        if check and done.returncode:
            pytest.fail(f"watchtime {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}{self.logs()}")
        return done.stdout if check else done.stdout + done.stderr

    async def stop(self) -> dict[str, int | None]:
        """Stop the stages; return their exit codes."""
        codes = await asyncio.gather(*(part.stop() for part in self.parts.values()))
        return dict(zip(self.parts, codes, strict=True))

    def logs(self, lines: int = 6) -> str:
        """Return the end of each log."""
        texts = [(name, part.log.read_text(errors="replace")) for name, part in self.parts.items() if part.log.exists()]
        return "".join(f"\n--- {name}\n" + "\n".join(text.splitlines()[-lines:]) for name, text in texts)
