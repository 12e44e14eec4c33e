"""The local S3 server: versitygw over a folder, with keys of its own, on loopback only."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.errors import DeployError
from deploy.local.cache import Cache
from deploy.local.config import replace_json
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.probes import listens
from deploy.local.process import Child, Program, log_tail

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "us-east-1"
STOP_GRACE_S: Final = 3.0
READY_TIMEOUT_S: Final = 20.0


class S3Error(DeployError):
    """The local S3 server did not start; the text holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Credentials of one local server."""

    access_key: str
    secret_key: str


@dataclass(frozen=True, kw_only=True)
class S3Place:
    """Where a server runs: its folder, its loopback port and its keys."""

    folder: Path
    port: int
    keys: Keys

    @property
    def endpoint(self) -> str:
        """URL for clients."""
        return f"http://{LOOPBACK}:{self.port}"


def keys_of(folder: Path) -> Keys:
    """Return the keys of a data folder, made at the first call and readable by their owner only."""
    file = folder / "keys.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = {"access_key": f"local-{secrets.token_hex(6)}", "secret_key": secrets.token_urlsafe(30)}
        replace_json(file, made)
    return Keys(**json.loads(file.read_text()))


def program(place: S3Place, cache: Cache, log: Path) -> Program:
    """Return the server as a program; keys go by the environment, where `ps` does not show them."""
    buckets = place.folder / "buckets"
    buckets.mkdir(parents=True, exist_ok=True)
    command = [str(cache.versitygw), "--port", f"{LOOPBACK}:{place.port}", "--region", REGION, "--quiet", "posix"]
    if not _keeps_attributes(buckets):
        sidecar = place.folder / "attributes"
        sidecar.mkdir(exist_ok=True)
        command += ["--sidecar", str(sidecar)]
    environ = {"ROOT_ACCESS_KEY": place.keys.access_key, "ROOT_SECRET_KEY": place.keys.secret_key}
    return Program(name="s3", command=[*command, str(buckets)], log=log, environ=environ)


def client(endpoint: str, keys: Keys) -> S3Client:
    """Return a boto3 client of the server."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        config=Config(connect_timeout=2, read_timeout=10, s3={"addressing_style": "path"}),
    )


def make_bucket(endpoint: str, keys: Keys, bucket: str) -> None:
    """Create the bucket if it is not there."""
    try:
        client(endpoint, keys).create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


async def is_ready(endpoint: str) -> bool:
    """Tell whether the server accepts connections; it does so only when it can serve."""
    parts = urlsplit(endpoint)
    return await listens(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


class LocalS3:
    """An S3 server of one's own, for tests; a stack's server is kept by the supervisor."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.place = S3Place(folder=folder, port=free_port(), keys=keys_of(folder))
        self._cache = cache
        self._child: Child | None = None

    @property
    def endpoint(self) -> str:
        """URL for clients."""
        return self.place.endpoint

    @property
    def keys(self) -> Keys:
        """Credentials for clients."""
        return self.place.keys

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and neither stopped nor killed."""
        return self._child is not None

    async def start(self) -> None:
        """Start and return when ready; on the same port and data after a `stop` or `kill`."""
        out = self.place.folder / "s3.log"
        self._child = Child(program(self.place, self._cache, out))
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not await is_ready(self.endpoint):
                if self._child.exit_code() is not None:
                    raise S3Error(f"the S3 server in {self.place.folder} ended while starting:\n{log_tail(out)}")
                await asyncio.sleep(0.05)

    def make_bucket(self, bucket: str) -> None:
        """Create the bucket if it is not there."""
        make_bucket(self.endpoint, self.keys, bucket)

    def stop(self) -> None:
        """Stop cleanly."""
        self._running().stop(STOP_GRACE_S)
        self._child = None

    def kill(self) -> None:
        """End at once."""
        child = self._running()
        child.kill()
        child.wait(STOP_GRACE_S)
        self._child = None

    def _running(self) -> Child:
        if self._child is None:
            raise S3Error(f"the S3 server in {self.place.folder} is not running; call start() first")
        return self._child


def _keeps_attributes(folder: Path) -> bool:
    """Tell whether the file system holds user attributes, where the server keeps object metadata by default."""
    with tempfile.NamedTemporaryFile(dir=folder.parent) as probe:
        try:
            os.setxattr(probe.name, "user.watchtime", b"1")
        except OSError as error:
            if error.errno in {errno.ENOTSUP, errno.EPERM}:
                return False
            raise
    return True
