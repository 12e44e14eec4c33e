"""Reconciles each day once it is over: a child of its own, whose failure leaves the stack as it is.

A day that was not right is looked at again each night, with the new one, until it is or has become too old; so an
alarm lasts as long as its reason. What was found is kept in the data folder, for `watchtime status` and the metrics.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import structlog

from deploy.local import metrics
from deploy.local.config import replace_json
from deploy.local.process import GUARD
from streams.contract.days import dt_of_ms, shift_dt

FILE: Final = "reconcile.json"
#: Days that one night looks at, at most; as many can still change.
MAX_DAYS: Final = 10
#: What cannot be told is tried again after this time, so often.
RETRY_S: Final = 3_600.0
TRIES: Final = 3
_UNTOLD: Final = 2
_CHECK_S: Final = 30.0
#: How long one reconciliation waits for the stages.
_WAIT_S: Final = 900

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Night:
    """What the last nights found."""

    #: All days up to this one were right, or are too old to be looked at.
    right_through: str
    #: Last day that was looked at.
    ran_to: str
    #: When the last look ended, seconds since the epoch (0: never), and its exit code.
    at_s: float = 0.0
    exit_code: int = 0
    #: Rows that differ, by day; null: it cannot be told.
    drift: dict[str, int | None] = field(default_factory=dict)
    #: Looks in a row that could not tell.
    tries: int = 0


def first_night(now_s: float, after_midnight_s: float) -> Night:
    """Return where a new stack begins: with the day that is not over yet."""
    over = _last_day_over(now_s, after_midnight_s)
    return Night(right_through=over, ran_to=over)


def due(night: Night, now_s: float, after_midnight_s: float) -> tuple[str, str] | None:
    """Return the first and last day to look at now; None when nothing is due."""
    over = _last_day_over(now_s, after_midnight_s)
    again = 0 < night.tries < TRIES and now_s >= night.at_s + RETRY_S
    if over <= night.ran_to and not again:
        return None
    return max(shift_dt(night.right_through, 1), shift_dt(over, 1 - MAX_DAYS)), over


def after(night: Night, last: str, exit_code: int, found: Mapping[str, Any], now_s: float) -> Night:
    """Return the next night's beginning; `found` is what the command said about the days up to `last`."""
    days = [(day["dt"], day.get("drift")) for day in found.get("days", [])]
    wrong = [dt for dt, drift in days if drift != 0]
    newly_right = shift_dt(min(wrong), -1) if wrong else last
    return Night(
        right_through=newly_right if days else night.right_through,
        ran_to=last,
        at_s=now_s,
        exit_code=exit_code,
        drift=dict(days[-MAX_DAYS:]) or {last: None},
        tries=night.tries + 1 if exit_code not in {0, 1} else 0,
    )


def read(data_dir: Path) -> Night | None:
    """Return what is kept in a data folder."""
    try:
        kept = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        return None
    # A newer release may keep more.
    return Night(**{entry.name: kept[entry.name] for entry in fields(Night) if entry.name in kept})


async def keep(data_dir: Path, after_midnight_s: float, environ: Mapping[str, str]) -> None:
    """Reconcile each night, for ever."""
    while True:
        try:
            await look(data_dir, time.time(), after_midnight_s, environ)
        except Exception:
            # Whatever it is: the stack counts on. If a night had a result before, the alarm NightMissing will tell.
            log.exception("the nightly reconciliation failed")
        await asyncio.sleep(_CHECK_S)


async def look(data_dir: Path, now_s: float, after_midnight_s: float, environ: Mapping[str, str]) -> None:
    """Reconcile what is due at `now_s`, and keep what was found."""
    night = read(data_dir)
    if night is None:
        night = first_night(now_s, after_midnight_s)
        replace_json(data_dir / FILE, asdict(night))
    metrics.show_night(night.at_s, night.exit_code, night.drift)
    days = due(night, now_s, after_midnight_s)
    if days is None:
        return
    log.info("nightly reconciliation", first=days[0], last=days[1])
    exit_code, found = await _reconcile(data_dir, *days, environ)
    night = after(night, days[1], exit_code, found, time.time())
    replace_json(data_dir / FILE, asdict(night))
    metrics.show_night(night.at_s, night.exit_code, night.drift)
    tell = log.info if exit_code == 0 else log.error
    tell("nightly reconciliation ended", exit_code=exit_code, drift=night.drift, why=found.get("error"))


async def _reconcile(data_dir: Path, first: str, last: str, environ: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Run the command; return its exit code and what it printed, or that it printed nothing that can be read."""
    command = [sys.executable, "-P", "-m", "deploy.cli", "reconcile", "--data-dir", str(data_dir)]
    command += ["--from", first, "--to", last, "--wait", str(_WAIT_S), "--json"]
    if nice := shutil.which("nice"):
        command = [nice, "-n", "10", *command]
    # The guard ends it with this process.
    guard = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid())]
    with (data_dir / "logs" / "reconcile.log").open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            *guard, *command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        printed, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    try:
        return child.returncode or 0, json.loads(printed)
    except ValueError:
        why = f"`watchtime reconcile` ended with {child.returncode} and said no result; see logs/reconcile.log"
        return _UNTOLD, {"error": why}


def _last_day_over(now_s: float, after_midnight_s: float) -> str:
    return shift_dt(dt_of_ms(int((now_s - after_midnight_s) * 1_000)), -1)
