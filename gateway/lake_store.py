"""The lake's objects for the page: which days there are, and a day's files brought to this machine. Blocking.

The page only reads; credentials come from boto3's own settings and need no more than list and get below `analytics/`.
"""

from __future__ import annotations

import re
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

_DAY = re.compile(r"dt=(\d{4}-\d{2}-\d{2})")
_FILE = re.compile(r"(?:data|part-\d{5}-of-\d{5})\.(?:parquet|jsonl)")
_TIMEOUT_S: Final = 10
_PIECE_BYTES: Final = 1024 * 1024


class LakeError(Exception):
    """The lake cannot be read; the text says where and why."""


class LakeStore(Protocol):
    """Where daily files are. Methods raise LakeError."""

    def days(self, table: str) -> list[str]:
        """Return the days of a table."""

    def fetch(self, table: str, dt: str, folder: Path) -> list[tuple[str, Path]]:
        """Bring a day's files into a folder; return their names and paths, none when there are none."""


def open_lake(url: str, endpoint: str) -> LakeStore:
    """Return the lake at `s3://bucket[/prefix]` or `file:///folder`; LakeError when boto3 cannot use its settings."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return FolderLake(Path(urllib.parse.unquote(parts.path)))
    return BucketLake(parts.netloc, parts.path.strip("/"), endpoint)


class FolderLake:
    """A lake in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "analytics"

    def days(self, table: str) -> list[str]:
        """Return the days of a table."""
        try:
            return [found[1] for path in (self._folder / table).iterdir() if (found := _DAY.fullmatch(path.name))]
        except FileNotFoundError:
            return []  # nothing was written yet
        except OSError as error:
            raise LakeError(f"{self._folder}: {error}") from error

    def fetch(self, table: str, dt: str, folder: Path) -> list[tuple[str, Path]]:
        """Copy a day's files: the sinks may replace them while they are read."""
        here = self._folder / table / f"dt={dt}"
        try:
            found = sorted(path for path in here.iterdir() if _FILE.fullmatch(path.name))
            return [(path.name, Path(shutil.copyfile(path, folder / f"{table}-{path.name}"))) for path in found]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LakeError(f"{here}: {error}") from error


class BucketLake:
    """A lake in an S3 bucket."""

    def __init__(self, bucket: str, prefix: str, endpoint: str) -> None:
        # Here and not above: they take 60 MiB and half a second, which only a gateway pays that shows old days.
        import boto3  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        self._errors = (BotoCoreError, ClientError, OSError)
        self._bucket = bucket
        self._prefix = f"{prefix}/analytics/" if prefix else "analytics/"
        self._where = f"s3://{bucket}/{self._prefix}" + (f" at {endpoint}" if endpoint else "")
        config = Config(
            connect_timeout=_TIMEOUT_S,
            read_timeout=_TIMEOUT_S,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"} if endpoint else {},
        )
        try:
            self._client = boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=config)
        except (ValueError, BotoCoreError) as error:  # an endpoint that is no URL, a profile that is not there
            raise self._error(error) from error

    def days(self, table: str) -> list[str]:
        """Return the days of a table."""
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{table}/", Delimiter="/"
            )
            folders = [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())]
        except self._errors as error:
            raise self._error(error) from error
        names = [folder.rstrip("/").rpartition("/")[2] for folder in folders]
        return [found[1] for name in names if (found := _DAY.fullmatch(name))]

    def fetch(self, table: str, dt: str, folder: Path) -> list[tuple[str, Path]]:
        """Download a day's files."""
        try:
            return list(self._downloaded(table, dt, folder))
        except self._errors as error:
            raise self._error(error) from error

    def _downloaded(self, table: str, dt: str, folder: Path) -> Iterator[tuple[str, Path]]:
        prefix = f"{self._prefix}{table}/dt={dt}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", ())]:
            name = key.removeprefix(prefix)
            if not _FILE.fullmatch(name):
                continue
            path = folder / f"{table}-{name}"
            with path.open("wb") as out:
                for piece in self._client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_PIECE_BYTES):
                    out.write(piece)
            yield name, path

    def _error(self, error: BaseException) -> LakeError:
        return LakeError(f"{self._where}: {error}")
