"""Settings of a sinks worker, read from the environment once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from sinks.keys import FORMATS, Format
from streams.brokers import DEFAULT_GROUP, DEFAULT_SERVERS, Brokers, Security, group_of
from streams.contract.days import DAY_RULES, DayRule
from streams.variables import MAX_PORT, SettingsError, choice, switch, text, whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker needs to know; each field names its variable. S3 credentials are boto3's own AWS_* variables."""

    #: SINKS_LAKE: where files go: s3://bucket, s3://bucket/prefix or file:///folder.
    lake: str
    #: SINKS_S3_ENDPOINT: URL of an S3 server other than AWS.
    s3_endpoint: str = ""
    #: KAFKA_BOOTSTRAP_SERVERS: host:port of brokers, separated by commas.
    bootstrap_servers: str = DEFAULT_SERVERS
    #: KAFKA_SECURITY_PROTOCOL and the other variables of streams/brokers.py.
    security: Security = field(default_factory=Security)
    #: WATCHTIME_GROUP: prefix of consumer groups; one for each stack on a cluster.
    group: str = DEFAULT_GROUP
    #: SINKS_FORMAT: parquet, or jsonl for files as the reference wrote them. Fixed for the life of a lake.
    form: Format = "parquet"
    #: STREAMS_DAY: the rule by which the streams count days, for the lake to remember; None: not told.
    day_rule: DayRule | None = None
    #: SINKS_REFRESH_S: shortest time between two writes of one object.
    refresh_s: float = 10.0
    #: SINKS_INSTANCE: a name that stays with this worker over restarts, for a return without a rebalance.
    instance: str = ""
    #: SINKS_SESSION_TIMEOUT_MS: how long a silent worker keeps its partitions.
    session_timeout_ms: int = 8_000
    #: STREAMS_CLIENT_TABLE: on writes files of the rows per client too.
    client_table: bool = False
    #: SINKS_METRICS_HOST and SINKS_METRICS_PORT: where Prometheus reads; port 0 turns it off.
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0

    @property
    def brokers(self) -> Brokers:
        """The brokers, and how to get in."""
        return Brokers(self.bootstrap_servers, self.security)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings that an environment asks for; SettingsError names the variable that is wrong."""
        lake = text(environ, "SINKS_LAKE")
        if not lake:
            raise SettingsError("SINKS_LAKE is not set: give s3://bucket, s3://bucket/prefix or file:///folder")
        brokers = Brokers.from_env(environ)
        return cls(
            lake=lake,
            s3_endpoint=text(environ, "SINKS_S3_ENDPOINT"),
            bootstrap_servers=brokers.servers,
            security=brokers.security,
            group=group_of(environ),
            form=cast("Format", choice(environ, "SINKS_FORMAT", FORMATS, cls.form)),
            day_rule=cast("DayRule", choice(environ, "STREAMS_DAY", DAY_RULES, "")) or None,
            refresh_s=_seconds(environ, "SINKS_REFRESH_S", cls.refresh_s),
            instance=text(environ, "SINKS_INSTANCE"),
            session_timeout_ms=whole(environ, "SINKS_SESSION_TIMEOUT_MS", cls.session_timeout_ms, least=1_000),
            client_table=switch(environ, "STREAMS_CLIENT_TABLE"),
            metrics_host=text(environ, "SINKS_METRICS_HOST", cls.metrics_host),
            metrics_port=whole(environ, "SINKS_METRICS_PORT", cls.metrics_port, MAX_PORT),
        )


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    found = text(environ, name, str(default))
    try:
        seconds = float(found)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 24 * 3_600:
        raise SettingsError(f"{name}={found!r}: use a number of seconds above 0, at most a day")
    return seconds
