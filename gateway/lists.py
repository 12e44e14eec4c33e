"""Plain lists in files: revoked installs, invite codes, viewers. One entry a line, `#` begins a comment line."""

from __future__ import annotations

import os
from pathlib import Path


def entries(text: str) -> frozenset[str]:
    """Return the entries of a file's text."""
    lines = (line.strip() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))


def revoke(path: Path, install: str) -> bool:
    """Add an install to the file of revoked ones; return False when it was there. Gateways read it within seconds."""
    if path.exists() and install in entries(path.read_text()):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(f"\n{install}\n")
        out.flush()
        os.fsync(out.fileno())
    return True
