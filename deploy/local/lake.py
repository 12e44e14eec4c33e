"""What was written last into a stack's lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3

from deploy.local.s3 import Keys, client
from sinks.keys import ANALYTICS


@dataclass(frozen=True, kw_only=True)
class LakeFile:
    """A file in the lake: its key, bytes, and time of writing in seconds since the epoch."""

    key: str
    size: int
    written_s: float


def last_file(endpoints: Mapping[str, Any]) -> LakeFile | None:
    """Return the youngest daily file, None when there is none."""
    lake = urlsplit(endpoints["lake"])
    files = _in_folder(Path(unquote(lake.path))) if lake.scheme == "file" else _in_bucket(endpoints, lake.path)
    return max(files, key=lambda file: file.written_s, default=None)


def _in_folder(root: Path) -> Iterator[LakeFile]:
    for path in root.glob(f"{ANALYTICS}*/dt=*/*"):
        stat = path.stat()
        yield LakeFile(key=str(path.relative_to(root)), size=stat.st_size, written_s=stat.st_mtime)


def _in_bucket(endpoints: Mapping[str, Any], path: str) -> Iterator[LakeFile]:
    prefix = f"{path.strip('/')}/".lstrip("/")
    if endpoints["access_key"]:
        store = client(
            endpoints["s3_endpoint"], Keys(access_key=endpoints["access_key"], secret_key=endpoints["secret_key"])
        )
    else:
        # A store outside the stack: its credentials are where boto3 looks for them.
        store = boto3.client("s3", endpoint_url=endpoints["s3_endpoint"] or None)
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=endpoints["bucket"], Prefix=f"{prefix}{ANALYTICS}")
    for page in pages:
        for entry in page.get("Contents", ()):
            if "/dt=" in entry["Key"]:
                yield LakeFile(
                    key=entry["Key"].removeprefix(prefix),
                    size=entry["Size"],
                    written_s=entry["LastModified"].timestamp(),
                )
