"""A broker that encrypts, asks for a user and has a list of rights, with one user for each role."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.acls import ROLES, rights
from deploy.acls_command import apply
from deploy.local.broker import QUICK_START, LocalBroker
from deploy.local.cache import Cache
from deploy.local.ports import LOOPBACK
from streams.brokers import Brokers, Security

GROUP = "panel"
MECHANISM = "SCRAM-SHA-512"
#: Sets up the cluster, and the broker's own user.
ADMIN = "admin"
INNER = "broker"
STRANGER = "stranger"


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test's own."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        unsigned = _certificate(subject, subject, key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return cls(key, unsigned.sign(key, hashes.SHA256()))

    def write(self, file: Path) -> Path:
        """Write the certificate, for those who shall believe it."""
        file.write_bytes(_pem(self.certificate))
        return file

    def issue(self, file: Path) -> Path:
        """Write key and certificate of a server here."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
        signed = (
            _certificate(subject, self.certificate.subject, key.public_key())
            .add_extension(names, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.touch(mode=0o600)
        file.write_bytes(private + _pem(signed) + _pem(self.certificate))
        return file


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class SecuredBroker:
    """The broker, and how each user gets in."""

    def __init__(self, folder: Path, cache: Cache, *, session_ms: int = 0) -> None:
        """Prepare; `session_ms`: how long a login lasts, 0: for ever."""
        folder.mkdir(parents=True)
        authority = Authority.made("tests")
        self.cafile = authority.write(folder / "ca.pem")
        self.passwords = {user: secrets.token_urlsafe(16) for user in (*ROLES, STRANGER, ADMIN, INNER)}
        self.broker = LocalBroker(folder / "kafka", cache, jvm=QUICK_START)
        keys = authority.issue(folder / "broker.pem")
        self.broker.place = dataclasses.replace(
            self.broker.place,
            overrides={**self._properties(keys), "connections.max.reauth.ms": str(session_ms)},
            format_arguments=[
                word
                for user, password in self.passwords.items()
                for word in ("--add-scram", f"{MECHANISM}=[name={self.name(user)},password={password}]")
            ],
            security=self.security(ADMIN),
        )

    def _properties(self, keys: Path) -> dict[str, str]:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule"
        return {
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            f"listener.name.clients.{MECHANISM.lower()}.sasl.jaas.config": (
                f'{login} required username="{self.name(INNER)}" password="{self.passwords[INNER]}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.cafile),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # The controller's listener, which only this process uses, knows nobody by name; the clients' asks everyone.
            "super.users": f"User:{self.name(ADMIN)};User:{self.name(INNER)};User:ANONYMOUS",
        }

    @staticmethod
    def name(user: str) -> str:
        """Return the name of a role's user on the broker."""
        return f"{GROUP}-{user}"

    def security(self, user: str) -> Security:
        """Return how a user gets in."""
        return Security(
            protocol="SASL_SSL",
            mechanism=MECHANISM,
            username=self.name(user),
            password=self.passwords[user],
            cafile=self.cafile,
        )

    def brokers(self, user: str) -> Brokers:
        """Return the address, and how a user gets in."""
        return Brokers(self.broker.bootstrap_servers, self.security(user))

    def environ(self, user: str) -> dict[str, str]:
        """Return the same as variables."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": self.name(user),
            "KAFKA_SASL_PASSWORD": self.passwords[user],
            "KAFKA_SSL_CAFILE": str(self.cafile),
            "WATCHTIME_GROUP": GROUP,
        }

    async def start(self) -> None:
        """Start, with the rights of every role."""
        await self.broker.start()
        await apply(self.brokers(ADMIN), rights(GROUP, client_table=False))
