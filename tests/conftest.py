"""Shared set-up of all tests: the servers they may ask for, marks by folder, and a table of what was not run."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest

from deploy.local import ports

pytest_plugins = ("tests.servers", "tests.stacks", "tests.document_shell")

MARKED_FOLDERS = ("integration", "faults", "e2e")
HERE = Path(__file__).parent

# How long an example takes says more about the machine's other work than about the code.
hypothesis.settings.register_profile("watchtime", deadline=None)
hypothesis.settings.load_profile("watchtime")

# Each process of pytest takes ports from a range of its own, below those of the stacks that it starts: a port that
# looks free may be that of another's server which does not listen yet.
ports.FIRST = 10_000 + 1_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8)
ports.LAST = ports.FIRST + 999


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the folder they are in, so that `-m integration` selects tests/integration."""
    for item in items:
        if HERE in item.path.parents:
            folder = item.path.relative_to(HERE).parts[0]
            if folder in MARKED_FOLDERS:
                item.add_marker(folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List at the end which tests were left out, by reason."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        longrepr = report.longrepr
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("left out")
        for reason, count in reasons.most_common():
            terminalreporter.line(f"{count:5}  {reason}")
