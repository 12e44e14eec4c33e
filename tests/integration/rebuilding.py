"""Rebuilds of days in folders, as tests ask for them."""

from __future__ import annotations

import json

from sinks.lake import Lake
from sinks.rebuild import Rebuild, Wish
from sinks.rebuild_part import Reading
from sinks.rebuild_shape import Shape
from sinks.reconcile_day import Stack


def quiet(_):
    return None


def folder_lake(folder):
    return Lake(url=folder.as_uri())


def stack(lake, *, client_table=False, day_rule="event"):
    return Stack(
        lake=lake,
        bootstrap_servers="127.0.0.1:1",
        group="none",
        day_rule=day_rule,
        client_table=client_table,
    )


def wish(folder, dt, *sources, shape=None, **reading):
    return Wish(
        dt=dt,
        sources=sources,
        reading=Reading(**reading),
        folder=folder / "work" / dt,
        default_shape=shape or Shape("jsonl", 1),
    )


async def rebuild(folder, dt, *sources, lake=None, **options):
    """Rebuild a day of a lake, that in `folder`/lake if none is named; return the outcome."""
    named = {name: options.pop(name) for name in ("client_table", "day_rule") if name in options}
    work = Rebuild(stack(lake or folder_lake(folder / "lake"), **named), wish(folder, dt, *sources, **options))
    outcome = await work.prepare(quiet)
    await work.write(quiet)
    return outcome


def rows(body):
    return [json.loads(line) for line in body.decode().splitlines()]
