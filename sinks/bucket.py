"""The store in an S3 bucket (AWS, versitygw or another that honours If-Match and If-None-Match).

boto3 blocks, so each call runs in a small pool of threads. boto3's own retries are off: a write repeated
behind our back could meet its own first attempt and report a conflict that is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final, NoReturn, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from sinks.store import PreconditionFailed, Stat, StoredObject, StoreRefused, StoreUnavailable

#: Calls in flight; more would only queue up at the store.
POOL_SIZE: Final = 8
CONNECT_TIMEOUT_S: Final = 3
READ_TIMEOUT_S: Final = 10
#: 409: another conditional write of the key is under way (AWS's word for "look again").
_CONFLICTS: Final = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT)
#: Errors that S3 answers with 400 although they pass by themselves.
_PASSING: Final = frozenset({"RequestTimeout", "RequestTimeTooSkewed", "ExpiredToken"})
_COME_BACK: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

T = TypeVar("T")


class BucketStore:
    """Objects of one bucket, all below one prefix ("" for none); credentials come from boto3's own settings.

    ValueError when boto3 cannot use these or the endpoint.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, endpoint: str = "", session: boto3.session.Session | None = None
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._where = f"s3://{bucket}/{self._prefix}" + (f" at {endpoint}" if endpoint else "")
        self._pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="s3")
        config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=POOL_SIZE,
            # Addressing by path needs no wildcard name for a bucket, which local endpoints do not have; without this
            # line the user's own AWS configuration could ask for names.
            s3={"addressing_style": "path"} if endpoint else {},
        )
        try:
            # A session of its own: boto3's default one keeps the first credentials it ever saw.
            own = session or boto3.session.Session()
            self._client = own.client("s3", endpoint_url=endpoint or None, config=config)
        except (BotoCoreError, ValueError) as error:
            raise ValueError(f"{self._where}: {error}; check SINKS_S3_ENDPOINT and boto3's AWS_* variables") from error

    async def get(self, key: str) -> StoredObject | None:
        """Return the object, None when there is none."""

        def call() -> StoredObject:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            body = answer["Body"].read()
            return StoredObject(body=body, stat=_stat(answer))

        return await self._run(f"GET {key}", _none_if_missing(call))

    async def head(self, key: str) -> Stat | None:
        """Return what is known of the object, None when there is none."""

        def call() -> Stat:
            return _stat(self._client.head_object(Bucket=self._bucket, Key=self._prefix + key))

        return await self._run(f"HEAD {key}", _none_if_missing(call))

    async def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""

        def call() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))

        keys = await self._run(f"LIST {prefix}", call)
        return [key.removeprefix(self._prefix) for key in keys]

    async def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, sorted."""

        def call() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix, Delimiter="/"
            )
            return sorted(entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ()))

        found = await self._run(f"LIST {prefix}", call)
        return [folder.removeprefix(self._prefix) for folder in found]

    async def put(self, key: str, body: bytes, metadata: Mapping[str, str], *, etag: str | None) -> str:
        """Write a whole object; PreconditionFailed unless `etag` is there (None: nothing)."""
        condition = {"IfMatch": etag} if etag is not None else {"IfNoneMatch": "*"}

        def call() -> str:
            answer = self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + key,
                Body=body,
                Metadata=dict(metadata),
                **condition,  # type: ignore[arg-type]
            )
            return str(answer["ETag"])

        return await self._run(f"PUT {key}", call)

    async def _run(self, what: str, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, call)
        except ClientError as error:
            self._explain(what, error)
        except (NoCredentialsError, PartialCredentialsError, ParamValidationError) as error:  # waiting is no cure
            raise StoreRefused(f"{what} in {self._where}: {error}; set boto3's AWS_* variables") from error
        except (BotoCoreError, OSError) as error:
            raise StoreUnavailable(f"{what} in {self._where}: {error}") from error

    def _explain(self, what: str, error: ClientError) -> NoReturn:
        status = _status(error)
        code = error.response.get("Error", {}).get("Code", "")
        said = f"{what} in {self._where}: {status} {code}"
        # A conditional write of an object that is gone is answered with 404 NoSuchKey.
        if status in _CONFLICTS or (status == HTTPStatus.NOT_FOUND and code == "NoSuchKey"):
            raise PreconditionFailed(said) from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _COME_BACK or code in _PASSING or not status:
            raise StoreUnavailable(said) from error
        raise StoreRefused(f"{said}; check SINKS_LAKE, SINKS_S3_ENDPOINT and the AWS_* variables") from error


def _none_if_missing(call: Callable[[], T]) -> Callable[[], T | None]:
    def quiet() -> T | None:
        try:
            return call()
        except ClientError as error:
            missing_bucket = error.response.get("Error", {}).get("Code") == "NoSuchBucket"
            if _status(error) == HTTPStatus.NOT_FOUND and not missing_bucket:
                return None
            raise

    return quiet


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _stat(answer: Any) -> Stat:  # noqa: ANN401 -- boto3's answers to GET and HEAD share these fields, not a type
    return Stat(etag=answer["ETag"], metadata=answer["Metadata"])
