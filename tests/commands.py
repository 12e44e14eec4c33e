"""The `watchtime` command for tests: a process of its own for each, without the second that its imports take.

Each is forked from one process that has imported what commands need and does nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.cli import COMMANDS, main

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, *(command.module for command in COMMANDS.values())])


def run(arguments: Sequence[str], environ: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run `watchtime ARGUMENTS` and return exit code, output and errors, as `subprocess.run` would."""
    with tempfile.TemporaryDirectory(prefix="watchtime-command-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = _FORKS.Process(target=_command, args=(list(arguments), dict(environ), str(out), str(err)))
        out.touch()
        err.touch()
        process.start()
        try:
            process.join(timeout_s)
            code = process.exitcode
        finally:
            if process.exitcode is None:
                process.kill()
                process.join()
        if code is None:
            raise subprocess.TimeoutExpired(["watchtime", *arguments], timeout_s, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _command(arguments: list[str], environ: dict[str, str], out: str, err: str) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY), descriptor)
    os.environ.clear()
    os.environ.update(environ)
    sys.exit(main(arguments))
