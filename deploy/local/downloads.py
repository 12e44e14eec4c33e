"""Fetches what the local stack runs on: Kafka's jars by Maven, the S3 server by Go.

Each download is made in a temporary folder inside the cache and renamed into place, under the cache's lock. So a
half-finished earlier try is never mistaken for a whole one, and two runs at once fetch once.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.errors import DeployError
from deploy.local.broker import BrokerError, LocalBroker
from deploy.local.cache import POM, VERSITYGW_MODULE, VERSITYGW_VERSION, Cache

#: Called with a short line about what is being done right now.
Report = Callable[[str], None]
#: Lines of a failed tool that go into the error's text.
TAIL_LINES: Final = 12
ARCHIVE_TIMEOUT_S: Final = 60.0


class DownloadError(DeployError):
    """A download failed; the text holds the end of the tool's own output."""


def fetch(cache: Cache, report: Report) -> None:
    """Bring whatever is missing into the cache; return at once when nothing is."""
    if not cache.missing():
        return
    with cache.locked(lambda: report("waiting for another download to end")):
        _sweep(cache)
        if not cache.kafka_libs.exists():
            _fetch_kafka(cache, report)
        if not cache.versitygw.exists():
            _fetch_versitygw(cache, report)


def _fetch_kafka(cache: Cache, report: Report) -> None:
    title = f"Apache Kafka {cache.kafka_version}"
    report(title)
    target = cache.kafka_libs
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache.folder))
    command = ["mvn", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    chosen = [f"-Dkafka.version={cache.kafka_version}", f"-DoutputDirectory={partial / 'libs'}"]
    _run([*command, *chosen], {}, title, report)
    if not any(partial.glob("libs/kafka_*.jar")):
        raise DownloadError(f"Maven ended well but left no Kafka jar in {partial / 'libs'}; remove ~/.m2 and try again")
    (partial / "libs").replace(target)
    report(f"{title}: preparing quick starts")
    try:
        asyncio.run(_archive_classes(cache, partial))
    except (BrokerError, OSError) as error:
        # Only speed is lost; some Java machines cannot archive classes.
        report(f"{title}: starts will be slower, {error}")
    shutil.rmtree(partial)


async def _archive_classes(cache: Cache, partial: Path) -> None:
    """Start and stop a broker, having Java write down the classes that it loaded."""
    archive = partial / "classes.jsa"
    broker = LocalBroker(partial / "broker", cache, jvm=[f"-XX:ArchiveClassesAtExit={archive}"])
    await broker.start()
    # Java writes the archive on its way out.
    broker.stop(grace_s=ARCHIVE_TIMEOUT_S)
    if archive.exists():
        archive.replace(cache.kafka_classes)


def _fetch_versitygw(cache: Cache, report: Report) -> None:
    title = f"versitygw {VERSITYGW_VERSION}"
    report(title)
    target = cache.versitygw
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache.folder))
    _run(["go", "install", f"{VERSITYGW_MODULE}@{VERSITYGW_VERSION}"], {"GOBIN": str(partial)}, title, report)
    (partial / "versitygw").replace(target)
    partial.rmdir()


def _sweep(cache: Cache) -> None:
    """Remove what an interrupted try left; only called under the lock, so nobody is writing there."""
    for leftover in cache.folder.glob("partial-*"):
        shutil.rmtree(leftover)


def _run(command: list[str], environ: Mapping[str, str], title: str, report: Report) -> None:
    """Run a tool, passing its lines on as they come; raise with its last lines when it fails."""
    lines: list[str] = []
    # Beside this Python: Go may have come as a wheel.
    beside = str(Path(sys.executable).parent)
    program = shutil.which(command[0]) or shutil.which(command[0], path=beside)
    if program is None:
        raise DownloadError(f"{title} needs {command[0]}, which is not installed: see `watchtime doctor`")
    process = subprocess.Popen(  # noqa: S603 - fixed commands
        [program, *command[1:]],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            del lines[:-TAIL_LINES]
            report(f"{title}: {_short(lines[-1])}")
    if process.returncode:
        tail = "\n".join(lines)
        raise DownloadError(f"{title}: `{' '.join(command)}` ended with {process.returncode}:\n{tail}")


def _short(line: str) -> str:
    """Return the end of a tool's line: file names stand there, and progress lines must fit a terminal."""
    words = line.removeprefix("[INFO] ").strip()
    return words.rsplit("/", 1)[-1][:60] if "://" in words else words[:60]
