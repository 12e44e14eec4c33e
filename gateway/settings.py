"""The gateway's settings, read once from environment variables."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ANY_ORIGIN: Final = "*"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#]+")
_MAX_PORT: Final = 65_535


class SettingsError(ValueError):
    """A variable of the environment holds a value that the gateway cannot work with."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set; each field is the variable `GATEWAY_<FIELD>` unless its comment names another."""

    #: Address and port that clients post to; port 0 takes a free one, which the log names.
    host: str = "127.0.0.1"
    port: int = 4000
    #: Address and port of `/metrics`.
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 4001
    #: Web origins allowed beside the own one and extensions: comma list, or `*` for any.
    cors_origins: frozenset[str] = field(default_factory=frozenset)
    #: Host names (without port) that requests may name beside loopback ones and `host`: comma list. A stack in
    #: containers lists its service name here.
    allowed_hosts: frozenset[str] = field(default_factory=frozenset)
    #: `on` lets a gateway without authentication listen on an address that other machines may reach. Meant for
    #: containers, whose published port is bound to loopback on the outside.
    open_bind: bool = False
    #: Bytes of request bodies held at any one time (from reading to acknowledgement); beyond it: 503.
    max_in_flight_mib: int = 64
    #: `KAFKA_BOOTSTRAP_SERVERS`: comma list of host:port.
    bootstrap_servers: str = "127.0.0.1:9092"

    def __post_init__(self) -> None:
        """Refuse combinations that would be unsafe."""
        if not self.open_bind and not is_loopback(self.host):
            raise SettingsError(
                f"GATEWAY_HOST is {self.host!r}, which other machines may reach, but this gateway does not ask for "
                "tokens: use 127.0.0.1, or set GATEWAY_OPEN_BIND=on if something else keeps strangers out "
                "(a container whose port is published on loopback only)"
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings of an environment; SettingsError names the variable that is wrong."""
        return cls(
            host=environ.get("GATEWAY_HOST", cls.host),
            port=_whole(environ, "GATEWAY_PORT", cls.port, _MAX_PORT),
            metrics_host=environ.get("GATEWAY_METRICS_HOST", cls.metrics_host),
            metrics_port=_whole(environ, "GATEWAY_METRICS_PORT", cls.metrics_port, _MAX_PORT),
            cors_origins=_origins(environ.get("GATEWAY_CORS_ORIGINS", "")),
            allowed_hosts=frozenset(_listed(environ.get("GATEWAY_ALLOWED_HOSTS", ""))),
            open_bind=_switch(environ, "GATEWAY_OPEN_BIND"),
            max_in_flight_mib=_whole(environ, "GATEWAY_MAX_IN_FLIGHT_MIB", cls.max_in_flight_mib, 65_536, least=1),
            bootstrap_servers=environ.get("KAFKA_BOOTSTRAP_SERVERS", cls.bootstrap_servers),
        )


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _whole(environ: Mapping[str, str], name: str, default: int, most: int, *, least: int = 0) -> int:
    text = environ.get(name, "").strip() or str(default)
    if not text.isdecimal() or not text.isascii() or not least <= int(text) <= most:
        raise SettingsError(f"{name} must be a whole number from {least} to {most}, not {text!r}")
    return int(text)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip() or "off"
    if text not in {"on", "off"}:
        raise SettingsError(f"{name} must be on or off, not {text!r}")
    return text == "on"


def _origins(text: str) -> frozenset[str]:
    origins = _listed(text)
    for origin in origins:
        if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"GATEWAY_CORS_ORIGINS holds {origin!r}: an origin is scheme://host[:port] without a path, or *"
            )
    return frozenset(origins)


def _listed(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]
