"""Settings that only the gateway has, read from text: each function returns a variable's value or names it. Pure."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streams.variables import SettingsError, text, whole

ANY_ORIGIN: Final = "*"
_LAKE = re.compile(r"s3://[^/]+(?:/.*)?|file:///.*")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]+")


def optional_whole(environ: Mapping[str, str], name: str, most: int) -> int | None:
    """Return a whole number from 0 to `most`, None when nothing is set."""
    return whole(environ, name, 0, most) if text(environ, name) else None


def file(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the path of a file, None when nothing is set."""
    found = text(environ, name)
    return Path(found) if found else None


def lake(environ: Mapping[str, str], name: str) -> str:
    """Return the address of a lake, empty when nothing is set."""
    found = text(environ, name)
    if found and not _LAKE.fullmatch(found):
        raise SettingsError(f"{name} must be s3://bucket[/prefix] or file:///folder, not {found!r}")
    if found and any(importlib.util.find_spec(needed) is None for needed in ("boto3", "pyarrow")):
        raise SettingsError(f"{name} is set, but the packages that read it are missing: install the extra `sinks`")
    return found


def networks(environ: Mapping[str, str], name: str) -> frozenset[str]:
    """Return the addresses and networks of a comma list."""
    found = listed(environ.get(name, ""))
    for one in found:
        try:
            ipaddress.ip_network(one, strict=False)
        except ValueError as error:
            raise SettingsError(f"{name} holds {one!r}: name addresses (10.0.0.1) or networks (10.0.0.0/16)") from error
    return frozenset(found)


def origins(words: str) -> frozenset[str]:
    """Return the web origins of a comma list."""
    found = listed(words)
    for origin in found:
        if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"GATEWAY_CORS_ORIGINS holds {origin!r}: an origin is scheme://host[:port] without a path, or *"
            )
    return frozenset(found)


def listed(words: str) -> list[str]:
    """Return the parts of a comma list, in lower case."""
    return [part.strip().lower() for part in words.split(",") if part.strip()]
