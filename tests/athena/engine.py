"""Trino, the engine that Athena runs on, over a local S3 server: started from its unpacked tarball, asked over HTTP."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from deploy.errors import DeployError
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.s3 import Keys

#: The newest version that Maven serves whole.
VERSION: Final = "476"
JAVA_VERSION: Final = 24
READY_TIMEOUT_S: Final = 240.0
STOP_GRACE_S: Final = 20.0
#: Where Java is looked for, beside JAVA_HOME and WATCHTIME_TRINO_JAVA_HOME.
JAVA_FOLDERS: Final = ("/usr/lib/jvm", "/opt/java", "/opt/hostedtoolcache/Java_Temurin-Hotspot_jdk")
_JVM: Final = """-server
-Xmx1500M
-XX:+UseSerialGC
-XX:+ExitOnOutOfMemoryError
-XX:ReservedCodeCacheSize=256M
-Djdk.attach.allowAttachSelf=true
-Dfile.encoding=UTF-8
--enable-native-access=ALL-UNNAMED
--sun-misc-unsafe-memory-access=allow
"""


class EngineError(DeployError):
    """Trino is not here, did not start, or refused a statement."""


def home(cache: Cache) -> Path:
    """Return the folder of the unpacked server."""
    return cache.folder / "trino" / VERSION


def fetch(cache: Cache) -> Path:
    """Bring the server into the cache by Maven, unless it is there: 820 MB, of which 400 MB stay."""
    target = home(cache)
    if target.exists():
        return target
    cache.folder.mkdir(parents=True, exist_ok=True)
    # A lock of its own: this download is long, and a stack that starts meanwhile must not wait for it.
    with (cache.folder / ".trino-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _fetch(target, cache.folder)
    return target


def _fetch(target: Path, folder: Path) -> None:
    artifact = f"io.trino:trino-server:{VERSION}:tar.gz"
    with tempfile.TemporaryDirectory(prefix="trino-partial-", dir=folder) as name:
        partial = Path(name)
        command = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={partial}"]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - a fixed command
            raise EngineError(f"`{' '.join(command)}` failed; is Maven installed, and a repository within reach?")
        # The whole archive is unpacked before anything is left out: some files are links to others of it.
        with tarfile.open(partial / f"trino-server-{VERSION}.tar.gz") as archive:
            archive.extractall(partial / "all", filter="tar")
        unpacked = partial / "all" / f"trino-server-{VERSION}"
        for plugin in (unpacked / "plugin").iterdir():
            if plugin.name != "hive":
                shutil.rmtree(plugin)
        target.parent.mkdir(parents=True, exist_ok=True)
        unpacked.replace(target)


def java_home() -> Path | None:
    """Return a Java machine that is new enough for Trino."""
    named = [os.environ[name] for name in ("WATCHTIME_TRINO_JAVA_HOME", "JAVA_HOME") if os.environ.get(name)]
    found = [Path(name) for name in named]
    for folder in JAVA_FOLDERS:
        found += sorted(Path(folder).glob("*"), reverse=True) + sorted(Path(folder).glob("*/x64"), reverse=True)
    return next((path for path in found if _java_version(path) >= JAVA_VERSION), None)


def _java_version(path: Path) -> int:
    try:
        text = (path / "release").read_text()
    except OSError:
        return 0
    match = re.search(r'^JAVA_VERSION="(\d+)', text, re.MULTILINE)
    return int(match[1]) if match else 0


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a statement returned."""

    names: list[str]
    types: list[str]
    rows: list[list[Any]]
    #: Bytes that came from the store; 0 for statements that read nothing.
    scanned_bytes: int


@dataclass(kw_only=True)
class Engine:
    """A running Trino with one catalog, `hive`, over one bucket."""

    folder: Path
    s3_endpoint: str
    keys: Keys
    bucket: str
    port: int = field(default_factory=free_port)
    schema: str = "default"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self, server: Path, java: Path) -> None:
        """Start, and return when a query over a table has been answered."""
        etc = self._write_settings(server)
        environ = {
            **os.environ,
            "JAVA_HOME": str(java),
            "PATH": f"{java / 'bin'}:{os.environ['PATH']}",
            "S3_ACCESS_KEY": self.keys.access_key,
            "S3_SECRET_KEY": self.keys.secret_key,
        }
        command = [str(server / "bin" / "launcher"), "-etc-dir", str(etc), "run"]
        log = (self.folder / "trino.log").open("wb")
        self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        log.close()
        self._await_ready()

    def _write_settings(self, server: Path) -> Path:
        etc = self.folder / "etc"
        (etc / "catalog").mkdir(parents=True)
        (self.folder / "plugin").mkdir()
        (self.folder / "plugin" / "hive").symlink_to(server / "plugin" / "hive")
        (etc / "jvm.config").write_text(_JVM)
        files = {
            "node.properties": f"node.environment=local\nnode.id=local-1\nnode.data-dir={self.folder / 'data'}\n"
            f"node.internal-address={LOOPBACK}\n",
            "config.properties": "coordinator=true\nnode-scheduler.include-coordinator=true\n"
            f"http-server.http.port={self.port}\ndiscovery.uri={self.url}\ncatalog.management=static\n"
            "query.max-memory-per-node=512MB\nquery.max-memory=512MB\nmemory.heap-headroom-per-node=256MB\n"
            f"plugin.dir={self.folder / 'plugin'}\n",
            "catalog/hive.properties": "connector.name=hive\nhive.metastore=file\n"
            f"hive.metastore.catalog.dir=s3://{self.bucket}/_metastore\nhive.metastore.user=local\n"
            f"fs.native-s3.enabled=true\ns3.endpoint={self.s3_endpoint}\ns3.region=us-east-1\n"
            "s3.path-style-access=true\ns3.aws-access-key=${ENV:S3_ACCESS_KEY}\n"
            "s3.aws-secret-key=${ENV:S3_SECRET_KEY}\nhive.non-managed-table-writes-enabled=false\n"
            "hive.parquet.use-column-names=true\nhive.storage-format=PARQUET\n",
        }
        for name, text in files.items():
            (etc / name).write_text(text)
        return etc

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join((self.folder / "trino.log").read_text(errors="replace").splitlines()[-15:])
                raise EngineError(f"Trino in {self.folder} did not become ready:\n{tail}")
            # The server says that it has started before its one worker takes queries: only a query tells.
            with contextlib.suppress(OSError, EngineError, json.JSONDecodeError):
                self.ask("SELECT count(*) FROM system.runtime.nodes WHERE state = 'active' HAVING count(*) > 0")
                self.ask("CREATE SCHEMA IF NOT EXISTS hive.default")
                return
            time.sleep(0.3)

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def ask(self, statement: str) -> Result:
        """Run one statement to its end."""
        headers = {"X-Trino-User": "local", "X-Trino-Catalog": "hive", "X-Trino-Schema": self.schema}
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/v1/statement", statement.encode(), {**headers, "X-Trino-Time-Zone": "UTC"}
        )
        rows: list[list[Any]] = []
        columns: list[dict[str, Any]] = []
        for page in _pages(request):
            if error := page.get("error"):
                raise EngineError(f"{error['errorName']}: {error['message']}")
            rows += page.get("data") or []
            columns = page.get("columns") or columns
            stats = page["stats"]
        return Result(
            names=[column["name"] for column in columns],
            types=[column["type"] for column in columns],
            rows=rows,
            scanned_bytes=stats.get("physicalInputBytes", 0),
        )


def _pages(request: urllib.request.Request) -> Iterator[dict[str, Any]]:
    """Follow a statement's answer from page to page."""
    following: urllib.request.Request | str | None = request
    while following:
        with urllib.request.urlopen(following, timeout=120) as answer:  # noqa: S310 - loopback
            page: dict[str, Any] = json.load(answer)
        yield page
        following = page.get("nextUri")


if __name__ == "__main__":
    fetch(Cache.from_env(os.environ))
