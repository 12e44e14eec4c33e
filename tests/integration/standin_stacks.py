"""A supervisor over stand-in programs, as a process of a test."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import control, endpoints
from deploy.local.config import Options
from tests.waiting import until

CHILDREN = ["kafka", "s3", "gateway-0", "streams-0", "sinks-0"]


class StandinStack:
    """A supervisor process over stand-in programs, and what it says."""

    def __init__(self, options: Options) -> None:
        self.data_dir = options.data_dir
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.standins", options.to_json()], stdout=subprocess.PIPE, text=True
        )
        self.messages: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.messages.append(json.loads(line))

    @property
    def pids(self) -> dict[str, int]:
        """The children's process ids as endpoints.json says."""
        return {name: pid for name, pid in endpoints.read(self.data_dir)["pids"].items() if name != "supervisor"}

    def states(self) -> dict[str, str]:
        """Where each child stands."""
        *_, answer = control.ask(self.data_dir, "describe")
        return {child["name"]: child["state"] for child in answer["children"]}

    def await_ready(self) -> StandinStack:
        """Wait until it is ready; fail when it says that it will not be."""
        self.until(lambda: self.said("ready") or self.said("error") or self.process.poll() is not None)
        assert self.said("ready"), self.messages
        return self

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition."""
        until(condition, 15, lambda: str(self.messages))

    def said(self, key: str) -> list[Any]:
        """Return what messages hold under a key."""
        return [message[key] for message in list(self.messages) if key in message]

    def wait(self) -> int:
        """Wait for the end of the supervisor and return its exit code."""
        code = self.process.wait(20)
        self._reader.join()
        return code

    def end(self) -> None:
        """Be gone, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
        if self.process.stdout:
            self.process.stdout.close()


Start = Callable[..., StandinStack]


@pytest.fixture(name="start")
def start_fixture(tmp_path: Path) -> Iterator[Start]:
    stacks: list[StandinStack] = []

    def make(folder: str = "data", **options: Any) -> StandinStack:
        stacks.append(StandinStack(Options(data_dir=tmp_path / folder, **options)))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.end()
