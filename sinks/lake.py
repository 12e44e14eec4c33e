"""Where the lake of a stack is: as its data folder says, or, without one, as the stages' variables say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import orjson
from botocore.exceptions import BotoCoreError

from sinks.patience import PatientReads
from sinks.store import Store, open_store
from streams.variables import text


class NoStackError(Exception):
    """Neither a data folder nor variables say where a stack is."""


@dataclass(frozen=True, kw_only=True)
class Lake:
    """Address and credentials of a lake."""

    #: s3://bucket[/prefix] or file:///folder.
    url: str
    #: URL of the S3 server; empty: AWS.
    s3_endpoint: str = ""
    #: Empty: as boto3 finds them.
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    region: str = "us-east-1"

    def store(self) -> Store:
        """Open the lake for a command; NoStackError when its URL or its endpoint is none."""
        session = None
        try:
            if self.access_key:
                session = boto3.session.Session(
                    aws_access_key_id=self.access_key,
                    aws_secret_access_key=self.secret_key,
                    region_name=self.region,
                )
            return PatientReads(open_store(self.url, self.s3_endpoint, session))
        except (BotoCoreError, ValueError) as error:
            raise NoStackError(str(error)) from error


def endpoints(data_dir: Path) -> dict[str, Any] | None:
    """Return what a stack's data folder says about its addresses; None when no stack was started there."""
    try:
        found: dict[str, Any] = orjson.loads((data_dir / "endpoints.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def lake_of(data_dir: Path, environ: Mapping[str, str]) -> Lake:
    """Return the lake of the stack in a data folder, or of the variables SINKS_LAKE and SINKS_S3_ENDPOINT."""
    region = text(environ, "AWS_REGION") or text(environ, "AWS_DEFAULT_REGION", "us-east-1")
    found = endpoints(data_dir)
    if found is not None:
        return Lake(
            url=found["lake"],
            s3_endpoint=found.get("s3_endpoint") or "",
            access_key=found.get("access_key") or "",
            secret_key=found.get("secret_key") or "",
            region=region,
        )
    if not text(environ, "SINKS_LAKE"):
        raise NoStackError(
            f"no {data_dir / 'endpoints.json'} and no SINKS_LAKE: start a stack with `watchtime up`, "
            "name its --data-dir, or set SINKS_LAKE to s3://bucket or file:///folder",
        )
    return Lake(
        url=text(environ, "SINKS_LAKE"),
        s3_endpoint=text(environ, "SINKS_S3_ENDPOINT"),
        access_key=environ.get("AWS_ACCESS_KEY_ID", "") if not environ.get("AWS_SESSION_TOKEN") else "",
        secret_key=environ.get("AWS_SECRET_ACCESS_KEY", "") if not environ.get("AWS_SESSION_TOKEN") else "",
        region=region,
    )
