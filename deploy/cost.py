"""`python -m deploy.cost`: what a month on AWS costs, for the sizes of deploy/COST.md. Pure, by formulas and inputs.

Each line of the table is one function of a size, the measured figures and the prices, so that a reader can redo it with
prices of their own: `python -m deploy.cost --price gateway_hour=0.03`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from deploy.cost_inputs import SIZES, Figures, Prices, Size

HOURS: Final = 730.0
DAYS: Final = 30.4
GB: Final = 1e9
MILLION: Final = 1e6
ZONES: Final = 3
COPIES: Final = 3
EVENTS_KEPT_DAYS: Final = 14
TABLES: Final = 4


class Month:
    """A month of one size."""

    def __init__(self, size: Size, figures: Figures, prices: Prices) -> None:
        self.size, self.figures, self.prices = size, figures, prices
        self.events_day = size.viewers * figures.hours_per_day * figures.events_per_hour
        #: In the busiest hour; of one viewer, while they watch.
        self.events_s = max(self.events_day / 86_400 * figures.peak, figures.events_per_hour / 3_600)
        self.posts_month = self.events_day / figures.events_per_post * DAYS
        self.gb_day = self.events_day * figures.event_bytes / GB
        #: Viewers at the same time on average.
        self.at_once = size.viewers * figures.hours_per_day / 24
        #: Share of a day in which anything is watched at all.
        self.awake = min(1.0, self.at_once)
        #: Raw partitions that get something within one refresh of the average hour.
        self.busy_partitions: float = size.partitions * (1 - (1 - 1 / size.partitions) ** max(1.0, self.at_once))

    def gateways(self) -> int:
        """Return the tasks of the busiest hour."""
        posts_s = self.events_s / self.figures.events_per_post
        return max(self.size.least_gateways, math.ceil(posts_s / (self.figures.gateway_posts_s * self.figures.load)))

    def streams(self) -> int:
        """Return the workers of the busiest hour."""
        rate = self.figures.streams_events_s * self.figures.load
        return max(self.size.least_streams, math.ceil(self.events_s / rate))

    def sinks(self) -> int:
        """Return the workers of the busiest hour."""
        return math.ceil(self.events_s / (self.figures.sinks_events_s * self.figures.load))

    def brokers(self) -> int:
        """Return the brokers, the same number in each zone."""
        bytes_s = self.events_s * self.figures.event_bytes * (1 + self.figures.written_again) * COPIES
        return ZONES * max(1, math.ceil(bytes_s / (ZONES * self.figures.broker_bytes_s)))

    def fargate(self) -> float:
        """Return the price of all tasks, as if every hour were the busiest."""
        vcpu, gb = self.prices.fargate_vcpu_hour, self.prices.fargate_gb_hour
        return HOURS * (self.gateways() * (vcpu + 2 * gb) + (self.streams() + self.sinks()) * (vcpu + 4 * gb))

    def broker_hours(self) -> float:
        """Return the price of the brokers without their disks."""
        hour: float = getattr(self.prices, self.size.broker)
        return HOURS * self.brokers() * hour

    def broker_disks(self) -> float:
        """Return the price of the disks: events of 14 days in three copies, as much again for the rest; 10 GB least."""
        events_gb = self.gb_day * EVENTS_KEPT_DAYS * COPIES
        # Disks grow when they are 60% full.
        return max(events_gb * 1.5 / 0.6, 10.0 * self.brokers()) * self.prices.broker_gb_month

    def balancer(self) -> float:
        """Return the price of the load balancer: the dearest of bytes and open connections."""
        gb_hour = self.gb_of_requests() / HOURS
        units = max(gb_hour, self.at_once / 3_000)  # each viewer has a connection open
        return HOURS * (self.prices.balancer_hour + units * self.prices.balancer_unit_hour)

    def gb_of_requests(self) -> float:
        """Return GB of requests and answers in a month."""
        figures = self.figures
        body = figures.events_per_post * figures.event_bytes
        return self.posts_month * (body + figures.request_bytes + figures.answer_bytes) / GB

    def firewall(self) -> float:
        """Return the price of the firewall."""
        return self.prices.firewall_month + self.posts_month / MILLION * self.prices.firewall_million

    def endpoints(self) -> float:
        """Return the price of the four interface endpoints in three zones."""
        return 4 * ZONES * HOURS * self.prices.endpoint_hour

    def zones(self) -> float:
        """Return the price of bytes between zones, two in three: events in once and out twice, the rest in and out."""
        gb = self.gb_day * DAYS * 2 / 3
        return gb * (1 + 2 + 2 * self.figures.written_again) * self.prices.zone_gb

    def internet(self) -> float:
        """Return the price of the answers."""
        return self.posts_month * self.figures.answer_bytes / GB * self.prices.internet_gb

    def lake(self) -> float:
        """Return the price of what lies in the lake after a year: raw objects warm and cold, and daily files."""
        raw_day = self.gb_day * self.figures.gzip_share
        hot, all_days = self.figures.raw_hot_days, self.figures.raw_days
        files = self.size.videos * 1.3 * self.figures.row_bytes / GB * all_days
        warm = raw_day * min(hot, all_days) + files
        return warm * self.prices.s3_gb_month + raw_day * max(all_days - hot, 0) * self.prices.s3_cold_gb_month

    def writes(self) -> float:
        """Return the price of writes: each open raw chunk and each changed part file once a refresh."""
        refreshes = DAYS * 86_400 / self.size.refresh_s * self.awake
        # Late events change a tenth as many files of other days.
        files = TABLES * self.size.shards * 1.1
        return refreshes * (self.busy_partitions + files) / 1_000 * self.prices.s3_put_thousand

    def athena(self) -> float:
        """Return the price of the dashboards' refreshes, each over a week of the largest table or 10 MB."""
        read = max(10e6, 7 * self.size.videos * self.figures.row_bytes)
        return self.figures.queries_day * DAYS * read / 1e12 * self.prices.athena_tb

    def watching(self) -> float:
        """Return the price of being told: alarms, metrics, logs; and of key and secrets."""
        return self.prices.watching_month


SIZING: Final[dict[str, Callable[[Month], str]]] = {
    "events a day": lambda month: f"{month.events_day:,.0f}",
    "events a second, busiest hour": lambda month: f"{month.events_s:,.1f}",
    "MB of events a day": lambda month: f"{month.gb_day * 1_000:,.1f}",
    "partitions, shards": lambda month: f"{month.size.partitions}, {month.size.shards}",
    "brokers": lambda month: f"{month.brokers()} {month.size.broker.removesuffix('_hour').replace('_', '.')}",
    "gateways, stream workers, sinks": lambda month: f"{month.gateways()}, {month.streams()}, {month.sinks()}",
}
LINES: Final[dict[str, Callable[[Month], float]]] = {
    "MSK, brokers": Month.broker_hours,
    "MSK, disks": Month.broker_disks,
    "Fargate": Month.fargate,
    "load balancer": Month.balancer,
    "firewall": Month.firewall,
    "endpoints": Month.endpoints,
    "between zones": Month.zones,
    "answers to the internet": Month.internet,
    "S3, what lies there after a year": Month.lake,
    "S3, writes": Month.writes,
    "Athena": Month.athena,
    "alarms, logs, key, secrets": Month.watching,
}


def tables(figures: Figures, prices: Prices) -> str:
    """Return the tables of COST.md."""
    months = [Month(size, figures, prices) for size in SIZES]
    head = "| " + " | ".join(["", *(f"{size.viewers:,} viewer{'s' * (size.viewers > 1)}" for size in SIZES)]) + " |\n"
    head += "|---|" + "---:|" * len(SIZES) + "\n"
    sizing = "".join(_row(name, [tell(month) for month in months]) for name, tell in SIZING.items())
    costs = {name: [price(month) for month in months] for name, price in LINES.items()}
    totals = [sum(column) for column in zip(*costs.values(), strict=True)]
    lines = "".join(_row(name, [f"{one:,.2f}" for one in row]) for name, row in costs.items())
    each = [f"{total / size.viewers:,.4f}" for total, size in zip(totals, SIZES, strict=True)]
    dollars = lines + _row("**a month**", [f"**{one:,.0f}**" for one in totals]) + _row("a viewer and month", each)
    return f"{head}{sizing}\n{head}{dollars}\n{_inputs(figures)}\n{_inputs(prices)}"


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([name, *cells])} |\n"


def _inputs(of: Figures | Prices) -> str:
    rows = [f"| `{one.name}` | {getattr(of, one.name):,.6g} | {one.metadata['what']} |\n" for one in fields(of)]
    return f"| {'figure' if isinstance(of, Figures) else 'price'} | value | what |\n|---|---:|---|\n{''.join(rows)}"


def main(arguments: Sequence[str]) -> int:
    """Print the tables; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.cost", description="What a month on AWS costs.")
    parser.add_argument("--price", action="append", default=[], metavar="NAME=DOLLARS", help="another price; repeat it")
    parser.add_argument("--figure", action="append", default=[], metavar="NAME=VALUE", help="another figure; repeat it")
    args = parser.parse_args(arguments)
    try:
        figures, prices = _changed(Figures(), args.figure), _changed(Prices(), args.price)
    except ValueError as error:
        sys.stderr.write(f"cost: {error}\n")
        return 2
    sys.stdout.write(tables(figures, prices))
    return 0


def _changed(inputs: Any, words: Sequence[str]) -> Any:  # noqa: ANN401 - Figures or Prices, and the same again
    names = {one.name for one in fields(inputs)}
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in names:
            raise ValueError(f"there is no {name!r}; there are {', '.join(sorted(names))}")
        try:
            found[name] = float(value)
        except ValueError:
            raise ValueError(f"{word!r}: write NAME=NUMBER") from None
    return replace(inputs, **found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
