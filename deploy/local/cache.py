"""Where downloaded programs live on this machine: `~/.cache/watchtime`, or the folder named by WATCHTIME_CACHE.

The broker is of the version that the pom names; WATCHTIME_KAFKA_VERSION asks for another one, to try a stack on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

#: The broker's jars are named by this file, versions included.
POM: Final = Path(__file__).with_name("pom.xml")
VERSITYGW_VERSION: Final = "v1.8.0"
VERSITYGW_MODULE: Final = "github.com/versity/versitygw/cmd/versitygw"


class Cache:
    """Paths inside the cache folder. A path that exists is complete: downloads appear by rename only."""

    def __init__(self, folder: Path, kafka: str = "") -> None:
        self.folder = folder
        self.kafka_version = kafka or kafka_version()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Cache:
        """Return the cache named by WATCHTIME_CACHE, else the one in the home folder."""
        named = environ.get("WATCHTIME_CACHE", "")
        folder = Path(named).expanduser().resolve() if named else Path.home() / ".cache" / "watchtime"
        return cls(folder, environ.get("WATCHTIME_KAFKA_VERSION", "").strip())

    @property
    def kafka_libs(self) -> Path:
        """Folder of the broker's jars."""
        return self.folder / "kafka" / self.kafka_version / "libs"

    @property
    def kafka_classes(self) -> Path:
        """Archive of the broker's loaded classes, which halves the time of a start; may be missing."""
        return self.kafka_libs.with_name("classes.jsa")

    @property
    def versitygw(self) -> Path:
        """The S3 server's program."""
        return self.folder / "versitygw" / VERSITYGW_VERSION / "versitygw"

    def missing(self) -> list[str]:
        """Return the names of the downloads that are not here yet."""
        wanted = {"Apache Kafka": self.kafka_libs, "versitygw": self.versitygw}
        return [name for name, path in wanted.items() if not path.exists()]

    @contextlib.contextmanager
    def locked(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the cache's lock; a second process waits. The lock goes with the process, however it ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def kafka_version() -> str:
    """Return the broker's version as the pom states it."""
    node = ElementTree.parse(POM).find("{*}properties/{*}kafka.version")  # noqa: S314 - our own file
    if node is None or not node.text:
        raise ValueError(f"{POM} has no property kafka.version; restore the file from the repository")
    return node.text
