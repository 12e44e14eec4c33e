"""The page travels with the distribution."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

from gateway import pages

ROOT = Path(__file__).parents[3]


def test_every_file_that_is_served_is_packaged_and_the_library_has_its_licence():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["gateway"]
    served = {f"page/{name}" for name in pages._FILES}
    there = {str(path.relative_to(ROOT / "gateway")) for path in (ROOT / "gateway/page").rglob("*") if path.is_file()}

    assert served | {"page/uplot/LICENSE"} == there
    assert {name for name in there if not any(fnmatch(name, pattern) for pattern in patterns)} == set()


def test_pages_fit_their_purpose():
    sizes = {name: (ROOT / "gateway/page" / name).stat().st_size for name in pages._FILES}

    assert sum(sizes.values()) < 100_000
