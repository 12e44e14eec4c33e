"""Whole stacks for tests, run by the `watchtime` command as a user would, in temporary folders on free ports."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.local import endpoints
from deploy.local.broker import QUICK_START
from deploy.local.cache import Cache
from deploy.local.ports import free_port
from tests import commands

UP_TIMEOUT_S = 150
DOWN_TIMEOUT_S = 45


class Stack:
    """A stack of this test's own."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self._environ = dict(environ)

    @property
    def endpoints(self) -> dict[str, Any]:
        """The content of endpoints.json as it is now: process ids change when children are restarted."""
        return endpoints.read(self.data_dir)

    @property
    def gateway(self) -> str:
        """URL of the gateway."""
        url: str = self.endpoints["gateway"]
        return url

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by child, `supervisor` among them."""
        pids: dict[str, int] = self.endpoints["pids"]
        return pids

    def watchtime(
        self, command: str, *arguments: str, check: bool = True, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `watchtime COMMAND --data-dir … ARGUMENTS`; with `check`, a failure fails the test with its words."""
        line = [command, "--data-dir", str(self.data_dir), *arguments]
        try:
            done = commands.run(line, {**os.environ, **self._environ}, timeout_s)
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"{late}\n{late.output}{late.stderr}{self.logs()}")
        if check and done.returncode:
            pytest.fail(f"watchtime {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}{self.logs()}")
        return done

    def up(self, *arguments: str) -> None:
        """Start, and return when all is ready."""
        self.watchtime("up", "--detach", *arguments, timeout_s=UP_TIMEOUT_S)

    def down(self, *stages: str) -> None:
        """Stop the stack, or these stages of it."""
        self.watchtime("down", *stages, timeout_s=DOWN_TIMEOUT_S)

    def status(self) -> dict[str, Any]:
        """Return what `watchtime status --json` says."""
        status: dict[str, Any] = json.loads(self.watchtime("status", "--json", check=False).stdout)
        return status

    def post(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Post events; return the gateway's answer."""
        body, kind = json.dumps({"events": events}).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.gateway}/ingest", body, kind)  # noqa: S310 - our own gateway
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the same
            return dict(json.load(answer))

    def logs(self, lines: int = 20) -> str:
        """Return the end of each log, for a failing test's message."""
        files = sorted((self.data_dir / "logs").glob("*.log"))
        ends = {file.name: file.read_text(errors="replace").splitlines()[-lines:] for file in files}
        return "".join(f"\n--- {name}\n" + "\n".join(end) for name, end in ends.items())


StackFactory = Callable[..., Stack]


@contextmanager
def _stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFactory]:
    def make(*arguments: str, environ: Mapping[str, str] | None = None, up: bool = True) -> Stack:
        # Stacks of tests live for seconds: a broker that starts quickly is worth more than one that runs quickly.
        quick = {"KAFKA_OPTS": " ".join(QUICK_START)}
        one = Stack(tmp_path_factory.mktemp("stack"), quick | dict(environ or {}))
        stacks.callback(one.down)
        defaults = [] if "--gateway-port" in arguments else ["--gateway-port", str(free_port())]
        if "--refresh-s" not in arguments:
            defaults += ["--refresh-s", "1"]
        if up:
            one.up(*defaults, *arguments)
        return one

    with ExitStack() as stacks:
        yield make


@pytest.fixture
def stack(
    cache: Cache,  # noqa: ARG001
    java: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StackFactory]:
    """`stack("--workers", "3", environ={"SINKS_FORMAT": "jsonl"})`: a ready stack, taken down after the test.

    Refreshes files every second unless told otherwise. `stack(up=False)` leaves the start to the test.
    """
    with _stacks(tmp_path_factory) as make:
        yield make


@pytest.fixture(scope="module")
def module_stack(
    cache: Cache,  # noqa: ARG001
    java: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StackFactory]:
    """`stack` for stacks that several tests of a module share, one after the other."""
    with _stacks(tmp_path_factory) as make:
        yield make
