"""The SQL files as statements: split, sorted into sections, their placeholders filled in. Pure.

A file's statements end with a semicolon at the end of a line. `-- @section NAME` begins a section; what comes before
the first belongs to the section without a name. Comment lines are for readers and are not sent to an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: The folder of the SQL files.
FOLDER: Final = Path(__file__).parent
TABLES_FILE: Final = FOLDER / "tables.sql"
VIEWS_FILE: Final = FOLDER / "views.sql"

_SECTION: Final = re.compile(r"--\s*@section\s+(\w+)\s*")
_NAME: Final = re.compile(
    r"CREATE\s+(?:EXTERNAL\s+TABLE(?:\s+IF\s+NOT\s+EXISTS)?|OR\s+REPLACE\s+VIEW)\s+`?(\w+)`?\s",
    re.IGNORECASE,
)
_PLACEHOLDER: Final = re.compile(r"\{\{(\w+)\}\}")


class StatementError(Exception):
    """An SQL file does not have the shape that this program reads, or a value for it is missing."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One CREATE statement of a file, without comments and without its semicolon."""

    section: str
    name: str
    text: str


def statements(script: str) -> list[Statement]:
    """Return the CREATE statements of a script, in its order."""
    found = []
    for section, text in _split(script):
        match = _NAME.match(text)
        if match is None:
            raise StatementError(f"neither a table nor a view is created by: {text[:80]!r}")
        found.append(Statement(section=section, name=match[1], text=text))
    return found


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with each {{name}} replaced by its value; StatementError names a missing one."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise StatementError(f"no value for {{{{{match[1]}}}}}; known are {', '.join(sorted(values)) or 'none'}")
        return values[match[1]]

    return _PLACEHOLDER.sub(value, text)


def _split(script: str) -> Iterator[tuple[str, str]]:
    section, lines = "", list[str]()
    for line in script.splitlines():
        stripped = line.strip()
        if stripped.startswith("--"):
            if match := _SECTION.fullmatch(stripped):
                section = match[1]
            continue
        if not stripped and not lines:
            continue
        lines.append(line.rstrip())
        if stripped.endswith(";"):
            yield section, "\n".join(lines).removesuffix(";").rstrip()
            lines = []
    if lines:
        raise StatementError(f"the last statement has no semicolon: {lines[0]!r}")
