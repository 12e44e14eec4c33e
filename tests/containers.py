"""Broker and S3 server in containers, by testcontainers, in the place of the embedded ones.

They take the machine's own network and a folder of it, so that addresses, ports, data and process ids are what tests
of the embedded servers expect. A container lives from start to stop or kill; the data outlive it in the folder.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local import broker, s3
from deploy.local.cache import Cache

#: Images, by variables; by default those that the compose stack builds.
KAFKA_IMAGE: Final = "watchtime/kafka:4.3.1"
S3_IMAGE: Final = "watchtime/versitygw:v1.8.0"
#: Without the archive of classes that the embedded broker has, a start takes its time on a busy machine.
READY_TIMEOUT_S: Final = 180.0
_LOGGING: Final = Path(__file__).parents[1] / "deploy/images/kafka/log4j2.properties"

# The helper that removes what a dead run left would have to be pulled.
testcontainers_config.ryuk_disabled = True


class ServersError(Exception):
    """A server in a container did not start; the text holds the end of its log."""


class InImage(Cache):
    """The programs as an image has them."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"))

    @property
    def kafka_libs(self) -> Path:
        return Path("/opt/kafka/libs")

    @property
    def versitygw(self) -> Path:
        return Path("/usr/local/bin/versitygw")


class Running:
    """One container that was started."""

    def __init__(self, image: str, folder: Path, command: list[str], environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._container = (
            DockerContainer(image)
            .with_kwargs(
                network_mode="host", entrypoint=command[0], user=f"{os.getuid()}:{os.getgid()}", working_dir=str(folder)
            )
            .with_command(command[1:])
            .with_volume_mapping(str(folder), str(folder), "rw")
        )
        for name, value in environ.items():
            self._container.with_env(name, value)
        self._container.start()

    @property
    def _state(self) -> dict[str, Any]:
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return wrapped.attrs["State"]

    @property
    def pid(self) -> int:
        """Process id on this machine."""
        return int(self._state["Pid"])

    def check(self) -> None:
        """Raise with the end of the log when the server has ended."""
        if self._state["Status"] != "running":
            out, err = self._container.get_logs()
            raise ServersError(f"the container in {self.folder} ended:\n{(out + err).decode(errors='replace')[-2000:]}")

    def stop(self, grace_s: float) -> None:
        """Stop cleanly, by force after a while, and remove the container."""
        self._container.get_wrapped_container().stop(timeout=int(grace_s))
        self._container.stop()

    def kill(self) -> None:
        """End at once, and remove the container."""
        self._container.get_wrapped_container().kill()
        self._container.stop()


class _InContainer:
    """What both servers do with their container."""

    _container: Running | None = None

    @property
    def pid(self) -> int:
        return self._there().pid

    @property
    def is_running(self) -> bool:
        return self._container is not None

    async def _run(self, container: Callable[[], Running], is_ready: Callable[[], Awaitable[bool]]) -> None:
        """Start a container and return when its server is ready."""
        self._container = await asyncio.to_thread(container)
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not await is_ready():
                await asyncio.to_thread(self._container.check)
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        self._there().kill()
        self._container = None

    def _there(self) -> Running:
        if self._container is None:
            raise ServersError(f"{type(self).__name__} is not running; call start() first")
        return self._container


class ContainerBroker(_InContainer, broker.LocalBroker):
    """A broker in a container; everything else is as with the embedded one."""

    def __init__(self, folder: Path, overrides: Mapping[str, str]) -> None:
        super().__init__(folder, InImage(), overrides=overrides, jvm=broker.QUICK_START)

    async def start(self) -> None:
        folder = self.place.folder
        folder.mkdir(parents=True, exist_ok=True)
        config = "".join(f"{key}={value}\n" for key, value in broker.properties(self.place).items())
        (folder / "server.properties").write_text(config)
        shutil.copy(_LOGGING, folder / "log4j2.properties")
        image = os.environ.get("WATCHTIME_KAFKA_IMAGE", KAFKA_IMAGE)
        await self._run(
            lambda: Running(image, folder, ["sh", "-c", self._script()], {}),
            lambda: broker.is_ready(self.bootstrap_servers),
        )

    def _script(self) -> str:
        """Return a line that formats the data folder when it is new, and becomes the broker."""
        command = broker.program(self.place, InImage(), self.place.folder / "broker.log").command
        java, config = shlex.join(command[:-2]), self.place.folder / "server.properties"
        cluster = secrets.token_urlsafe(16)
        formatting = f"{java} kafka.tools.StorageTool format --cluster-id={cluster} --config {config}"
        return f"test -e {self.place.folder}/data/meta.properties || {formatting} && exec {shlex.join(command)}"

    def stop(self, grace_s: float = broker.STOP_GRACE_S) -> None:
        self._there().stop(grace_s)
        self._container = None


class ContainerS3(_InContainer, s3.LocalS3):
    """An S3 server in a container; everything else is as with the embedded one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, InImage())

    async def start(self) -> None:
        program = s3.program(self.place, InImage(), self.place.folder / "s3.log")
        image = os.environ.get("WATCHTIME_S3_IMAGE", S3_IMAGE)
        await self._run(
            lambda: Running(image, self.place.folder, list(program.command), program.environ or {}),
            lambda: s3.is_ready(self.endpoint),
        )

    def stop(self) -> None:
        self._there().stop(s3.STOP_GRACE_S)
        self._container = None
