"""Settings of a stream worker, read from the environment once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from streams.brokers import DEFAULT_GROUP, DEFAULT_SERVERS, Brokers, BrokersError, Security, group_of
from streams.contract.days import DAY_RULES, DayRule
from streams.contract.topics import DEFAULT_PARTITIONS, DEFAULT_SHARDS


class SettingsError(Exception):
    """A variable of the environment holds a value that cannot be used."""


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
        day_rule = environ.get("STREAMS_DAY", cls.day_rule)
        if day_rule not in DAY_RULES:
            raise SettingsError(f"STREAMS_DAY={day_rule!r}: use one of {', '.join(DAY_RULES)}")
        client_table = environ.get("STREAMS_CLIENT_TABLE", "off")
        if client_table not in {"on", "off"}:
            raise SettingsError(f"STREAMS_CLIENT_TABLE={client_table!r}: use on or off")
        try:
            brokers = Brokers.from_env(environ)
        except BrokersError as error:
            raise SettingsError(str(error)) from error
        return cls(
            bootstrap_servers=brokers.servers,
            security=brokers.security,
            group=group_of(environ),
            day_rule=cast("DayRule", day_rule),
            client_table=client_table == "on",
            partitions=_number(environ, "STREAMS_PARTITIONS", cls.partitions, least=1),
            shards=_number(environ, "STREAMS_SHARDS", cls.shards, least=1),
            replication=_number(environ, "STREAMS_REPLICATION", cls.replication, least=1),
            instance=environ.get("STREAMS_INSTANCE", cls.instance),
            session_timeout_ms=_number(environ, "STREAMS_SESSION_TIMEOUT_MS", cls.session_timeout_ms, least=1_000),
            # Blank is as unset: a server would take it for every address.
            metrics_host=environ.get("STREAMS_METRICS_HOST", "").strip() or cls.metrics_host,
            metrics_port=_number(environ, "STREAMS_METRICS_PORT", cls.metrics_port, least=0),
        )


def _number(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environ.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise SettingsError(f"{name}={text!r}: use a whole number of at least {least}")
    return int(text)
