"""`watchtime doctor`: says what this machine lacks for a local stack; `--fix` installs it, `--fetch` downloads too."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from deploy.errors import DeployError
from deploy.local.cache import Cache
from deploy.machine import GO, JAVA, MAVEN, Tool, ask_program, suffices, version_of
from deploy.progress import fetch_with_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--fix", action="store_true", help="install what is missing (Debian packages: as root)")
    parser.add_argument("--fetch", action="store_true", help="download Kafka and the S3 server too")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Run the command; exit 0 when a stack could start (or, before the downloads, be downloaded) here."""
    cache = Cache.from_env(os.environ)
    missing = lacking(cache)
    if missing and args.fix:
        _install(missing)
        missing = lacking(cache)
    if args.json:
        print(orjson.dumps(_describe(cache, missing)).decode())  # noqa: T201 - for programs
    else:
        _show(cache)
    if missing:
        _complain(missing)
        return 1
    if args.fetch:
        fetch_with_progress(cache)
    return 0


def needed(cache: Cache) -> list[Tool]:
    """Return the tools that are needed here: what only downloads are made with may be missing after them."""
    absent = cache.missing()
    return [JAVA, *([MAVEN] if "Apache Kafka" in absent else []), *([GO] if "versitygw" in absent else [])]


def lacking(cache: Cache) -> list[Tool]:
    """Return the needed tools that are not here, or too old."""
    return [tool for tool in needed(cache) if not suffices(tool, version_of(tool, ask_program))]


def check(cache: Cache) -> None:
    """Raise one clear error when something is missing."""
    if missing := lacking(cache):
        raise DeployError(complaint(missing))


def complaint(missing: list[Tool]) -> str:
    """Return one message that names all that is missing, and the packages."""
    names = ", ".join(tool.wanted for tool in missing)
    remedies = "\n".join(f"  {tool.remedy}" for tool in missing)
    return f"this machine lacks {names}. Install:\n{remedies}\nor let `watchtime doctor --fix` do it."


def _complain(missing: list[Tool]) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(complaint(missing), markup=False)


def _install(missing: list[Tool]) -> None:
    """Install packages; output of the installers goes to standard error as it comes."""
    debian = [tool.debian for tool in missing if tool.debian]
    python = [tool.python for tool in missing if not tool.debian]
    if debian:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise DeployError(f"only root on Debian can install {' '.join(debian)} this way.\n{complaint(missing)}")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update", "-qq"], quiet)
        _run(["apt-get", "install", "-qq", "--no-install-recommends", *debian], quiet)
    if python:
        _run([sys.executable, "-m", "pip", "install", "--quiet", *python], dict(os.environ))


def _run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(command, env=environ, stdout=sys.stderr, check=False)  # noqa: S603 - fixed commands
    if done.returncode:
        raise DeployError(f"`{' '.join(command)}` ended with {done.returncode}; its own words are above")


def _describe(cache: Cache, missing: list[Tool]) -> dict[str, Any]:
    return {
        "missing": [{"name": tool.name, "wanted": tool.wanted, "remedy": tool.remedy} for tool in missing],
        "downloads_missing": cache.missing(),
        "cache": str(cache.folder),
    }


def _show(cache: Cache) -> None:
    table = Table("needed", "found", box=None)
    necessary = needed(cache)
    for tool in (JAVA, MAVEN, GO):
        version = version_of(tool, ask_program)
        found = ".".join(map(str, version)) if version else "nothing"
        spare = "" if tool in necessary else "  (only for downloads, which are here)"
        table.add_row(tool.wanted, found + spare)
    for name in ("Apache Kafka", "versitygw"):
        table.add_row(name, "not downloaded yet" if name in cache.missing() else f"in {cache.folder}")
    Console(highlight=False).print(table)
