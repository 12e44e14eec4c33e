"""A shell in an empty folder in which a document's blocks are run one after the other, as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.broker import QUICK_START
from deploy.local.cache import Cache
from tests.shown_commands import SHELL, blocks

ROOT = Path(__file__).parents[1]
_FOLDERS = ("*.md", "athena/*.md", "deploy/*.md", "docs/*.md", "extension/*.md", "tests/**/*.md")
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for glob in _FOLDERS for path in sorted(ROOT.glob(glob))}


def blocks_of(document: str, *languages: str) -> list[str]:
    """Return the blocks of a document in these languages (those of the shell)."""
    wanted = languages or SHELL
    return ["\n".join(lines) for language, _, lines in blocks((ROOT / document).read_text()) if language in wanted]


def environ_of(**more: str) -> dict[str, str]:
    """Return the environment of a reader who has activated the virtual environment of this test."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **more}


@pytest.fixture
def shell(cache: Cache, java: None, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001
    """A shell in `tmp_path`; the stacks that were started there are stopped at the end."""
    environ = environ_of(KAFKA_OPTS=" ".join(QUICK_START))
    one = subprocess.Popen(
        ["/bin/bash", "-eu"],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with one:
        yield one
        assert one.stdin
        one.stdin.close()
    for stack in tmp_path.glob("*/stack.json"):
        command = ["watchtime", "down", "--data-dir", str(stack.parent)]
        subprocess.run(command, env=environ, check=False, capture_output=True)  # noqa: S603


def said(shell: subprocess.Popen[str], block: str) -> str:
    """Run a block in the shell; return what it printed."""
    assert shell.stdin
    assert shell.stdout
    # A shell that ended on an error prints no end, and its output ends.
    shell.stdin.write(f"{block}\necho; echo '--- end'\n")
    shell.stdin.flush()
    lines = []
    for line in shell.stdout:
        if line == "--- end\n":
            return "".join(lines)
        lines.append(line)
    raise AssertionError(f"{block}\n{''.join(lines)}")
