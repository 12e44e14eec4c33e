"""Inputs of the cost table: prices, figures and sizes; each says what it is, and whether it was measured. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


def _input(value: float, what: str) -> float:
    return field(default=value, metadata={"what": what})


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Dollars in us-east-1 without reductions, as known in November 2025: check them."""

    fargate_vcpu_hour: float = _input(0.04048, "Fargate, a vCPU, x86, an hour")
    fargate_gb_hour: float = _input(0.004445, "Fargate, a GB of memory, an hour")
    t3_small_hour: float = _input(0.0456, "MSK, kafka.t3.small, an hour")
    m7g_large_hour: float = _input(0.204, "MSK, kafka.m7g.large, an hour")
    broker_gb_month: float = _input(0.10, "MSK, a GB of disk, a month")
    balancer_hour: float = _input(0.0225, "load balancer, an hour")
    balancer_unit_hour: float = _input(0.008, "load balancer, a capacity unit, an hour")
    firewall_month: float = _input(7.0, "firewall with two rules, a month")
    firewall_million: float = _input(0.60, "firewall, a million requests")
    endpoint_hour: float = _input(0.01, "interface endpoint in one zone, an hour")
    zone_gb: float = _input(0.02, "a GB from zone to zone, both ends")
    internet_gb: float = _input(0.09, "a GB to the internet")
    s3_gb_month: float = _input(0.023, "S3 Standard, a GB, a month")
    s3_cold_gb_month: float = _input(0.0125, "S3 infrequent access, a GB, a month")
    s3_put_thousand: float = _input(0.005, "S3, a thousand writes")
    athena_tb: float = _input(5.0, "Athena, a TB read")
    watching_month: float = _input(15.0, "alarms, metrics, logs, key and secrets, a month")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Measured on this project, or assumed where it says so."""

    events_per_hour: float = _input(400, "events of an hour watched: a tick every 10 s, and starts, stops and pauses")
    hours_per_day: float = _input(1.0, "hours that a viewer watches on an average day (assumed)")
    peak: float = _input(3.0, "the busiest hour to the average one (assumed)")
    event_bytes: float = _input(650, "bytes of an event in topic and archive (measured)")
    gzip_share: float = _input(0.10, "what gzip leaves of it (measured on simulated viewers)")
    events_per_post: float = _input(1.0, "events in a POST: the extension sends each tick at once")
    gateway_posts_s: float = _input(
        5_960, "POSTs a second of a gateway (measured, one core; SCALING.md says in which run)"
    )
    streams_events_s: float = _input(58_000, "events a second of a stream worker (measured in the same run)")
    sinks_events_s: float = _input(25_000, "events a second of a sinks worker (from measured CPU; SCALING.md)")
    load: float = _input(0.4, "share of the measured rate at which a task is run; a vCPU is half a core")
    broker_bytes_s: float = _input(20e6, "bytes a second into a broker, copies included (assumed; far below its limit)")
    written_again: float = _input(2.0, "bytes of state, partials and rows for each byte of events (assumed)")
    answer_bytes: float = _input(350, "bytes of an answer with its headers")
    request_bytes: float = _input(900, "bytes of a request beside its events")
    row_bytes: float = _input(29, "bytes of a row in a parquet file (measured)")
    raw_hot_days: float = _input(45, "days before raw objects move to infrequent access")
    raw_days: float = _input(365, "days of raw objects that are counted here")
    queries_day: float = _input(144, "Athena queries a day: QuickSight's refreshes, each over a week")


@dataclass(frozen=True, kw_only=True)
class Size:
    """A stack for so many viewers."""

    viewers: int
    #: Different videos that all of them watch in a day (assumed).
    videos: int
    broker: str
    partitions: int
    shards: int
    refresh_s: int
    least_gateways: int
    least_streams: int


SIZES: Final = (
    Size(
        viewers=1,
        videos=8,
        broker="t3_small_hour",
        partitions=4,
        shards=1,
        refresh_s=60,
        least_gateways=1,
        least_streams=1,
    ),
    Size(
        viewers=10_000,
        videos=50_000,
        broker="m7g_large_hour",
        partitions=64,
        shards=1,
        refresh_s=60,
        least_gateways=2,
        least_streams=2,
    ),
    Size(
        viewers=1_000_000,
        videos=2_000_000,
        broker="m7g_large_hour",
        partitions=64,
        shards=8,
        refresh_s=60,
        least_gateways=2,
        least_streams=2,
    ),
)
