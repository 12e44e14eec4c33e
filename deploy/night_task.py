"""`python -m deploy.night_task`: reconciles the days that are over, for a stack whose nights nobody else looks after.

A schedule starts it once a night, beside the stages and with their variables. What it found is one log line, from which
the alarms RowsDrift, NightNotTold and NightMissing are made. (`watchtime up` does the same by its supervisor.)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

import structlog

from deploy import cli
from streams.contract.days import dt_of_ms, shift_dt
from streams.logs import configure_logs

#: What is said of each exit code of `watchtime reconcile`; alarms look for these words.
WORDS: Final = {0: "the days are right", 1: "rows drift", 2: "the days cannot be told"}
#: How long the reconciliation waits for the stages.
WAIT_S: Final = 900

log = structlog.get_logger(__name__)


def days(now_s: float, count: int) -> tuple[str, str]:
    """Return the first and the last of the `count` newest days that are over."""
    last = shift_dt(dt_of_ms(int(now_s * 1_000)), -1)
    return shift_dt(last, 1 - count), last


def main(arguments: Sequence[str]) -> int:
    """Reconcile; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.night_task", description=__doc__)
    parser.add_argument("--days", type=int, default=1, metavar="N", help="so many days back, late events included (1)")
    count: int = parser.parse_args(arguments).days
    if count < 1:
        parser.error(f"--days {count}: use 1 or more")
    configure_logs({})
    first, last = days(time.time(), count)
    code = cli.main(["reconcile", "--from", first, "--to", last, "--wait", str(WAIT_S), "--json"])
    say = log.info if code == 0 else log.error
    say(WORDS.get(code, "the reconciliation failed"), first=first, last=last, exit_code=code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
