"""A container engine for tests: the one that is there, or Docker's own daemon, started by hand with everything apart.

Ours listens on a socket of its own, keeps its images in the cache and touches no firewall rule; it needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker
import docker.errors

from deploy.local.cache import Cache

READY_TIMEOUT_S: Final = 60.0
STOP_GRACE_S: Final = 30.0
SYSTEM_SOCKET: Final = Path("/var/run/docker.sock")
#: Ways to keep layers, the best first; the last works everywhere and is slow.
STORAGE_DRIVERS: Final = ("overlay2", "fuse-overlayfs", "vfs")


class NoEngineError(Exception):
    """Containers cannot run on this machine; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A running engine."""

    host: str
    #: Whether we started it: its processes are ours to kill, and only this machine's network gets out.
    own: bool

    def client(self) -> docker.DockerClient:
        """Return a client of it."""
        return docker.DockerClient(base_url=self.host, timeout=600)


@contextlib.contextmanager
def running(cache: Cache) -> Iterator[Engine]:
    """Yield an engine: the one that DOCKER_HOST or the system's socket leads to, else one of our own."""
    for host in filter(None, [os.environ.get("DOCKER_HOST"), f"unix://{SYSTEM_SOCKET}"]):
        if answers(host):
            yield Engine(host=host, own=False)
            return
    with _own(cache) as engine:
        yield engine


def answers(host: str) -> bool:
    """Tell whether an engine listens there."""
    try:
        client = docker.DockerClient(base_url=host, timeout=10)
    except docker.errors.DockerException:
        return False
    with contextlib.closing(client):
        try:
            return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False


@contextlib.contextmanager
def _own(cache: Cache) -> Iterator[Engine]:
    if os.geteuid() != 0:
        raise NoEngineError("no container engine answers, and only root can start one")
    if shutil.which("dockerd") is None:
        raise NoEngineError("no container engine answers, and there is no dockerd to start (Debian: docker.io)")
    kept = cache.folder / "engine"
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / ".lock").open("w") as lock, tempfile.TemporaryDirectory(prefix="watchtime-engine-") as name:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoEngineError(f"another run uses the images in {kept}") from None
        reasons = []
        for driver in STORAGE_DRIVERS:
            try:
                process = _start(Path(name), kept / "data", driver)
            except NoEngineError as error:
                reasons.append(f"{driver}: {error}")
                continue
            try:
                yield Engine(host=_socket(Path(name)), own=True)
            finally:
                _stop(process)
                _unmount(Path(name))
            return
        raise NoEngineError(f"dockerd does not run here; {'; '.join(reasons)}")


def _socket(folder: Path) -> str:
    return f"unix://{folder / 'docker.sock'}"


def _start(folder: Path, data: Path, driver: str) -> subprocess.Popen[bytes]:
    command = ["dockerd", "--data-root", str(data), "--exec-root", str(folder / "exec"), "--host", _socket(folder)]
    command += ["--pidfile", str(folder / "docker.pid"), "--storage-driver", driver]
    # No rule of the machine's firewall is needed: containers of one network reach each other, ports go through a proxy.
    command += ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
    log = folder / "dockerd.log"
    with log.open("wb") as out:
        # A group of its own: a Ctrl-C at the keyboard stops the test, and the test stops the engine.
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)  # noqa: S603 - fixed
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not answers(_socket(folder)):
        if process.poll() is not None or time.monotonic() > deadline:
            _stop(process)
            lines = log.read_text(errors="replace").splitlines() or ["it said nothing"]
            raise NoEngineError(lines[-1])
        time.sleep(0.2)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the daemon, which stops its containers and its own helper."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _unmount(folder: Path) -> None:
    """Let go of what the daemon has left mounted, as it does when containers were killed; else the folder stays."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if Path(mount).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=True)  # noqa: S603, S607 - found by name as dockerd was
