"""The programs that images run by themselves, which are no part of a package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

IMAGES = Path(__file__).parents[1] / "deploy" / "images"


def program(name: str) -> ModuleType:
    """Load one."""
    spec = importlib.util.spec_from_file_location(Path(name).stem, IMAGES / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
