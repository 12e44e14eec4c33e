"""Where the peers live: an environment for each Python peer, and the Java one built by Maven, all in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.cache import Cache, kafka_version

FOLDER = Path(__file__).parent
#: What is installed for each peer; Faust and the limits run in the project's own environment.
PACKAGES = {
    "bytewax": ("bytewax==0.21.1", "confluent-kafka==2.12.2", "msgspec==0.22.0"),
    "quix": ("quixstreams==3.28.1",),
    "flask": ("flask>=3.1,<4",),
}
INSTALL_WITHIN_S = 600
TAIL_LINES = 3


class PeerMissingError(Exception):
    """A peer cannot be had on this machine; the text says why."""


class Homes:
    """Makes the peers' homes when they are asked for the first time."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._folder = Cache.from_env(os.environ).folder / "bench"
        self._say = say

    def python(self, peer: str) -> str:
        """Return the Python of a peer's environment."""
        packages = PACKAGES[peer]
        home = self._folder / f"{peer}-{_digest(*packages)}"
        if not (home / "complete").exists():
            self._say(f"installing {' '.join(packages)}")
            shutil.rmtree(home, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(home)])
            _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages])
            (home / "complete").touch()
        return str(home / "bin" / "python")

    def java(self) -> list[str]:
        """Return the command that runs a class of the Kafka Streams peer."""
        project = FOLDER / "kafka_streams"
        sources = sorted(project.rglob("*.java"))
        texts = [path.read_text() for path in (project / "pom.xml", *sources)]
        home = self._folder / f"kafka-streams-{_digest(kafka_version(), *texts)}"
        if not (home / "complete").exists():
            self._say(f"building the Kafka Streams {kafka_version()} peer by Maven")
            shutil.rmtree(home, ignore_errors=True)
            options = [
                f"-Dpeer.build={home}",
                f"-Dkafka.version={kafka_version()}",
                f"-DoutputDirectory={home / 'libs'}",
            ]
            goals = ["compile", "dependency:copy-dependencies", "-DincludeScope=runtime"]
            _run(["mvn", "--batch-mode", "--quiet", "--file", str(project / "pom.xml"), *options, *goals])
            (home / "complete").touch()
        return ["java", "-Xmx2g", "-cp", f"{home / 'classes'}:{home / 'libs'}/*"]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:8]


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise PeerMissingError(f"{command[0]} is not installed")
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, text=True, check=False, timeout=INSTALL_WITHIN_S
        )
    except subprocess.TimeoutExpired as error:
        raise PeerMissingError(f"{command[0]} took more than {INSTALL_WITHIN_S} s") from error
    if done.returncode:
        tail = " / ".join((done.stdout + done.stderr).strip().splitlines()[-TAIL_LINES:])
        raise PeerMissingError(f"{' '.join(command[:4])} … failed: {tail}")
