"""Settings of a stream worker, read from the environment once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from streams.brokers import DEFAULT_GROUP, DEFAULT_SERVERS, Brokers, Security, group_of
from streams.contract.days import DAY_RULES, DayRule
from streams.contract.topics import DEFAULT_PARTITIONS, DEFAULT_SHARDS
from streams.variables import MAX_PORT, choice, switch, text, whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a worker needs to know; each field names its variable."""

    #: KAFKA_BOOTSTRAP_SERVERS: host:port of brokers, separated by commas.
    bootstrap_servers: str = DEFAULT_SERVERS
    #: KAFKA_SECURITY_PROTOCOL and the other variables of streams/brokers.py.
    security: Security = field(default_factory=Security)
    #: WATCHTIME_GROUP: prefix of consumer groups and transactional ids; one for each stack on a cluster.
    group: str = DEFAULT_GROUP
    #: STREAMS_DAY: which day an event counts in: event (its own time), received, or local (the viewer's day).
    day_rule: DayRule = "event"
    #: STREAMS_CLIENT_TABLE: on keeps rows per client too, for panels that consented.
    client_table: bool = False
    #: STREAMS_PARTITIONS: P, partitions of the raw topic; fixed for the life of a stack.
    partitions: int = DEFAULT_PARTITIONS
    #: STREAMS_SHARDS: Q, partitions of partials and daily topics; fixed for the life of a stack.
    shards: int = DEFAULT_SHARDS
    #: STREAMS_REPLICATION: copies of each topic when this worker has to create them.
    replication: int = 1
    #: STREAMS_INSTANCE: a name that stays with this worker over restarts, for a return without a rebalance.
    instance: str = ""
    #: STREAMS_SESSION_TIMEOUT_MS: how long a silent worker keeps its partitions.
    session_timeout_ms: int = 8_000
    #: STREAMS_METRICS_HOST and STREAMS_METRICS_PORT: where Prometheus reads; port 0 turns it off.
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0

    @property
    def brokers(self) -> Brokers:
        """The brokers, and how to get in."""
        return Brokers(self.bootstrap_servers, self.security)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings that an environment asks for; SettingsError names the variable that is wrong."""
        brokers = Brokers.from_env(environ)
        return cls(
            bootstrap_servers=brokers.servers,
            security=brokers.security,
            group=group_of(environ),
            day_rule=cast("DayRule", choice(environ, "STREAMS_DAY", DAY_RULES, cls.day_rule)),
            client_table=switch(environ, "STREAMS_CLIENT_TABLE"),
            partitions=whole(environ, "STREAMS_PARTITIONS", cls.partitions, least=1),
            shards=whole(environ, "STREAMS_SHARDS", cls.shards, least=1),
            replication=whole(environ, "STREAMS_REPLICATION", cls.replication, least=1),
            instance=text(environ, "STREAMS_INSTANCE"),
            session_timeout_ms=whole(environ, "STREAMS_SESSION_TIMEOUT_MS", cls.session_timeout_ms, least=1_000),
            metrics_host=text(environ, "STREAMS_METRICS_HOST", cls.metrics_host),
            metrics_port=whole(environ, "STREAMS_METRICS_PORT", cls.metrics_port, MAX_PORT),
        )
