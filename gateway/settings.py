"""The gateway's settings, read once from environment variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway import variables
from streams.brokers import DEFAULT_GROUP, DEFAULT_SERVERS, Brokers, Security, group_of
from streams.variables import MAX_PORT, SettingsError, choice, switch, text
from streams.variables import whole as whole_number

_MANY: Final = 1_000_000
ENROLMENTS: Final = ("closed", "invite", "open")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set; each field is the variable `GATEWAY_<FIELD>` unless its comment names another."""

    #: Address and port that clients post to; port 0 takes a free one, which the log names.
    host: str = "127.0.0.1"
    port: int = 4000
    #: Address and port of `/metrics`.
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 4001
    #: Processes that share the port; also `--workers`. Limits per client and viewers count in each by itself.
    workers: int = 1
    #: Web origins allowed beside the own one and extensions: comma list, or `*` for any.
    cors_origins: frozenset[str] = field(default_factory=frozenset)
    #: Host names (without port) that requests may name beside loopback ones and `host`: comma list. A stack in
    #: containers lists its service name here, a public gateway its domain.
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    #: `on` lets a gateway without authentication listen on an address that other machines may reach. Meant for
    #: containers, whose published port is bound to loopback on the outside.
    open_bind: bool = False
    #: Proxies in front, whose X-Forwarded-For is believed: comma list of addresses and networks (10.0.0.0/16).
    trusted_proxies: frozenset[str] = field(default_factory=frozenset)

    #: `on` demands a token for every POST /ingest; its install becomes the client of the events.
    auth: bool = False
    #: Signing keys, made by `python -m gateway.keyring FILE`; read again when it changes.
    keys_file: Path | None = None
    #: Installs that are refused, one a line; read again when it changes. May not exist yet.
    revoked_file: Path | None = None
    #: Who is given a token by POST /enroll: nobody, who knows an invite code, or everybody.
    enroll: str = "invite"
    #: Invite codes, one a line; read again when it changes.
    invites_file: Path | None = None
    #: Enrolments granted or tried per hour and address.
    enroll_per_hour: int = 20
    #: Life of a token, days.
    token_days: int = 400

    #: Bytes of request bodies held at any one time (from reading to acknowledgement); beyond it: 503.
    max_in_flight_mib: int = 64
    #: Longest request line and longest single header, bytes; beyond it: 400. All of them together; beyond it: 431.
    max_header_bytes: int = 8_192
    max_all_headers_bytes: int = 32_768
    #: How long a client may take to send the headers of a request, and then its body, seconds.
    header_timeout_s: int = 10
    body_timeout_s: int = 20
    #: Connections at any one time; further ones are closed at once. 0: no limit.
    max_connections: int = 20_000
    #: Connections at any one time from one address. 0: no limit, the default without authentication; else 200.
    connections_per_address: int | None = None
    #: Requests a second from one install, and how many may come at once after a pause. 0: no limit. Default 5.
    install_rate: int | None = None
    install_burst: int = 120
    #: The same for one address. 0: no limit, the default without authentication; else 50.
    address_rate: int | None = None
    address_burst: int = 600

    #: `on` logs a line for each request: method, route, status, time.
    access_log: bool = False

    #: `off`: no live page, no /live and no /api.
    live: bool = True
    #: Who may look when authentication is on: `name:password`, one a line; read again when it changes.
    viewers_file: Path | None = None
    #: Rows of one table and day that are kept for the page, for the two newest days; a twentieth for older ones.
    live_rows: int = 20_000
    #: Viewers of the live page at any one time.
    live_streams: int = 1_000
    #: Where the daily files are, `s3://bucket[/prefix]` or `file:///folder`: the page then also shows days that the
    #: topics no longer hold. Empty: it does not.
    lake: str = ""
    #: URL of the S3 server of the lake; empty: AWS. Credentials are boto3's own variables.
    s3_endpoint: str = ""

    #: `KAFKA_BOOTSTRAP_SERVERS`: comma list of host:port.
    bootstrap_servers: str = DEFAULT_SERVERS
    #: `KAFKA_SECURITY_PROTOCOL` and the other variables of streams/brokers.py.
    security: Security = field(default_factory=Security)
    #: `WATCHTIME_GROUP`: prefix of the stages' groups, whose lag the live page shows.
    group: str = DEFAULT_GROUP

    def __post_init__(self) -> None:
        """Refuse combinations that would be unsafe."""
        if not self.open_bind and not self.auth and not is_loopback(self.host):
            raise SettingsError(
                f"GATEWAY_HOST is {self.host!r}, which other machines may reach, but this gateway does not ask for "
                "tokens: set GATEWAY_AUTH=on, or use 127.0.0.1, or set GATEWAY_OPEN_BIND=on if something else keeps "
                "strangers out (a container whose port is published on loopback only)"
            )
        if self.auth and self.keys_file is None:
            raise SettingsError("GATEWAY_AUTH=on needs GATEWAY_KEYS_FILE; `python -m gateway.keyring FILE` makes one")
        if self.auth and self.enroll == "invite" and self.invites_file is None:
            raise SettingsError("GATEWAY_ENROLL=invite needs GATEWAY_INVITES_FILE, a file with one code a line")

    @property
    def brokers(self) -> Brokers:
        """The brokers, and how to get in."""
        return Brokers(self.bootstrap_servers, self.security)

    def limit(self, name: str, with_auth: int) -> int:
        """Return a limit per client: as set, else none without authentication and `with_auth` with it."""
        value: int | None = getattr(self, name)
        if value is None:
            return with_auth if self.auth else 0
        return value

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings of an environment; SettingsError names the variable that is wrong."""

        def whole(name: str, most: int, least: int = 0) -> int:
            default: int = getattr(cls, name)
            return whole_number(environ, f"GATEWAY_{name.upper()}", default, most, least=least)

        def optional(name: str) -> int | None:
            return variables.optional_whole(environ, f"GATEWAY_{name.upper()}", _MANY)

        brokers = Brokers.from_env(environ)
        return cls(
            host=text(environ, "GATEWAY_HOST", cls.host),
            port=whole("port", MAX_PORT),
            metrics_host=text(environ, "GATEWAY_METRICS_HOST", cls.metrics_host),
            metrics_port=whole("metrics_port", MAX_PORT),
            workers=whole("workers", 256, least=1),
            cors_origins=variables.origins(environ.get("GATEWAY_CORS_ORIGINS", "")),
            allowed_hosts=frozenset(variables.listed(environ.get("GATEWAY_ALLOWED_HOSTS", ""))),
            open_bind=switch(environ, "GATEWAY_OPEN_BIND"),
            trusted_proxies=variables.networks(environ, "GATEWAY_TRUSTED_PROXIES"),
            auth=switch(environ, "GATEWAY_AUTH"),
            keys_file=variables.file(environ, "GATEWAY_KEYS_FILE"),
            revoked_file=variables.file(environ, "GATEWAY_REVOKED_FILE"),
            enroll=choice(environ, "GATEWAY_ENROLL", ENROLMENTS, cls.enroll),
            invites_file=variables.file(environ, "GATEWAY_INVITES_FILE"),
            enroll_per_hour=whole("enroll_per_hour", _MANY, least=1),
            token_days=whole("token_days", 3_650, least=1),
            max_in_flight_mib=whole("max_in_flight_mib", 65_536, least=1),
            max_header_bytes=whole("max_header_bytes", 65_536, least=1_024),
            max_all_headers_bytes=whole("max_all_headers_bytes", 1_048_576, least=1_024),
            header_timeout_s=whole("header_timeout_s", 3_600, least=1),
            body_timeout_s=whole("body_timeout_s", 3_600, least=1),
            max_connections=whole("max_connections", _MANY),
            connections_per_address=optional("connections_per_address"),
            install_rate=optional("install_rate"),
            install_burst=whole("install_burst", _MANY, least=1),
            address_rate=optional("address_rate"),
            address_burst=whole("address_burst", _MANY, least=1),
            access_log=switch(environ, "GATEWAY_ACCESS_LOG"),
            live=switch(environ, "GATEWAY_LIVE", default=True),
            viewers_file=variables.file(environ, "GATEWAY_VIEWERS_FILE"),
            live_rows=whole("live_rows", _MANY, least=20),
            live_streams=whole("live_streams", 10_000, least=1),
            lake=variables.lake(environ, "GATEWAY_LAKE"),
            s3_endpoint=text(environ, "GATEWAY_S3_ENDPOINT"),
            bootstrap_servers=brokers.servers,
            security=brokers.security,
            group=group_of(environ),
        )


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
