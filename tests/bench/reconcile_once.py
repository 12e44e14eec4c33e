"""Compares a closed day of a lake with its raw objects, as `watchtime reconcile` does once all stages have settled.

For the benchmark, which has a lake and no broker. Arguments: lake, day.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

from sinks.lake import Lake
from sinks.reconcile_pass import Compared, Pass, Source
from sinks.reconcile_settle import Log
from streams.contract.topics import daily_tables


async def main(url: str, dt: str) -> None:
    """Print what was compared."""
    # Only the newest days are compared with what the broker holds.
    no_broker = cast("Log", None)
    source = Source(Lake(url=url).store(), no_broker, "event", daily_tables(client_table=False))
    look = Pass(source, lambda _: None, lambda *_: None)
    async for outcome in look.run([dt], {}, ""):
        if not isinstance(outcome, Compared):
            raise outcome.why
        finding = outcome.finding
        sys.stdout.write(json.dumps({"events": finding.events, "drift": finding.drift}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
