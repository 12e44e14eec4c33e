r"""The lines of raw objects, ours and the reference's, on their way to be counted again. Pure.

Ours hold one event a line. The reference's objects were put together by a delivery service from whatever its
producers sent: lines, but also objects joined without a newline, or several on one line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from isal import igzip, igzip_lib

from sinks.line_columns import INVALID, read_lines
from streams.contract.event import split_lines

_GZIP_MAGIC: Final = b"\x1f\x8b"
#: What stands for a number that JSON does not know but Python reads: neither null nor an integer.
_NO_INTEGER: Final = 0.5


class BrokenObjectError(Exception):
    """A raw object cannot be decompressed."""


def content(key: str, body: bytes, *, may_be_plain: bool = True) -> bytes:
    """Return an object's content; `may_be_plain`: whether what does not begin as gzip is content, whatever its name."""
    if may_be_plain and not body.startswith(_GZIP_MAGIC):
        return body
    try:
        if not body:
            raise EOFError("it is empty")  # noqa: TRY301 - told with the other kinds of damage
        return bytes(igzip.decompress(body))  # type: ignore[no-untyped-call]
    except (EOFError, OSError, igzip_lib.IsalError) as error:  # type: ignore[misc] # the stub calls it a value
        raise BrokenObjectError(
            f"{key} is damaged and cannot be decompressed ({error}): bring back a copy of it, or, if it came from "
            "another pipeline, move it away to count the day without it"
        ) from error


def foreign_lines(text: bytes) -> list[bytes]:
    """Return the objects of the reference's content, one each; what is none comes as one piece to the line's end."""
    return [piece for line in split_lines(text) if line.strip() for piece in _pieces(line)]


def _pieces(line: bytes) -> Iterator[bytes]:
    if read_lines([line])[0] is not INVALID:
        yield line
        return
    # Latin-1 gives a character for each byte, so that places in the text are places in the line.
    text, at = line.decode("latin-1"), 0
    while start := _NEXT.match(text, at):
        at = start.end()
        end = _object_end(text, at)
        yield line[at:end]
        if end is None:
            return
        at = end


_NEXT: Final = re.compile(r"\s*(?=\S)")
_DECODER: Final = json.JSONDecoder()


def _object_end(text: str, start: int) -> int | None:
    """Return where the JSON object that begins at `start` ends, None when none begins there."""
    if text[start] != "{":
        return None
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def strict_lines(text: bytes) -> list[bytes]:
    """Return the lines as the reference's processor reads them: Python's splitlines, and its JSON."""
    return [_strict_line(line) for line in text.decode("utf-8", errors="replace").splitlines()]


def _strict_line(line: str) -> bytes:
    """Return a line in a form that strict JSON reads alike.

    Python takes NaN and what is beyond a double for numbers, and half of a surrogate pair (text that JavaScript cut
    inside an emoji) for a character.
    """
    try:
        value: Any = json.loads(line.strip(), parse_constant=lambda _: _NO_INTEGER, parse_float=_finite)
    except (ValueError, RecursionError):
        return b""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace") if isinstance(value, dict) else b""


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _NO_INTEGER
