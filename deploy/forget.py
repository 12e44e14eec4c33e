"""`watchtime forget --client ID`: erases a client, and says when the topics will have forgotten it too.

Order: a control record makes the stream drop the client's state and rows; when every stage has passed it, rows of
days that no stage holds go, and then the client's lines in the archive are made anonymous. The key of the
replacement ids lies in the data folder until that is done, so that a command that was killed can be run again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import fcntl
import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from deploy.errors import DeployError
from deploy.forget_topics import ControlRecord, bury_old_rows, bury_old_shares, send_control
from deploy.local.config import replace_json
from gateway.lists import revoke
from sinks.anonymise import Anonymiser
from sinks.file_rows import UnreadableFileError
from sinks.forget_raw import Bound, OpenChunkError, RawOutcome, forget_in_raw
from sinks.forget_rows import forget_in_files
from sinks.keys import topic8
from sinks.progress import Report, agreed, reporting
from sinks.rebuild_files import ChangedMeanwhileError
from sinks.reconcile_command import UNTOLD_ERRORS
from sinks.reconcile_day import Stack
from sinks.reconcile_settle import Log, settle
from streams.contract.event import FORGOTTEN_PREFIX
from streams.contract.rows import CLIENT
from streams.contract.topics import COMPACTED_RETENTION_DAYS, EVENTS, PARTIALS, REJECTED, STATE
from streams.topic_id import topic_ids
from streams.variables import switch, text

NOT_WANTED: Final = 1
NOT_FINISHED: Final = 2
_KEY_BYTES: Final = 32
#: Days after which topics hold nothing of before any more.
_FORGOTTEN_AFTER: Final = {
    EVENTS: 14,
    REJECTED: 30,
    f"{STATE}, {PARTIALS} and {CLIENT.topic}": COMPACTED_RETENTION_DAYS,
}
ERRORS: Final = (*UNTOLD_ERRORS, ChangedMeanwhileError, OpenChunkError, UnreadableFileError)


@dataclass(kw_only=True)
class Forgotten:
    """What was done."""

    #: What became of the client's token.
    token: str
    raw: RawOutcome
    #: Rows and shares of days that no stage holds.
    old_rows: int
    files: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--client", required=True, metavar="ID", help="client_id: the install, or the session id")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--wait", type=float, default=120.0, metavar="S", help="seconds to wait for the stages (120)")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Forget a client."""
    client_id: str = args.client
    if not client_id or client_id.startswith(FORGOTTEN_PREFIX):
        raise DeployError(f"{client_id!r} is no client's id")
    if args.json and not args.yes:
        return _refuse(client_id, "nothing was done: with --json nobody is asked, so give --yes", NOT_WANTED)
    if not args.yes and not agreed(
        f"client {client_id!r}: its state and its own rows go, and its events in the archive become anonymous. "
        "This cannot be undone. Go on?"
    ):
        return NOT_WANTED
    try:
        stack = Stack.of(Path(args.data_dir), os.environ)
        with reporting("forget") as report, _alone(Path(args.data_dir)):
            done = asyncio.run(forget(stack, Path(args.data_dir), client_id, args.wait, report))
    except ERRORS as error:
        why = f"{error}\nnot finished: when that is mended, run the same command again, it goes on from here"
        return _refuse(client_id if args.json else None, why, NOT_FINISHED)
    sys.stdout.write(_json(done) if args.json else _render(done))
    return 0


def _refuse(client_id: str | None, why: str, code: int) -> int:
    """Say why a client is not forgotten, for programs too when its id is given; return the exit code."""
    if client_id is not None:
        sys.stdout.write(orjson.dumps({"client": client_id, "error": why}).decode() + "\n")
    sys.stderr.write(f"forget: {why}\n")
    return code


async def forget(stack: Stack, data_dir: Path, client_id: str, wait_s: float, report: Report) -> Forgotten:
    """Erase a client; raises when something was in the way, and can be called again then."""
    topic_id = (await topic_ids(stack.brokers, [EVENTS]))[EVENTS]
    journal = Journal(data_dir, client_id, str(topic_id))
    token = revoke_token(client_id)
    report(token)
    if journal.control is None:
        journal.note(await send_control(stack.brokers, client_id))
    assert journal.control is not None  # noqa: S101 - just noted
    control: ControlRecord = journal.control
    deadline = time.monotonic() + wait_s
    client_table = await _settle(stack, deadline, report)
    report("rows of days that no stage holds")
    old = await bury_old_shares(stack.brokers, client_id, control)
    if old:
        await _settle(stack, deadline, report)
    rows, kept_days = await bury_old_rows(stack.brokers, client_id, summed=client_table)
    if rows:
        await _settle(stack, deadline, report)
    store = stack.lake.store()
    files = await forget_in_files(store, client_id, kept_days, report)
    bound = Bound(topic8=topic8(topic_id), partition=control.partition, offset=control.offset)
    raw = await forget_in_raw(store, Anonymiser(client_id, journal.key), bound, report)
    # What a command that was killed left behind names clients as well.
    for work in ("rebuild", "partials"):
        shutil.rmtree(data_dir / work, ignore_errors=True)
    journal.destroy()
    return Forgotten(token=token, raw=raw, old_rows=old + rows, files=files)


def revoke_token(client_id: str) -> str:
    """Refuse the client's token from now on; an open gateway gives none out. Returns what was done."""
    file = text(os.environ, "GATEWAY_REVOKED_FILE")
    if not file and switch(os.environ, "GATEWAY_AUTH"):
        raise DeployError(
            f"the gateway demands tokens (GATEWAY_AUTH=on), and {client_id}'s would go on being good: set "
            "GATEWAY_REVOKED_FILE to the gateway's own and run this again"
        )
    if not file:
        return "no token revoked: GATEWAY_REVOKED_FILE is not set here (an open gateway gives out no tokens)"
    return f"token {'revoked' if revoke(Path(file), client_id) else 'was revoked before'} in {file}"


async def _settle(stack: Stack, deadline: float, report: Report) -> bool:
    """Wait until every stage has passed what is in the topics now; return whether there is a client table."""
    async with Log(stack.brokers) as log:
        client_table = stack.client_table
        if client_table is None:
            client_table = CLIENT.topic in await log.topics()
        await settle(
            log,
            stack.group,
            deadline,
            lambda group, topic, count: report(f"waiting for {group}: {count:,} records of {topic} to go"),
            client_table=client_table,
        )
    return client_table


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Wait until no other command forgets in this folder: two would make two keys, and two ids of one client."""
    folder = data_dir / "forget"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write("forget: waits for another forget in this folder to end\n")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Journal:
    """What a command that was killed needs to go on: the key of the replacement ids, and the control record."""

    def __init__(self, data_dir: Path, client_id: str, topic_id: str) -> None:
        # The name does not tell the client to those who look at the folder.
        name = hashlib.sha256(f"{topic_id}\0{client_id}".encode()).hexdigest()[:32]
        self._file = data_dir / "forget" / f"{name}.json"
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.control: ControlRecord | None = None
        try:
            told: dict[str, Any] = orjson.loads(self._file.read_bytes())
        except FileNotFoundError:
            self.key = secrets.token_bytes(_KEY_BYTES)
            self._write()
            return
        except orjson.JSONDecodeError as error:
            raise DeployError(
                f"{self._file} is damaged ({error}); it holds the key of an erasure that was begun. Bring it back "
                "from a copy, or remove it and run the same command again: what is anonymised from then on has other "
                "replacement ids than what was before"
            ) from None
        self.key = bytes.fromhex(told["key"])
        if told["control"] is not None:
            self.control = ControlRecord(*told["control"])

    def note(self, control: ControlRecord) -> None:
        """Remember where the control record stands."""
        self.control = control
        self._write()

    def _write(self) -> None:
        control = [self.control.partition, self.control.offset] if self.control else None
        replace_json(self._file, {"key": self.key.hex(), "control": control})

    def destroy(self) -> None:
        """Remove the key."""
        self._file.unlink()


def _json(done: Forgotten) -> str:
    told = {
        "token": done.token,
        "raw_objects_read": done.raw.read,
        "raw_objects_replaced": done.raw.replaced,
        "lines": done.raw.lines,
        "old_rows": done.old_rows,
        "files": done.files,
        "topics_forget_on": _dates(),
    }
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE).decode()


def _render(done: Forgotten) -> str:
    lines = [
        "state and rows of the client are gone; the key of its replacement ids is destroyed",
        done.token,
        f"{done.raw.lines:,} lines in {done.raw.replaced:,} of {done.raw.read:,} raw objects are anonymous now",
        f"{done.old_rows:,} rows of days that no stage holds were removed, {len(done.files):,} files written anew",
        "the topics still hold what was written before; it goes with their retention:",
        *(f"  {topic}: by {day}" for topic, day in _dates().items()),
    ]
    return "\n".join(lines) + "\n"


def _dates() -> dict[str, str]:
    today = datetime.datetime.now(datetime.UTC).date()
    return {topic: (today + datetime.timedelta(days=days)).isoformat() for topic, days in _FORGOTTEN_AFTER.items()}
