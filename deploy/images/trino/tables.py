"""Runs the statements of a file on Trino over HTTP: `tables.py URL FILE`. LAKE and SINKS_FORMAT fill its places.

A schema or table that is there already stays as it is.
"""

# ruff: noqa: INP001 - a program that runs by itself inside an image
from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

FORMATS = {"parquet": "PARQUET", "jsonl": "OPENX_JSON"}


def statements(text: str, environ: Mapping[str, str]) -> list[str]:
    """Return the statements of a file, with the lake and its format in their places."""
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    filled = "\n".join(lines).replace("{{lake}}", environ["LAKE"].rstrip("/"))
    filled = filled.replace("{{format}}", FORMATS[environ.get("SINKS_FORMAT") or "parquet"])
    return [statement for part in filled.split(";") if (statement := part.strip())]


def run(url: str, statement: str) -> None:
    """Run one statement to its end."""
    headers = {"X-Trino-User": "watchtime", "X-Trino-Catalog": "lake", "X-Trino-Schema": "default"}
    request: urllib.request.Request | str | None = urllib.request.Request(  # noqa: S310 - the address we were given
        f"{url}/v1/statement", statement.encode(), headers
    )
    while request:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            page = json.load(answer)
        if error := page.get("error"):
            sys.exit(f"Trino refused: {error['message']}\n{statement}")
        request = page.get("nextUri")


if __name__ == "__main__":
    found = statements(Path(sys.argv[2]).read_text(), os.environ)
    for one in found:
        run(sys.argv[1], one)
    sys.stdout.write(f"{len(found)} statements run\n")
