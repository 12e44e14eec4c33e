"""Who may call a gateway by where it stands: rules for the Host and Origin headers. Pure.

Listening on loopback keeps other machines out, not the web pages open in this machine's browser. Any page can
post to 127.0.0.1; its browser says so in Origin. A page can also point a name of its own at 127.0.0.1 and thereby
pass as same-origin (DNS rebinding); the name then shows in Host.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.settings import Settings
from gateway.variables import ANY_ORIGIN

_EXTENSION = re.compile(r"(?:chrome|moz|safari-web)-extension://[0-9a-z-]+")
_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Origins:
    """The rules as set for one gateway."""

    def __init__(self, settings: Settings) -> None:
        configured = settings.host.lower()
        if ":" in configured and not configured.startswith("["):
            configured = f"[{configured}]"
        self._hosts = _LOOPBACK_NAMES | settings.allowed_hosts | {configured}
        self._listed = settings.cors_origins
        #: Behind a proxy that speaks TLS the own page has an https origin.
        self._own_schemes = ("http", "https") if settings.auth else ("http",)
        self._any = ANY_ORIGIN in settings.cors_origins

    def host_allowed(self, host: str) -> bool:
        """Whether a Host header (name, maybe with a port) names this gateway."""
        return host_name(host) in self._hosts

    def origin_allowed(self, origin: str | None, host: str) -> bool:
        """Whether a request with this Origin (None: no browser page sent it) and this Host may pass."""
        if origin is None or self._any:
            return True
        origin = origin.lower()
        own = any(origin == f"{scheme}://{host.lower()}" for scheme in self._own_schemes)
        return own or bool(_EXTENSION.fullmatch(origin)) or origin in self._listed

    def allow_origin(self, origin: str) -> str:
        """Return the Access-Control-Allow-Origin of an answer to an allowed origin."""
        return ANY_ORIGIN if self._any else origin


def host_name(host: str) -> str:
    """Return the name in a Host header: lower case, without the port, IPv6 addresses in brackets."""
    name, colon, port = host.lower().rpartition(":")
    is_port = not port or (port.isascii() and port.isdecimal())
    return name if colon and is_port and not name.endswith(":") else host.lower()
