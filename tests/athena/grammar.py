"""Hive's grammar, from the parser that comes with Trino: whether it takes the statements of tables.sql.

It is Hive's and not Athena's: that it takes a statement does not prove that Athena does, but what it refuses, Athena
refuses.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROGRAM: Final = Path(__file__).with_name("Grammar.java")
_JARS: Final = ("*coral*.jar", "*guava*.jar", "*antlr*.jar", "*slf4j-api*.jar")


def verdicts(server: Path, java: Path, statements: Sequence[str]) -> list[str]:
    """Return "ok" or a reason for each statement."""
    jars = [str(jar) for pattern in _JARS for jar in (server / "plugin" / "hive").glob(pattern)]
    answer = subprocess.run(  # noqa: S603 - our own program
        [str(java / "bin" / "java"), "--class-path", ":".join(jars), str(PROGRAM)],
        # The lexer in this jar lacks the class by which Hive reads names in backticks; none of ours needs them here.
        input="\0".join(statements).replace("`", "").encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"the grammar could not be asked: {answer.stderr.decode()[-2000:]}")
    return answer.stdout.decode().splitlines()
