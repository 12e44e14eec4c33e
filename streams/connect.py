"""What a Kafka client is given to reach brokers: addresses, encryption, and proof of who it is."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from streams.brokers import MSK_IAM, Address, Brokers, BrokersError, Security

#: A token of AWS lives for 15 minutes; one that has less than this left is not used for a new connection.
_LEAST_LIFE_S: Final = 300.0


def client_options(brokers: Address) -> dict[str, Any]:
    """Return the arguments of aiokafka's consumers, producers and admin clients that say where and as whom.

    Files are read here, so that a client made later uses a password or certificate that was changed meanwhile.
    BrokersError when one cannot be read.
    """
    if isinstance(brokers, str):
        return {"bootstrap_servers": brokers}
    security = brokers.security
    options: dict[str, Any] = {"bootstrap_servers": brokers.servers, "security_protocol": security.protocol}
    if security.encrypts:
        options["ssl_context"] = _ssl_context(security)
    if security.mechanism == MSK_IAM:
        options |= {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": IamTokens(security.region)}
    elif security.mechanism:
        options |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": _password(security),
        }
    return options


def check(brokers: Brokers) -> None:
    """Raise BrokersError unless everything that clients will need is there."""
    client_options(brokers)


def _ssl_context(security: Security) -> ssl.SSLContext:
    """Return a context that checks the broker's certificate and name."""
    try:
        return ssl.create_default_context(cafile=security.cafile)
    except (OSError, ssl.SSLError) as error:
        raise BrokersError(
            f"KAFKA_SSL_CAFILE={str(security.cafile)!r} cannot be used ({error}): name a readable file of "
            "certificates in PEM"
        ) from error


def _password(security: Security) -> str:
    if security.password_file is None:
        return security.password
    try:
        # Editors and `echo` end a file with a newline, which belongs to no password.
        password = security.password_file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokersError(
            f"KAFKA_SASL_PASSWORD_FILE={str(security.password_file)!r} cannot be read: {error}"
        ) from error
    if not password:
        raise BrokersError(f"KAFKA_SASL_PASSWORD_FILE={str(security.password_file)!r} is empty")
    return password


class IamTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka ships no types
    """Signed requests as tokens: an MSK cluster takes them as proof of the role that signed. Signing asks nobody."""

    def __init__(self, region: str) -> None:
        try:
            from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415 - an extra that few need
        except ImportError as error:
            raise BrokersError(
                "KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs the package aws-msk-iam-sasl-signer-python: "
                "install watchtime with the extra msk-iam"
            ) from error
        self._sign = MSKAuthTokenProvider.generate_auth_token
        self._region = region
        self._token = ""
        self._ends_s = 0.0

    async def token(self) -> str:
        """Return a token that is good for some minutes yet."""
        if self._ends_s - time.time() < _LEAST_LIFE_S:
            # Credentials may have to be fetched from the machine's metadata service.
            try:
                self._token, ends_ms = await asyncio.to_thread(self._sign, self._region)
            except Exception as error:
                # Whatever it is, it may pass, and aiokafka tries again after an error of its own only.
                raise KafkaConnectionError(f"AWS gives no credentials to sign with: {error!r}") from error
            self._ends_s = ends_ms / 1_000
        return self._token
