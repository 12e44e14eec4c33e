"""Part `growth`: what more clients, videos, partitions or days cost an event; a picture each in docs/growth.

One stream worker over topics of one event a record. What is not on the axis is as in part `streams`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.local.broker import LocalBroker
from deploy.local.cache import Cache
from tests.bench import ours
from tests.bench.raw_topic import Shape, fill, fresh
from tests.bench.report import Part, Plan, mark, number, table
from tests.bench.svg import Panel, chart

PICTURES = Path(__file__).parents[2] / "docs" / "growth"
EVENTS = 150_000
PARTITIONS = 4


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One curve: the field of a shape (or the number of partitions) that grows."""

    name: str
    title: str
    x_title: str
    values: Sequence[float]
    log_x: bool = True
    base: Shape = field(default_factory=Shape)

    def shape(self, value: float) -> Shape:
        """Return the events at one point."""
        if self.name == "partitions":
            return self.base
        return replace(self.base, **{self.name: value if self.name == "zipf" else int(value)})  # type: ignore[arg-type]


AXES = (
    Axis(name="clients", title="More clients", x_title="clients", values=(1_000, 10_000, 100_000, 1_000_000)),
    Axis(
        name="videos",
        title="More videos, all alike",
        x_title="videos",
        values=(1_000, 10_000, 100_000, 1_000_000),
        base=Shape(zipf=0),
    ),
    Axis(
        name="zipf",
        title="One viral video",
        x_title="popularity of the n-th: n to the minus this",
        values=(0, 0.5, 1, 1.5, 2),
        log_x=False,
    ),
    Axis(name="partitions", title="More partitions on one worker", x_title="partitions", values=(1, 4, 16, 64)),
    Axis(name="days", title="More days open", x_title="days that events fall into", values=(1, 2, 4, 8), log_x=False),
)


async def measure(plan: Plan) -> Part:
    """Return the curves, and draw them."""
    part = Part(title="Growth: one worker, one event a record")
    body = []
    PICTURES.mkdir(parents=True, exist_ok=True)
    for axis in AXES:
        points = await _curve(plan, part, axis)
        part.figures[axis.name] = points
        if not points:
            continue
        (PICTURES / f"{axis.name}.svg").write_text(picture(axis, points))
        body += [
            [
                f"{axis.title}: {plain(point['x'])}{mark([point])}",
                number(point["events_per_s"]),
                number(point["cpu_s_per_million"], 1),
                number(point["rss_mb"]),
            ]
            for point in points
        ]
    part.markdown += [*table(["", "events/s", "CPU µs an event", "memory MiB"], body), "", "Pictures: docs/growth/."]
    return part


async def _curve(plan: Plan, part: Part, axis: Axis) -> list[dict[str, Any]]:
    # A broker for each curve: topics that were deleted still cost it something for a while.
    broker = LocalBroker(Path(plan.folder, f"growth-{axis.name}"), Cache.from_env(os.environ), jvm=())
    await broker.start()
    points = []
    try:
        for value in axis.values:
            shape = axis.shape(value)
            # Each client and each video comes, as far as the plan's scale allows.
            most = max(shape.clients, shape.videos)
            events = max(plan.events(EVENTS), plan.events(most) if most > EVENTS else 0)
            partitions = int(value) if axis.name == "partitions" else PARTITIONS
            await fresh(broker.bootstrap_servers, partitions)
            await fill(broker.bootstrap_servers, events, shape, partitions)
            try:
                point = await ours.fold(
                    bootstrap_servers=broker.bootstrap_servers,
                    broker_pid=broker.pid,
                    folder=plan.folder,
                    events=events,
                    partitions=partitions,
                )
            except (RuntimeError, TimeoutError) as error:
                part.skipped[f"{axis.title}: {plain(value)}"] = str(error) or "not done in time"
                plan.say(f"{axis.title}: {plain(value)}: failed, {error}")
                continue
            told = f"{point['events_per_s']:,.0f} events/s, {point['cpu_s_per_million']:.1f} CPU µs an event"
            plan.say(f"{axis.title}: {plain(value)}: {told}, {point['rss_mb']:.0f} MiB, others {point['others']:.0%}")
            points.append({"x": value, "events": events, **point})
    finally:
        broker.stop()
    return points


def plain(value: float) -> str:
    """Return a place on an axis as people write it."""
    return f"{value:,.1f}".removesuffix(".0")


def picture(axis: Axis, points: Sequence[dict[str, Any]]) -> str:
    """Return the curve as SVG."""
    names = {"events_per_s": "events a second", "cpu_s_per_million": "CPU µs an event", "rss_mb": "memory, MiB"}
    panels = [Panel(title=title, values=[point[name] for point in points]) for name, title in names.items()]
    return chart(axis.title, axis.x_title, [point["x"] for point in points], panels, log_x=axis.log_x)
