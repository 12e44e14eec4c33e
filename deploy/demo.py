"""`watchtime demo`: the whole path once, from simulated viewers to reconciled daily files, on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live

from athena import output, query_command
from athena.local import connect
from deploy import down, load, up
from deploy.errors import DeployError
from deploy.live_totals import DailyReader, LiveTotals
from deploy.local import endpoints, tenancy
from deploy.open_loop import OpenLoop, Plan, Tally
from sinks import reconcile_command
from sinks.lake import lake_of

#: How long the totals may take to reach what was posted, seconds.
_COUNTED_WITHIN_S: Final = 60.0
_PLAIN_LINE_S: Final = 2.0
_TOP_VIDEOS: Final = """
SELECT video_id, any_value(channel) AS channel, sum(watch_ms)::BIGINT AS watch_ms, sum(watch_ms_bg)::BIGINT
  AS watch_ms_bg, sum(views)::BIGINT AS views, sum(ad_ms)::BIGINT AS ad_ms
FROM video_daily GROUP BY video_id ORDER BY watch_ms DESC, video_id LIMIT 10
"""
_DAYS: Final = """
SELECT dt, total_events, duplicate_events, moved_events, ignored_no_channel_ticks FROM ingest_daily ORDER BY dt
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--viewers", type=load.positive, default=300, help="simulated viewers (default 300)")
    parser.add_argument("--rate", type=load.positive_float, default=1_000.0, help="events a second (default 1000)")
    parser.add_argument("--seconds", type=load.positive_float, default=15.0, help="how long they watch (default 15)")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run's events (default: drawn and printed)")
    parser.add_argument(
        "--workers", type=load.positive, default=None, help="stream workers of a stack that is started (1)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack running that this command started")


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; 0 only when the files agree with the raw archive and hold every event once."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = output.FILE_WIDTH
    ours = not tenancy.is_held(args.data_dir)
    if ours:
        _say(console, "Starting the stack")
        if code := up.run(_up_arguments(args)):
            return code
    else:
        _say(console, f"Using the stack that runs in {args.data_dir}")
    try:
        return _Demo(args, console, ours=ours).run()
    finally:
        if ours and not args.keep:
            _say(console, "Stopping the stack (its data stay; --keep leaves it running)")
            down.run(argparse.Namespace(data_dir=args.data_dir, stages=[]))


def _up_arguments(args: argparse.Namespace) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    wished = ["--detach", "--refresh-s", "2"]
    if args.workers:
        wished += ["--workers", str(args.workers)]
    return parser.parse_args(wished, argparse.Namespace(data_dir=args.data_dir))


class _Demo:
    """One demonstration on a running stack."""

    def __init__(self, args: argparse.Namespace, console: Console, *, ours: bool) -> None:
        self._data_dir: Final[Path] = args.data_dir
        self._console: Final = console
        self._ours: Final = ours
        self._keep: Final[bool] = args.keep
        self._told: Final[dict[str, Any]] = endpoints.read(args.data_dir)
        seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
        self._acknowledged: Final = self._data_dir / f"acknowledged-{seed}.ndjson"
        self._plan: Final = Plan(
            url=load.ingest_url(self._told["gateway"]),
            clients=args.viewers,
            rate=args.rate,
            seconds=args.seconds,
            batch=20,
            repeat=0.05,
            seed=seed,
        )

    def run(self) -> int:
        """Watch, wait for the files, query, reconcile, and say where everything is."""
        plan = self._plan
        _say(self._console, f"{plan.clients} simulated viewers watch for {plan.seconds:.0f} s (seed {plan.seed})")
        self._console.print(f"see them live on {self._told['gateway']}/", markup=False)
        tally, totals, counted = asyncio.run(self._watch())
        self._console.print(load.render(load.summary(plan, tally, self._acknowledged)), end="", markup=False)
        whole = load.is_whole(tally) and (not self._ours or counted == tally.events)
        _say(self._console, "Reconciling the daily files with the raw archive (the first day waits for the files)")
        drift = self._reconcile(totals)

        _say(self._console, "Asking the files")
        self._query()
        self._tell_places()
        self._console.print(f"\n{tally.events:,} events were acknowledged now, and the totals grew by {counted:,}.")
        verdict = "[bold green]drift=0" if whole and not drift else f"[bold red]drift={drift} whole={whole}"
        self._console.print(verdict)
        return 0 if whole and not drift else 1

    async def _watch(self) -> tuple[Tally, set[str], int]:
        """Post the plan and show totals until they hold all of it; return the tally, the days, and events counted."""
        totals = LiveTotals()
        reader = DailyReader(self._told["bootstrap_servers"], totals)
        await reader.start()
        try:
            before, days_before = totals.events(), totals.days()
            with self._acknowledged.open("wb", buffering=1 << 20) as file:
                loop = OpenLoop(self._plan, file.write)
                posting = asyncio.create_task(loop.run())
                with _Shown(self._console, totals) as shown:
                    while not posting.done():
                        await reader.poll()
                        shown.update(loop.tally.events)
                    tally = posting.result()
                    await self._await_totals(reader, totals, before, tally, shown)
            changed = {dt for dt, seen in totals.days().items() if days_before.get(dt) != seen}
            return tally, changed, totals.events() - before
        finally:
            await reader.stop()

    async def _await_totals(
        self, reader: DailyReader, totals: LiveTotals, before: int, tally: Tally, shown: _Shown
    ) -> None:
        deadline = time.monotonic() + _COUNTED_WITHIN_S
        while totals.events() - before < tally.events:
            if time.monotonic() > deadline:
                return  # what is missing is told by the caller
            await reader.poll()
            shown.update(tally.events)

    def _reconcile(self, days: set[str]) -> int:
        drift = 0
        for dt in sorted(days):
            try:
                finding = reconcile_command.find(self._data_dir, dt, wait_s=60.0)
            except reconcile_command.UNTOLD_ERRORS as error:
                raise DeployError(f"{dt} could not be reconciled: {error}") from error
            self._console.print(reconcile_command.render(finding), end="", markup=False)
            drift += finding.drift
        return drift

    def _query(self) -> None:
        with connect(lake_of(self._data_dir, os.environ)) as connection:
            for statement in (_DAYS, _TOP_VIDEOS):
                names, types, rows = query_command.ask(connection, statement)
                self._console.print(output.to_table(names, types, rows))

    def _tell_places(self) -> None:
        told, data_dir = self._told, self._data_dir
        runs = not self._ours or self._keep
        given = "" if data_dir == Path(".watchtime").resolve() else f" --data-dir {data_dir}"
        _say(self._console, "Where everything is")
        lines = [
            f"dashboard     {told['gateway']}/",
            f"gateway       {told['gateway']}  (POST /ingest; health at /health)",
            f"metrics       {told['metrics']}",
            f"lake          {told['lake']}" + (f"  at {told['s3_endpoint']}" if told["s3_endpoint"] else ""),
            f"broker        {told['bootstrap_servers']}",
            f"addresses     {data_dir / 'endpoints.json'}",
            f"logs          {data_dir / 'logs'}",
            f"acknowledged  {self._acknowledged}",
            "go on with    " + ("" if runs else f"watchtime up --detach{given}, then ") + f"watchtime status{given}",
            f'              watchtime query{given} "FROM channel_daily ORDER BY watch_ms DESC LIMIT 5"',
            f"              watchtime load{given} --rate 2000 --seconds 30",
        ]
        self._console.print("\n".join(lines), markup=False)


class _Shown:
    """Totals on the screen: tables on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, totals: LiveTotals) -> None:
        self._totals = totals
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def update(self, posted: int) -> None:
        """Show the totals as they are now."""
        if self._live:
            self._live.update(self._totals.draw(posted), refresh=True)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _PLAIN_LINE_S
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.write(f"  {self._totals.line(posted)}\n")
                sys.stdout.flush()


def _say(console: Console, text: str) -> None:
    console.print(f"\n[bold]{text}")
