"""`watchtime status`: health of each part, lag of each group, last file written. Exit 0: all is well."""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions
import orjson
from rich.console import Console
from rich.table import Table

from deploy.local import control, endpoints, lake, nightly, tenancy
from deploy.local.config import StackError
from deploy.local.lag import LagUnknownError, lags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if not tenancy.is_held(args.data_dir):
        return _not_running(args)
    try:
        told = endpoints.read(args.data_dir)
        *_, answer = control.ask(args.data_dir, "describe")
    except (StackError, control.NotRunningError):
        # Between the lock and the socket or the first endpoints: the supervisor is just starting or stopping.
        return _not_running(args)
    status = {"running": True, "children": answer["children"], "gateway": told["gateway"], **_progress(told)}
    night = nightly.read(args.data_dir)
    status["reconcile"] = asdict(night) if night else None
    healthy = all(child["state"] == "ready" for child in status["children"])
    if args.json:
        print(orjson.dumps({**status, "healthy": healthy}).decode())  # noqa: T201 - for programs
    else:
        _show(status)
    return 0 if healthy else 1


def _not_running(args: argparse.Namespace) -> int:
    if args.json:
        print(orjson.dumps({"running": False, "healthy": False, "children": []}).decode())  # noqa: T201 - for programs
    else:
        print(f"no stack is running in {args.data_dir}; start one with `watchtime up`")  # noqa: T201 - the answer
    return 1


def _progress(told: dict[str, Any]) -> dict[str, Any]:
    """Return lags and last file; null with the reason where broker or store do not answer."""
    # The client logs each refused connection; what comes of it stands under `problems`.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    found: dict[str, Any] = {"lag": None, "last_file": None, "problems": []}
    try:
        found["lag"] = asyncio.run(lags(told["bootstrap_servers"], told["group"], client_table=told["client_table"]))
    except LagUnknownError as error:
        found["problems"].append(str(error))
    try:
        last = lake.last_file(told)
        found["last_file"] = asdict(last) if last else None
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        found["problems"].append(f"the lake {told['lake']} was not listed: {error}")
    return found


def _show(status: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Table("part", "state", "pid", "restarts", box=None)
    for child in status["children"]:
        table.add_row(child["name"], child["state"], str(child["pid"] or ""), str(child["restarts"] or ""))
    console.print(table)
    if status["lag"] is not None:
        behind = ", ".join(f"{group} {lag}" for group, lag in status["lag"].items())
        console.print(f"records not yet confirmed: {behind}")
    if last := status["last_file"]:
        at = datetime.fromtimestamp(last["written_s"], UTC)
        ago = time.time() - last["written_s"]
        console.print(f"last file: {last['key']}, {last['size']} bytes, {at:%Y-%m-%d %H:%M:%S} UTC ({ago:.0f} s ago)")
    elif not status["problems"]:
        console.print("last file: none yet")
    if (night := status["reconcile"]) and night["at_s"]:
        at = datetime.fromtimestamp(night["at_s"], UTC)
        found = ", ".join(f"{dt} drift={'?' if rows is None else rows}" for dt, rows in night["drift"].items())
        console.print(
            f"last reconciled: {found}, {at:%Y-%m-%d %H:%M:%S} UTC", style=None if not night["exit_code"] else "red"
        )
    for problem in status["problems"]:
        console.print(problem, style="red", markup=False, soft_wrap=True)
