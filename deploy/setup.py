"""`python -m deploy.setup`: topics and bucket of a stack whose servers others start, as in containers.

It waits for the broker and the store, makes what is missing and checks what is there; doing it again changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from deploy.errors import DeployError
from deploy.local import broker, s3
from streams.brokers import Brokers
from streams.groundwork import lay
from streams.provision import ProvisionError
from streams.settings import Settings
from streams.variables import SettingsError, text

WAIT_S: Final = 90.0
_BETWEEN_S: Final = 0.5
_URL: Final = re.compile(r"https?://[^/:]+(:\d{1,5})?/?")


class SetupError(DeployError):
    """A server did not come, or what it holds does not fit this stack; the text says which and why."""


async def set_up(environ: Mapping[str, str]) -> None:
    """Make topics and bucket; return when both are there."""
    try:
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(_topics(environ), _bucket(environ))
    except TimeoutError:
        raise SetupError(
            f"after {WAIT_S:.0f} s no broker lets us in at {Brokers.from_env(environ)} (KAFKA_BOOTSTRAP_SERVERS, "
            f"KAFKA_SECURITY_PROTOCOL …), or no store answers at {text(environ, 'SINKS_S3_ENDPOINT', 'AWS')}"
        ) from None


async def _topics(environ: Mapping[str, str]) -> None:
    try:
        settings = Settings.from_env(environ)
        while not await broker.is_ready(settings.brokers):  # noqa: ASYNC110 - another process
            await asyncio.sleep(_BETWEEN_S)
        await lay(settings)
    except (ProvisionError, SettingsError) as error:
        raise SetupError(str(error)) from error
    _say("topics are there")


async def _bucket(environ: Mapping[str, str]) -> None:
    """Make the bucket on a store of our own; on AWS it is made with its rules beforehand, and a folder needs none."""
    scheme, _, rest = text(environ, "SINKS_LAKE").partition("://")
    bucket, endpoint = rest.partition("/")[0], text(environ, "SINKS_S3_ENDPOINT")
    if scheme != "s3" or not endpoint:
        return
    if not _URL.fullmatch(endpoint):
        raise SetupError(f"SINKS_S3_ENDPOINT is {endpoint!r}: give http://host:port or https://host")
    keys = s3.Keys(
        access_key=environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )
    while not await s3.is_ready(endpoint):  # noqa: ASYNC110 - another process
        await asyncio.sleep(_BETWEEN_S)
    try:
        await asyncio.to_thread(s3.make_bucket, endpoint, keys, bucket)
    except (BotoCoreError, ClientError) as error:
        raise SetupError(f"bucket {bucket} was not made at {endpoint}: {error}") from error
    _say(f"bucket {bucket} is there")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Set up; return the exit code."""
    try:
        asyncio.run(set_up(os.environ))
    except DeployError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
