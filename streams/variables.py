"""How every stage reads its settings from the environment: each function returns a variable's value or names it. Pure.

A blank variable is as one that is not set: files that pass variables on, as Compose's do, pass on blank ones too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_PORT: Final = 65_535
_MANY: Final = 1_000_000_000


class SettingsError(ValueError):
    """A variable of the environment holds a value that cannot be used; the text names it."""


def text(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """Return the words of a variable."""
    return environ.get(name, "").strip() or default


def whole(environ: Mapping[str, str], name: str, default: int, most: int = _MANY, *, least: int = 0) -> int:
    """Return a whole number from `least` to `most`."""
    found = text(environ, name, str(default))
    if not found.isdecimal() or not found.isascii() or not least <= int(found) <= most:
        raise SettingsError(f"{name} must be a whole number from {least} to {most}, not {found!r}")
    return int(found)


def switch(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return whether a switch is on."""
    return choice(environ, name, ("on", "off"), "on" if default else "off") == "on"


def choice(environ: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    """Return one of the allowed words, or the default, which may be none of them."""
    found = text(environ, name, default)
    if found not in {*allowed, default}:
        raise SettingsError(f"{name} must be {' or '.join(allowed)}, not {found!r}")
    return found
