"""The stack of docker-compose.yml as a test's own project: its own name, ports and volumes, on an engine that runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import docker
import pytest
from docker.models.containers import Container

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.s3 import Keys
from sinks.lake import Lake
from tests.compose.engine import Engine

ROOT: Final = Path(__file__).parents[2]
BUCKET: Final = "watchtime"
KEYS: Final = Keys(access_key="compose-test", secret_key="compose-test-secret")  # noqa: S106 - of a store of this test
READY_TIMEOUT_S: Final = 240.0
_PORTS: Final = ("GATEWAY_PORT", "KAFKA_PORT", "S3_PORT", "TRINO_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


def _free_ports() -> dict[str, int]:
    return {name: free_port() for name in _PORTS}


@dataclass(kw_only=True)
class Composed:
    """A project; every call of Compose speaks of it."""

    program: Path
    engine: Engine
    name: str
    #: Compose files, in the order in which they are laid over each other.
    files: Sequence[Path]
    ports: Mapping[str, int] = field(default_factory=_free_ports)
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What Compose is told; the rest is in .env, as for anybody."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DOCKER_HOST": self.engine.host,
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": ":".join(str(file) for file in self.files),
            "COMPOSE_PROGRESS": "plain",
            # An engine of ours has no way out but the machine's own network.
            "BUILD_NETWORK": "host" if self.engine.own else "default",
            "SINKS_REFRESH_S": "1",
            "AWS_ACCESS_KEY_ID": KEYS.access_key,
            "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
            **{name: str(port) for name, port in self.ports.items()},
            **self.more,
        }

    @property
    def gateway(self) -> str:
        """URL of the gateway on this machine."""
        return f"http://{LOOPBACK}:{self.ports['GATEWAY_PORT']}"

    @property
    def lake(self) -> Lake:
        """The lake, by the store's port on this machine."""
        return Lake(
            url=f"s3://{BUCKET}",
            s3_endpoint=f"http://{LOOPBACK}:{self.ports['S3_PORT']}",
            access_key=KEYS.access_key,
            secret_key=KEYS.secret_key,
        )

    def run(self, *arguments: str, timeout_s: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of Compose; with `check`, a failure fails the test with its words."""
        done = subprocess.run(  # noqa: S603 - our own file
            [str(self.program), *arguments],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if check and done.returncode:
            pytest.fail(
                f"compose {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-6000:]}{self.logs()}"
            )
        return done

    def up(self, *arguments: str) -> float:
        """Start, wait until every service is healthy, and return the seconds that it took."""
        began = time.monotonic()
        # The one-shot services end well, which Compose's own --wait takes for a failure.
        self.run("up", "--detach", "--quiet-pull", *arguments, timeout_s=READY_TIMEOUT_S)
        self.wait_until(self.healthy, "every container is healthy")
        return time.monotonic() - began

    def down(self, *arguments: str) -> None:
        """Stop and remove containers; volumes stay unless told otherwise."""
        self.run("--profile", "*", "down", "--remove-orphans", *arguments, timeout_s=120)

    def containers(self, service: str = "", *, all_: bool = False) -> list[Container]:
        """Return the containers of a service, or of all; ended ones with `all_`."""
        labels = [f"com.docker.compose.project={self.name}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        return self.client().containers.list(all=all_, filters={"label": labels})

    def client(self) -> docker.DockerClient:
        """Return a client of the engine."""
        return self.engine.client()

    def healthy(self, service: str = "", count: int | None = None) -> bool:
        """Tell whether the containers (of a service: so many of them) that check themselves are healthy."""
        found = [container.attrs["State"] for container in self.containers(service)]
        checked = [state["Health"]["Status"] for state in found if "Health" in state]
        return bool(checked) and set(checked) == {"healthy"} and (count is None or len(checked) == count)

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for a condition; say what it was when it does not come."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline:
                pytest.fail(f"after {READY_TIMEOUT_S} s it is not so that {what}:\n{self.states()}{self.logs()}")
            time.sleep(0.5)

    def crash(self, service: str) -> None:
        """Kill the process of one container of a service, and wait until another one is healthy in its place."""
        container = self.containers(service)[0]
        before = container.attrs["State"]["Pid"]
        if self.engine.own:
            os.kill(before, signal.SIGKILL)
        else:
            # The engine takes this for a wish and does not restart it.
            container.kill()
            container.start()

        def is_back() -> bool:
            container.reload()
            state = container.attrs["State"]
            return state["Pid"] not in {0, before} and state["Health"]["Status"] == "healthy"

        self.wait_until(is_back, f"{service} is healthy again")

    def watchtime(
        self, *arguments: str, check: bool = True, timeout_s: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run `watchtime` in a container of the sinks, as the README says."""
        return self.run("exec", "-T", "sinks", "watchtime", *arguments, check=check, timeout_s=timeout_s)

    def reconcile(self, first: str, last: str) -> dict[str, Any]:
        """Return what `watchtime reconcile` finds in a range of days, with the exit code as `exit`."""
        done = self.watchtime("reconcile", "--from", first, "--to", last, "--wait", "120", "--json", check=False)
        finding: dict[str, Any] = json.loads(done.stdout or "{}")
        return {**finding, "exit": done.returncode, "said": done.stderr[-2000:]}

    def states(self) -> str:
        """Return a line for each container."""
        return "".join(
            f"{one.name} {one.status} {one.attrs['State'].get('Health', {}).get('Status', '')}\n"
            for one in self.containers(all_=True)
        )

    def logs(self) -> str:
        """Return the ends of the logs, for a failing test's message."""
        ends = [f"\n--- {one.name}\n{one.logs(tail=12).decode(errors='replace')}" for one in self.containers(all_=True)]
        return "".join(ends)
