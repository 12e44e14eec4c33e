"""Prints the bill of materials (CycloneDX): the Python packages of one file, with the Debian packages of a folder."""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import json
import sys
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import quote


def debian_component(status: str) -> dict[str, Any]:
    """Return a package's control fields as a component."""
    fields = Parser().parsestr(status)
    name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
    url = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro=bookworm"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def main(python: Path, folder: Path) -> None:
    """Add the packages of a folder to a bill and print it."""
    bill = json.loads(python.read_text())
    bill["components"] += [debian_component(file.read_text()) for file in sorted(folder.iterdir())]
    sys.stdout.write(json.dumps(bill, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
