"""Where the brokers are and how a client gets in, as the environment says. Rules only: `connect` makes options of it.

Every stage and tool reads the same variables, so that one set of them moves a whole stack to a cluster that encrypts
and asks who is there. A password is in no representation of these objects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from streams.variables import SettingsError, text

DEFAULT_SERVERS: Final = "127.0.0.1:9092"
DEFAULT_GROUP: Final = "watchtime"
PLAIN: Final = "PLAINTEXT"
TLS: Final = "SSL"
SASL_TLS: Final = "SASL_SSL"
SASL_PLAIN: Final = "SASL_PLAINTEXT"
PROTOCOLS: Final = (PLAIN, TLS, SASL_TLS, SASL_PLAIN)

SCRAM_512: Final = "SCRAM-SHA-512"
SCRAM_256: Final = "SCRAM-SHA-256"
MSK_IAM: Final = "AWS_MSK_IAM"
MECHANISMS: Final = (SCRAM_512, SCRAM_256, MSK_IAM)

_SASL_VARIABLES: Final = (
    "KAFKA_SASL_MECHANISM",
    "KAFKA_SASL_USERNAME",
    "KAFKA_SASL_PASSWORD",
    "KAFKA_SASL_PASSWORD_FILE",
)
#: Every variable below, for those who start processes that must not inherit them.
SECURITY_VARIABLES: Final = ("KAFKA_SECURITY_PROTOCOL", *_SASL_VARIABLES, "KAFKA_SSL_CAFILE")


class BrokersError(SettingsError):
    """The variables do not say how to get to the brokers; the text names the variable."""


def group_of(environ: Mapping[str, str]) -> str:
    """Return WATCHTIME_GROUP, the prefix of a stack's consumer groups and transactional ids; blank is as unset."""
    return text(environ, "WATCHTIME_GROUP", DEFAULT_GROUP)


@dataclass(frozen=True, kw_only=True)
class Security:
    """How a client gets in; each field names its variable."""

    #: KAFKA_SECURITY_PROTOCOL: PLAINTEXT, SSL (encrypted), SASL_SSL (and with a user); SASL_PLAINTEXT on loopback.
    protocol: str = PLAIN
    #: KAFKA_SASL_MECHANISM: how the user is proved.
    mechanism: str = ""
    #: KAFKA_SASL_USERNAME, and KAFKA_SASL_PASSWORD or the file named by KAFKA_SASL_PASSWORD_FILE.
    username: str = ""
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    #: KAFKA_SSL_CAFILE: certificates (PEM) of the authorities that are believed; none: those of the system.
    cafile: Path | None = None
    #: AWS_REGION or AWS_DEFAULT_REGION, for AWS_MSK_IAM.
    region: str = ""

    @property
    def encrypts(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol in {TLS, SASL_TLS}

    @classmethod
    def from_env(cls, environ: Mapping[str, str], servers: str) -> Self:
        """Return the security that an environment asks for on its way to `servers`. Empty variables count as unset."""
        told = {name: text(environ, name) for name in SECURITY_VARIABLES}
        # A password may begin or end with a blank.
        told["KAFKA_SASL_PASSWORD"] = environ.get("KAFKA_SASL_PASSWORD", "")
        protocol = told["KAFKA_SECURITY_PROTOCOL"] or PLAIN
        if protocol not in PROTOCOLS:
            raise BrokersError(f"KAFKA_SECURITY_PROTOCOL={protocol!r}: use {', '.join(PROTOCOLS[:-1])}")
        cafile = Path(told["KAFKA_SSL_CAFILE"]) if told["KAFKA_SSL_CAFILE"] else None
        if cafile and protocol not in {TLS, SASL_TLS}:
            raise BrokersError(
                f"KAFKA_SSL_CAFILE is set, but KAFKA_SECURITY_PROTOCOL={protocol} does not encrypt: use SSL or SASL_SSL"
            )
        if protocol in {PLAIN, TLS}:
            # Whoever sets a password believes that it is asked for.
            if named := [name for name in _SASL_VARIABLES if told[name]]:
                raise BrokersError(
                    f"{named[0]} is set, but KAFKA_SECURITY_PROTOCOL={protocol} has no users: use SASL_SSL, or unset it"
                )
            return cls(protocol=protocol, cafile=cafile)
        if protocol == SASL_PLAIN and (far := [server for server in servers.split(",") if not _is_loopback(server)]):
            raise BrokersError(
                f"KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT would send everything readable to {far[0].strip()}: use "
                "SASL_SSL; without encryption a broker may only be on this machine (127.0.0.1, localhost)"
            )
        mechanism = told["KAFKA_SASL_MECHANISM"] or SCRAM_512
        if mechanism not in MECHANISMS:
            raise BrokersError(f"KAFKA_SASL_MECHANISM={mechanism!r}: use one of {', '.join(MECHANISMS)}")
        if mechanism == MSK_IAM:
            return cls(protocol=protocol, mechanism=mechanism, cafile=cafile, region=_iam_region(environ, told))
        username, password, password_file = _user(told)
        return cls(
            protocol=protocol,
            mechanism=mechanism,
            username=username,
            password=password,
            password_file=password_file,
            cafile=cafile,
        )


@dataclass(frozen=True)
class Brokers:
    """The brokers of a cluster: KAFKA_BOOTSTRAP_SERVERS, host:port separated by commas, and how to get in."""

    servers: str = DEFAULT_SERVERS
    security: Security = field(default_factory=Security)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the brokers that an environment names; BrokersError names the variable that is wrong."""
        servers = text(environ, "KAFKA_BOOTSTRAP_SERVERS", DEFAULT_SERVERS)
        return cls(servers, Security.from_env(environ, servers))

    def __str__(self) -> str:
        """Return the addresses, with what was used to get in: a wrong user looks like a silent broker otherwise."""
        security = self.security
        if security.protocol == PLAIN:
            return self.servers
        user = f", user {security.username}" if security.username else ""
        mechanism = f", {security.mechanism}" if security.mechanism else ""
        return f"{self.servers} ({security.protocol}{mechanism}{user})"


#: How functions take brokers; a str is the addresses of brokers that neither encrypt nor ask for a user.
Address = Brokers | str


def _user(told: Mapping[str, str]) -> tuple[str, str, Path | None]:
    """Return user, password and the file of the password, of which one is set."""
    username, password, file = (
        told[name] for name in ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "KAFKA_SASL_PASSWORD_FILE")
    )
    if not username:
        raise BrokersError("KAFKA_SASL_USERNAME is not set, and KAFKA_SECURITY_PROTOCOL asks for a user")
    if not password and not file:
        raise BrokersError(
            "KAFKA_SASL_PASSWORD is not set: set it, or KAFKA_SASL_PASSWORD_FILE to a file that holds it"
        )
    if password and file:
        raise BrokersError("KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE are both set: unset one of them")
    return username, password, Path(file) if file else None


def _iam_region(environ: Mapping[str, str], told: Mapping[str, str]) -> str:
    """Return the region of an MSK cluster whose users are roles."""
    if told["KAFKA_SECURITY_PROTOCOL"] != SASL_TLS:
        raise BrokersError("KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL")
    if named := [name for name in _SASL_VARIABLES[1:] if told[name]]:
        raise BrokersError(
            f"{named[0]} is set, but with KAFKA_SASL_MECHANISM=AWS_MSK_IAM the process's role is the user: unset it"
        )
    region = text(environ, "AWS_REGION") or text(environ, "AWS_DEFAULT_REGION")
    if not region:
        raise BrokersError("AWS_REGION is not set, and KAFKA_SASL_MECHANISM=AWS_MSK_IAM signs for a region")
    return region


def _is_loopback(server: str) -> bool:
    host = server.strip().rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
