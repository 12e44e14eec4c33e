"""`watchtime down`: stops a stack, or the named stages of it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from deploy.errors import DeployError
from deploy.local import control, tenancy
from deploy.progress import ChildLines

#: The supervisor ends its children within 20 s, by force if need be.
TIMEOUT_S: Final = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("stages", nargs="*", metavar="stage", help="stop only these; `watchtime up` starts them again")


def run(args: argparse.Namespace) -> int:
    """Run the command; a stack that is not running is no error."""
    lines = ChildLines(sys.stderr)
    supervisor = tenancy.supervisor_of(args.data_dir)
    try:
        for message in _answer(args):
            if "error" in message:
                raise DeployError(message["error"])
            if "name" in message:
                lines.child(message)
    except control.CutOffError:
        if args.stages:
            raise
        # It was stopping already: wait for it as well.
    except control.NotRunningError as error:
        if args.stages:
            raise
        lines.text(str(error))
        return 0
    if not args.stages:
        _await_end(args, supervisor, lines)
    return 0


def _answer(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Ask for the stop; a supervisor that has the folder and does not hear yet is just starting."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            yield from control.ask(args.data_dir, "stop" if args.stages else "shutdown", args.stages)
        except control.CutOffError:
            raise
        except control.NotRunningError:
            if not tenancy.is_held(args.data_dir) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _await_end(args: argparse.Namespace, supervisor: tenancy.Process | None, lines: ChildLines) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while tenancy.is_held(args.data_dir) or (supervisor and supervisor.lives()):
        if time.monotonic() > deadline:
            raise DeployError(f"the stack did not stop in {TIMEOUT_S:.0f} s; see {args.data_dir}/logs/supervisor.log")
        time.sleep(0.05)
    lines.text("stopped")
