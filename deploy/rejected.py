"""`watchtime rejected list|show|replay`: what was refused or could not be read, and another try for it.

A replayed event goes through the gateway like any other. It keeps its identity, so that the stream drops it if it
came before; the offsets that were replayed are noted in the data folder as well, and left out the next time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from aiokafka.errors import KafkaError

from athena.output import visible
from deploy.errors import DeployError
from deploy.local import endpoints
from deploy.rejects import MARK, NoEventError, Reject, batches, change, event_of, groups, moment, read
from sinks.progress import agreed
from streams.brokers import Address, Brokers, BrokersError
from streams.contract.topics import REJECTED
from streams.topic_id import TopicIdError, topic_ids

_TRIES: Final = 5
_OK: Final = 200
#: The gateway is busy or has no broker: it takes the same body later.
_LATER: Final = frozenset({429, 503})
_SHOWN_REASONS: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    commands = parser.add_subparsers(dest="do", required=True, metavar="list|show|replay")
    listing = commands.add_parser("list", help="reasons with their counts, then the newest records")
    _pick_arguments(listing)
    listing.add_argument("--limit", type=int, default=20, metavar="N", help="newest records to list (20)")
    listing.add_argument("--json", action="store_true", help="for programs")
    show = commands.add_parser("show", help="one record, whole")
    show.add_argument("offset", type=int, metavar="OFFSET")
    show.add_argument("--json", action="store_true", help="for programs: on one line")
    replay = commands.add_parser("replay", help="post records to the gateway again")
    replay.add_argument("offsets", type=int, nargs="*", metavar="OFFSET", help="these records (default: all picked)")
    _pick_arguments(replay)
    replay.add_argument(
        "--set",
        dest="changes",
        type=_change,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="mend the events: a field and its value as JSON",
    )
    replay.add_argument("--again", action="store_true", help="also those that were replayed before")
    replay.add_argument("--url", metavar="URL", help="the gateway (default: the stack's)")
    replay.add_argument("--yes", action="store_true", help="do not ask")
    replay.add_argument("--json", action="store_true", help="for programs")


def _pick_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", metavar="TEXT", help="only reasons that contain this")
    parser.add_argument("--since", type=_moment, default=0, metavar="WHEN", help="30m, 2h, 7d, or a date or time (UTC)")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        return asyncio.run(_DO[args.do](args))
    except BrokersError as error:
        raise DeployError(str(error)) from error
    except (KafkaError, TopicIdError) as error:
        raise DeployError(f"{REJECTED} at {_brokers(args)} cannot be read: {error!r}") from error


async def _list(args: argparse.Namespace) -> int:
    rejects = await _picked(args)
    newest = rejects[-args.limit :] if args.limit > 0 else []
    if args.json:
        told = {"groups": [asdict(group) for group in groups(rejects)], "records": [asdict(one) for one in newest]}
        _say(orjson.dumps(told).decode())
        return 0
    if not rejects:
        _say("nothing was rejected")
    found = groups(rejects)
    for group in found[:_SHOWN_REASONS]:
        _say(f"{group.count:>7}  {visible(group.reason)}  ({_at(group.first_ms)} to {_at(group.last_ms)})")
    if len(found) > _SHOWN_REASONS:
        _say(f"         … and {len(found) - _SHOWN_REASONS} more reasons")
    for one in newest:
        _say(f"offset {one.offset}  {_at(one.at_ms)}  {visible(one.reason)}  client {visible(one.client or '-')}")
    return 0


async def _show(args: argparse.Namespace) -> int:
    for reject in await read(_brokers(args)):
        if reject.offset == args.offset:
            told = {**asdict(reject), "at": _at(reject.at_ms)}
            # Escapes keep what a client sent from steering the terminal.
            _say(json.dumps(told, indent=None if args.json else 2, ensure_ascii=True))
            return 0
    raise DeployError(f"{REJECTED} has no record at offset {args.offset} (any more): see `watchtime rejected list`")


@dataclass(kw_only=True)
class _Plan:
    """What a replay would do."""

    events: list[dict[str, Any]] = field(default_factory=list)
    #: Records that the gateway would refuse again.
    refused: list[dict[str, Any]] = field(default_factory=list)
    replayed_before: int = 0


async def _replay(args: argparse.Namespace) -> int:
    done = await Done.of(args.data_dir, _brokers(args))
    plan = _plan(await _chosen(args), dict(args.changes), set() if args.again else done.offsets)
    if not args.json:
        for one in plan.refused:
            _say(f"offset {one['offset']} stays: the gateway would refuse it again: {visible(one['why'])}")
        _say(
            f"{len(plan.events)} events to replay, {plan.replayed_before} were replayed before, "
            f"{len(plan.refused)} cannot be taken"
        )
    if args.json and plan.events and not args.yes:
        why = f"nothing was posted: with --json nobody is asked, so give --yes to post {len(plan.events)} events"
        _say(orjson.dumps({"accepted": 0, "errors": [why], **_left_out(plan)}).decode())
        return 1
    if plan.events and not args.yes and not agreed("post them?"):
        return 1
    accepted, errors = await _post(_gateway(args), plan.events, done)
    if args.json:
        _say(orjson.dumps({"accepted": accepted, "errors": errors, **_left_out(plan)}).decode())
    else:
        for error in errors:
            _say(f"the gateway refused: {visible(str(error))}")
        _say(f"{accepted} events were accepted; those that had come before count as duplicates")
    return 1 if errors else 0


async def _chosen(args: argparse.Namespace) -> list[Reject]:
    rejects = await _picked(args)
    if not args.offsets:
        return rejects
    missing = set(args.offsets) - {reject.offset for reject in rejects}
    if missing:
        raise DeployError(f"{REJECTED} has no such records at offsets {sorted(missing)}: see `watchtime rejected list`")
    return [reject for reject in rejects if reject.offset in args.offsets]


def _plan(rejects: Sequence[Reject], changes: dict[str, Any], replayed: Collection[int]) -> _Plan:
    plan = _Plan()
    for reject in rejects:
        if reject.offset in replayed:
            plan.replayed_before += 1
            continue
        try:
            plan.events.append(event_of(reject, changes))
        except NoEventError as why:
            plan.refused.append({"offset": reject.offset, "why": str(why)})
    return plan


def _left_out(plan: _Plan) -> dict[str, Any]:
    return {"refused": plan.refused, "replayed_before": plan.replayed_before}


async def _post(url: str, events: Sequence[dict[str, Any]], done: Done) -> tuple[int, list[Any]]:
    accepted, errors = 0, []
    async with aiohttp.ClientSession(headers=_authorization()) as session:
        for batch in batches(events):
            answer = await _post_batch(session, f"{url.rstrip('/')}/ingest", batch)
            accepted += answer["accepted"]
            errors += answer["errors"]
            refused = {error["index"] for error in answer["errors"]}
            done.add([event[MARK] for at, event in enumerate(batch) if at not in refused])
    return accepted, errors


async def _post_batch(session: aiohttp.ClientSession, url: str, batch: list[dict[str, Any]]) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    said = "no answer"
    for attempt in range(_TRIES):
        try:
            async with session.post(url, data=orjson.dumps({"events": batch}), headers=headers) as answer:
                said = f"{answer.status} {(await answer.text())[:200]}"
                if answer.status == _OK:
                    return orjson.loads(await answer.read())  # type: ignore[no-any-return]
                if answer.status not in _LATER:
                    break
        except (aiohttp.ClientError, TimeoutError) as error:
            said = repr(error)
        await asyncio.sleep(0.5 * 2**attempt)
    raise DeployError(f"{url} did not take the events ({visible(said)}); what it took before is noted, run this again")


def _authorization() -> dict[str, str]:
    """Return the header of a gateway that asks for tokens; its install is then the client of the events."""
    token = os.environ.get("WATCHTIME_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


class Done:
    """The offsets that were replayed from this data folder."""

    def __init__(self, file: Path) -> None:
        self._file = file
        #: Offsets in `watch.rejected`.
        self.offsets: set[int] = set()
        if file.exists():
            self.offsets = {int(line) for line in file.read_text().split()}

    @classmethod
    async def of(cls, data_dir: Path, brokers: Address) -> Done:
        """Return what was replayed of this very topic: one made anew begins with offset 0 again."""
        topic_id = (await topic_ids(brokers, [REJECTED]))[REJECTED]
        return cls(data_dir / "rejected" / f"replayed-{topic_id}")

    def add(self, offsets: Sequence[int]) -> None:
        """Note offsets whose events were accepted."""
        self.offsets.update(offsets)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.writelines(f"{offset}\n" for offset in offsets)


async def _picked(args: argparse.Namespace) -> list[Reject]:
    return [one for one in await read(_brokers(args), args.since) if args.reason in one.reason]


def _brokers(args: argparse.Namespace) -> Brokers:
    if (args.data_dir / "endpoints.json").exists():
        return Brokers(str(endpoints.read(args.data_dir)["bootstrap_servers"]))
    return Brokers.from_env(os.environ)


def _gateway(args: argparse.Namespace) -> str:
    return args.url or str(endpoints.read(args.data_dir)["gateway"])


def _at(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _moment(text: str) -> int:
    try:
        return moment(text, time.time_ns() // 1_000_000)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give 30m, 2h, 7d, or a date or time") from None


def _change(text: str) -> tuple[str, Any]:
    try:
        return change(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_DO: Final = {"list": _list, "show": _show, "replay": _replay}
