"""`watchtime up`: starts a stack, or those parts of a running one that were stopped."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

import orjson

from deploy.doctor import check
from deploy.errors import DeployError
from deploy.local import control, endpoints, tenancy
from deploy.local.cache import Cache
from deploy.local.config import ANEW, Facts, Options, read_record
from deploy.local.serve import serve
from deploy.progress import ChildLines, fetch_with_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("stages", nargs="*", metavar="stage", help="start only these and what they need (all)")
    parser.add_argument("--gateway-port", type=int, metavar="N", help="port of the gateway (4000, or a free one)")
    parser.add_argument("--workers", type=int, metavar="N", help="stream workers (1)")
    parser.add_argument("--sink-workers", type=int, metavar="N", help="sink workers (1)")
    parser.add_argument("--partitions", type=int, metavar="P", help="raw partitions, fixed for the data's life (4)")
    parser.add_argument("--shards", type=int, metavar="Q", help="part files of a day, fixed for the data's life (1)")
    parser.add_argument("--refresh-s", type=float, metavar="S", help="seconds between two writes of a file (10)")
    parser.add_argument(
        "--lake",
        metavar="URL",
        help="file:///folder, or s3://bucket[/prefix] on the stack's own S3 server (s3://watchtime); for AWS set "
        "SINKS_S3_ENDPOINT= (empty), for another store its URL",
    )
    parser.add_argument("--detach", action="store_true", help="return when all is ready; the stack goes on")
    parser.add_argument("--json", action="store_true", help="print the endpoints as JSON when all is ready")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    lines = ChildLines(sys.stderr)
    if tenancy.is_held(args.data_dir):
        return _start_again(args, lines)
    cache = Cache.from_env(os.environ)
    check(cache)
    fetch_with_progress(cache)
    options = Options(
        data_dir=args.data_dir,
        gateway_port=args.gateway_port,
        workers=args.workers,
        sink_workers=args.sink_workers,
        partitions=args.partitions,
        shards=args.shards,
        refresh_s=args.refresh_s,
        lake=args.lake,
        stages=tuple(args.stages),
    )
    if args.detach:
        return _follow(_detached(options), args, lines)

    def say(message: dict[str, Any]) -> None:
        _tell(message, args, lines)

    return serve(options, os.environ, say)


def _start_again(args: argparse.Namespace, lines: ChildLines) -> int:
    """Start what is stopped in a running stack; with nothing to start, say that it runs already."""
    *_, told = control.ask(args.data_dir, "describe", args.stages)
    _refuse_options(args)
    _refuse_other_counts(args)
    stopped = [child["name"] for child in told.get("children", []) if child["state"] == "stopped"]
    if "error" not in told and not stopped:
        raise tenancy.OccupiedError(tenancy.occupied(args.data_dir))
    return _follow(control.ask(args.data_dir, "start", stopped) if stopped else [told], args, lines)


def _refuse_options(args: argparse.Namespace) -> None:
    """Say that a running stack keeps what it was started with, instead of dropping what is asked for."""
    running, (facts, _) = endpoints.read(args.data_dir), read_record(args.data_dir)
    for_life = {entry.name for entry in fields(Facts)}
    held = {
        "gateway_port": urlsplit(running["gateway"]).port,
        "partitions": facts and facts.partitions,
        "shards": facts and facts.shards,
        "refresh_s": running.get("refresh_s"),
        "lake": running["lake"],
    }
    for name, value in held.items():
        wish = getattr(args, name)
        # A release before this one did not tell all of them. Port 0 asks for any.
        if wish is None or value is None or wish == value or (name, wish) == ("gateway_port", 0):
            continue
        option = f"--{name.replace('_', '-')}"
        raise DeployError(
            f"the stack that runs in {args.data_dir} has {option} {value} and keeps it: leave out {option}, or "
            f"{ANEW if name in for_life else 'stop all of it with `watchtime down` first'}"
        )


def _refuse_other_counts(args: argparse.Namespace) -> None:
    """Say that a running supervisor keeps the children it has: another number of workers takes a start of its own."""
    *_, told = control.ask(args.data_dir, "describe")
    names = [child["name"] for child in told.get("children", [])]
    for option, stage, wish in (("--workers", "streams", args.workers), ("--sink-workers", "sinks", args.sink_workers)):
        count = sum(name.startswith(f"{stage}-") for name in names)
        if wish is not None and wish != count:
            raise DeployError(
                f"the stack that runs in {args.data_dir} has {option} {count}; for {wish}, stop all of it with "
                f"`watchtime down` and start it with `watchtime up {option} {wish}`: it goes on where it was"
            )


def _detached(options: Options) -> Iterable[dict[str, Any]]:
    """Start a supervisor of its own and yield what it says until it is ready or has failed."""
    log = options.data_dir / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", "deploy.local.serve", options.to_json()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    said = None
    for line in process.stdout or ():
        said = orjson.loads(line)
        yield said
        if "error" in said:
            process.wait()
    if said is None or not ({"ready", "error"} & said.keys()):
        raise DeployError(f"the supervisor ended while starting; see {log}")
    # It goes on without us; Python would warn of a process that was never waited for.
    process.returncode = process.returncode or 0


def _follow(messages: Iterable[dict[str, Any]], args: argparse.Namespace, lines: ChildLines) -> int:
    failed = False
    for message in messages:
        failed = failed or "error" in message
        _tell(message, args, lines)
        if "done" in message and not failed:
            # Stages of a stack that ran already: where its parts are has not changed.
            _tell({"ready": True, **endpoints.read(args.data_dir)}, args, lines)
    return 1 if failed else 0


def _tell(message: dict[str, Any], args: argparse.Namespace, lines: ChildLines) -> None:
    if "error" in message:
        if args.json:
            print(orjson.dumps({"error": message["error"]}).decode(), flush=True)  # noqa: T201 - for programs
        lines.text(f"watchtime up: {message['error']}")
    elif "ready" in message:
        if args.json:
            print(orjson.dumps(message).decode(), flush=True)  # noqa: T201 - for programs
        else:
            lines.text(f"ready: gateway {message['gateway']}, broker {message['bootstrap_servers']}")
            lines.text(f"lake {message['lake']}; addresses and keys in {args.data_dir}/endpoints.json")
    elif "name" in message:
        lines.child(message)
