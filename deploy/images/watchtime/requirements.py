"""Prints what the application needs as pip reads it: the dependencies of pyproject.toml with those of every extra."""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(project: dict[str, object], own_name: str) -> list[str]:
    """Return each requirement once; extras that name the project itself add nothing."""
    needed = list(project["dependencies"])  # type: ignore[call-overload] # a list of strings, by the format
    for extra in project["optional-dependencies"].values():  # type: ignore[attr-defined]
        needed += [entry for entry in extra if not entry.startswith(f"{own_name}[")]
    return sorted(set(needed))


if __name__ == "__main__":
    project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    sys.stdout.write("\n".join(requirements(project, project["name"])) + "\n")
