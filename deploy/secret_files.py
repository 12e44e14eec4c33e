"""`python -m deploy.secret_files --folder F`: keeps the gateway's files as a secret in AWS Secrets Manager says.

Runs beside each gateway. The gateway reads its files again when they change, so whoever changes the secret changes
who may come in, on every gateway and without a restart. A secret that cannot be read or used changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import boto3
import orjson
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from gateway.keyring import Keyring, KeyringError
from streams.logs import configure_logs

VARIABLE: Final = "WATCHTIME_GATEWAY_SECRET"
#: The files, under the names that the secret has for their texts.
FILES: Final = ("keys", "invites", "revoked", "viewers")
#: A random text that stands in for `keys` until somebody puts keys there.
FIRST_KEY: Final = "first_key"
EVERY_S: Final = 60.0
BAD_SETTINGS: Final = 2

log = structlog.get_logger(__name__)


class SecretError(Exception):
    """The secret holds something that the gateway could not use; the text never quotes it."""


def files_of(secret: str) -> dict[str, str]:
    """Return the text of each file. Pure."""
    try:
        told = orjson.loads(secret)
    except orjson.JSONDecodeError as error:
        raise SecretError("the secret is not JSON") from error
    if not isinstance(told, dict) or not all(isinstance(told.get(name, ""), str) for name in (*FILES, FIRST_KEY)):
        raise SecretError(f"the secret must be a JSON object of texts: {', '.join(FILES)}")
    found = {name: told.get(name, "") for name in FILES}
    if not found["keys"].strip():
        # Letters and digits alone, in fours: base64 as they stand.
        found["keys"] = f"first {told.get(FIRST_KEY, '')}\n"
    try:
        Keyring.parse(found["keys"])
    except KeyringError as error:
        raise SecretError(f"keys: {error}; `python -m gateway.keyring FILE` makes some") from error
    return found


def write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write the files that differ, each at once as a whole; return their names."""
    changed = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text() == text:
            continue
        fresh = folder / f".{name}.new"
        fresh.write_text(text)
        # The gateway is another user of the same task, and nobody else sees the volume.
        fresh.chmod(0o644)
        fresh.replace(path)
        changed.append(name)
    return changed


async def keep(client: Any, secret: str, folder: Path, stop: asyncio.Event, every_s: float = EVERY_S) -> None:  # noqa: ANN401 - boto3 makes its clients' classes when it runs
    """Look at the secret again and again until `stop` is set."""
    while not stop.is_set():
        try:
            answer = await asyncio.to_thread(client.get_secret_value, SecretId=secret)
            changed = write(folder, files_of(answer["SecretString"]))
        except (SecretError, BotoCoreError, ClientError) as error:
            log.error("the secret is not taken, the last good files stay", why=str(error))  # noqa: TRY400 - the sentence says it all
        else:
            if changed:
                log.info("files written", files=changed)
        try:
            async with asyncio.timeout(every_s):
                await stop.wait()
        except TimeoutError:
            continue


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.secret_files", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the gateway looks for its files")
    folder: Path = parser.parse_args(arguments).folder
    configure_logs({})
    secret = environ.get(VARIABLE, "").strip()
    if not secret:
        log.critical("bad settings", why=f"{VARIABLE} is not set: name the secret, by ARN or name")
        return BAD_SETTINGS
    asyncio.run(_serve(boto3.Session().client("secretsmanager"), secret, folder))
    return 0


async def _serve(client: Any, secret: str, folder: Path) -> None:  # noqa: ANN401 - as above
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await keep(client, secret, folder, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
