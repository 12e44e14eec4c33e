"""The ready-made queries: each file of queries/ answers the question in its first line. Pure, apart from reading files.

A query's placeholders are named for what they are: days, a number of rows, or a name. Their values become literals
here, so that a name with a quote in it stays a name.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from athena.statements import FOLDER, StatementError, filled
from streams.contract.days import day_start_ms, dt_of_ms, shift_dt

QUERIES: Final = FOLDER / "queries"
#: Days that a query looks at when no first day is named.
DEFAULT_DAYS: Final = 30
DEFAULT_TOP: Final = 10
MAX_TOP: Final = 1_000_000
#: Placeholders, and what they mean.
PARAMETERS: Final = {
    "from": "first day (default: 29 days before the last)",
    "to": "last day (default: today in UTC)",
    "top": f"how many rows, or how many for each day or week (default: {DEFAULT_TOP})",
    "channel": "name of a channel, exactly as the tables have it",
    "video": "id of a video",
}
_NAMES: Final = re.compile(r"\{\{(\w+)\}\}")


class QuestionError(Exception):
    """There is no such query, or a value that it needs is missing or wrong."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One query file."""

    name: str
    #: Its comment, without dashes: the question, and what to know about the answer.
    about: str
    text: str

    @property
    def parameters(self) -> list[str]:
        """Names of the placeholders, in the order of `PARAMETERS`."""
        used = set(_NAMES.findall(self.text))
        return [name for name in PARAMETERS if name in used]

    def sql(self, given: Mapping[str, str], *, today: str) -> str:
        """Return the statement for these values; those of days and `top` may be missing."""
        if unknown := set(given) - set(self.parameters):
            known = ", ".join(self.parameters) or "nothing"
            raise QuestionError(f"{self.name} does not ask for {', '.join(sorted(unknown))}; it asks for {known}")
        last = given.get("to", today)
        defaults = {"to": last, "from": shift_dt(day_of(last), 1 - DEFAULT_DAYS), "top": str(DEFAULT_TOP)}
        values = {**defaults, **given}
        if missing := [name for name in self.parameters if name not in values]:
            raise QuestionError(f"{self.name} needs {missing[0]}, the {PARAMETERS[missing[0]]}")
        return filled(self.text, {name: _KINDS[name](values[name]) for name in self.parameters})


def questions() -> dict[str, Question]:
    """Return the ready-made queries by name."""
    return {path.stem: _question(path.stem, path.read_text()) for path in sorted(QUERIES.glob("*.sql"))}


def question(name: str) -> Question:
    """Return one query; QuestionError names those there are."""
    known = questions()
    if name not in known:
        raise QuestionError(f"no query is called {name}; there are {', '.join(known)}")
    return known[name]


def today() -> str:
    """Return the running day in UTC."""
    return dt_of_ms(int(datetime.datetime.now(datetime.UTC).timestamp() * 1000))


def _question(name: str, script: str) -> Question:
    lines = script.splitlines()
    comments = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
    if not lines or not lines[0].startswith("--"):
        raise StatementError(f"queries/{name}.sql does not begin with a comment that says what it answers")
    text = "\n".join(line for line in lines if not line.startswith("--")).strip().removesuffix(";")
    if unknown := set(_NAMES.findall(text)) - set(PARAMETERS):
        raise StatementError(f"queries/{name}.sql has an unknown placeholder: {', '.join(sorted(unknown))}")
    return Question(name=name, about=" ".join(comments), text=text)


def day_of(value: str) -> str:
    """Return a day as files are named; QuestionError when it is none."""
    try:
        return dt_of_ms(day_start_ms(value))
    except ValueError:
        raise QuestionError(f"{value!r} is no day; write it as 2026-11-01") from None


def _number(value: str) -> str:
    if not (value.isascii() and value.isdigit() and 0 < int(value) <= MAX_TOP):
        raise QuestionError(f"{value!r} is no number of rows; write 1 to {MAX_TOP}")
    return str(int(value))


def literal(text: str) -> str:
    """Return a text as a literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


_KINDS: Final[dict[str, Callable[[str], str]]] = {
    "from": lambda value: literal(day_of(value)),
    "to": lambda value: literal(day_of(value)),
    "top": _number,
    "channel": literal,
    "video": literal,
}
