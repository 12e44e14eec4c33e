"""`watchtime refold`: folds the raw topic again from its start, the way out when state is lost or wrong."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from typing import Final

from aiokafka.errors import KafkaError

from deploy.errors import DeployError
from deploy.local import control, endpoints
from deploy.local.config import Facts, read_record
from deploy.progress import ChildLines
from sinks.progress import agreed
from streams.brokers import SECURITY_VARIABLES
from streams.contract.days import dt_of_ms
from streams.groundwork import fold_settings_of
from streams.provision import ProvisionError
from streams.refold import RefoldError, RefoldPlan, prepare_refold
from streams.settings import Settings
from streams.topic_id import TopicIdError
from streams.variables import SettingsError

STAGES = ["streams", "sinks"]
#: OSError: a transaction that took too long, above all.
_ERRORS: Final = (RefoldError, SettingsError, ProvisionError, TopicIdError, KafkaError, OSError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--stopped",
        action="store_true",
        help="for a stack that others run: streams and sinks are stopped, the stages' variables say where it is",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command on a running stack, or on one whose stages were stopped by whatever runs them."""
    lines = ChildLines(sys.stderr)
    if args.stopped:
        return _run_stopped(args, lines)
    where = endpoints.read(args.data_dir)
    facts, _ = read_record(args.data_dir)
    if facts is None:
        raise DeployError(f"{args.data_dir} holds no stack")
    lines.text("stops streams and sinks, drops state and partials, and folds every raw record again; the files stay")
    if not args.yes and not agreed("go on?"):
        return 1
    try:
        _ask(args, "describe", lines)
    except control.NotRunningError as error:
        raise DeployError(
            f"no stack is running in {args.data_dir}; where `watchtime up` ends because streams refuse their state, "
            "start what a refold needs with `watchtime up kafka`, run it, and then `watchtime up`"
        ) from error
    try:
        settings = _settings(where, facts)
        asyncio.run(fold_settings_of(settings))  # the broker and the raw topic are there
    except _ERRORS as error:
        raise DeployError(f"{error}; nothing was stopped or dropped") from error
    _ask(args, "stop", lines)
    try:
        plan = asyncio.run(prepare_refold(settings))
    except _ERRORS as error:
        raise DeployError(
            f"{error}; streams and sinks are stopped, and no event is lost: when that is mended, run it again"
        ) from error
    lines.text(_describe(plan))
    _ask(args, "start", lines)
    return 0


def _run_stopped(args: argparse.Namespace, lines: ChildLines) -> int:
    lines.text("drops state and partials, so that every raw record is folded again; the files stay")
    if not args.yes and not agreed("are streams and sinks stopped?"):
        return 1
    try:
        plan = asyncio.run(prepare_refold(Settings.from_env(os.environ)))
    except _ERRORS as error:
        raise DeployError(f"{error}; nothing is lost: when that is mended, run it again") from error
    lines.text(_describe(plan))
    lines.text("start streams and sinks again")
    return 0


def _settings(where: Mapping[str, object], facts: Facts) -> Settings:
    """Return the settings that the stack's workers are given."""
    return Settings.from_env(
        {
            **os.environ,
            **dict.fromkeys(SECURITY_VARIABLES, ""),  # the stack's own broker asks for nothing
            "KAFKA_BOOTSTRAP_SERVERS": str(where["bootstrap_servers"]),
            "WATCHTIME_GROUP": str(where["group"]),
            "STREAMS_PARTITIONS": str(facts.partitions),
            "STREAMS_SHARDS": str(facts.shards),
            "STREAMS_DAY": facts.day,
            "STREAMS_CLIENT_TABLE": "on" if where["client_table"] else "off",
        }
    )


def _describe(plan: RefoldPlan) -> str:
    records = sum(plan.ends[p] - begin for p, begin in plan.begins.items())
    days = (
        f"days from {plan.first_dt} on; of the days before (today is {dt_of_ms(time.time_ns() // 1_000_000)}), the raw "
        "topic has not all records: they keep their rows and take no more events, `watchtime rebuild` writes them from "
        "the archive"
        if plan.first_dt
        else "every day"
    )
    return f"generation {plan.generation}: {records} raw records to fold again, {days}"


def _ask(args: argparse.Namespace, do: str, lines: ChildLines) -> None:
    for message in control.ask(args.data_dir, do, STAGES):
        if "error" in message:
            raise DeployError(message["error"])
        if "name" in message:
            lines.child(message)
