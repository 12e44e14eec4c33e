"""The `watchtime` command: finds the subcommand, lets its module name the arguments, and runs it.

A command's module has `add_arguments(parser)` and `run(args) -> int`. Only the module of the command that was asked
for is imported, so that help is quick and no command needs the libraries of another.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from deploy.errors import DeployError


@dataclass(frozen=True)
class Command:
    """A subcommand: the module that does it, and its line in the help."""

    module: str
    summary: str


COMMANDS: Final = {
    "up": Command("deploy.up", "start the whole stack on this machine"),
    "down": Command("deploy.down", "stop it, or the named stages only"),
    "status": Command("deploy.status", "health of each part, lag of each group, last file written"),
    "demo": Command("deploy.demo", "simulated viewers, live totals, files, a query and a reconciliation"),
    "load": Command("deploy.load", "send events at a fixed rate and measure latency"),
    "reconcile": Command("sinks.reconcile_command", "recompute a day from the raw archive and compare"),
    "rebuild": Command("sinks.rebuild_command", "write a day's files again from raw objects"),
    "partials": Command("sinks.partials_command", "write the partial documents of the pipeline before this one"),
    "query": Command("athena.query_command", "query the lake's tables with SQL"),
    "refold": Command("deploy.refold", "fold the raw topic again, when state is lost or wrong"),
    "rejected": Command("deploy.rejected", "what was refused or unreadable: list it, show it, post it again"),
    "forget": Command("deploy.forget", "erase a client from state, rows and archive"),
    "athena": Command("athena.athena_command", "the lake's tables, views and queries on Athena"),
    "deploy": Command("deploy.deploy_command", "put the stack up on AWS: shows the plan, applies it by --yes"),
    "topics": Command("deploy.topics", "create and check the topics on any Kafka cluster"),
    "acls": Command("deploy.acls_command", "the rights that each role needs on a Kafka cluster"),
    "doctor": Command("deploy.doctor", "say what this machine lacks; install and download it"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code."""
    arguments = _data_dir_first(list(sys.argv[1:] if argv is None else argv))
    args = _parser(arguments).parse_args(arguments)
    _log_to_standard_error()
    try:
        return int(importlib.import_module(COMMANDS[args.command].module).run(args))
    except DeployError as error:
        if getattr(args, "json", False):
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - for programs
        print(f"watchtime {args.command}: {error}", file=sys.stderr)  # noqa: T201 - the command's voice
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _log_to_standard_error() -> None:
    """Keep standard output for answers, which programs read: what is logged on the way does not belong there."""
    import structlog  # noqa: PLC0415 - help comes without it

    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def _data_dir_first(arguments: list[str]) -> list[str]:
    """Put --data-dir right behind the command's name: it may stand anywhere, behind an action of the command too."""
    parser = argparse.ArgumentParser(prog="watchtime", add_help=False, allow_abbrev=False)
    parser.add_argument("--data-dir", action="append", default=[], metavar="D")
    known, rest = parser.parse_known_args(arguments)
    return [*rest[:1], *(f"--data-dir={folder}" for folder in known.data_dir), *rest[1:]]


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Return a parser that knows every command by name, and the arguments of the one that is called."""
    parser = argparse.ArgumentParser(prog="watchtime", description="Exact watch time, from events to daily files.")
    parser.add_argument("--version", action="version", version=f"watchtime {version('watchtime')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name, help=command.summary, description=f"{command.summary[0].upper()}{command.summary[1:]}."
        )
        one.add_argument(
            "--data-dir",
            type=lambda text: Path(text).expanduser().resolve(),
            default=Path(".watchtime").resolve(),
            metavar="D",
            help="folder of the stack's data (default: .watchtime)",
        )
        if arguments[:1] == [name]:
            importlib.import_module(command.module).add_arguments(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
