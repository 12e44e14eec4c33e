"""What clients are given to get in, without a broker: options, files, and the signed requests that MSK takes."""

from __future__ import annotations

import base64
import calendar
import ssl
import sys
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.app import credentials
from streams.brokers import Brokers, BrokersError, Security
from streams.connect import IamTokens, client_options

SCRAM = Security(protocol="SASL_SSL", mechanism="SCRAM-SHA-512", username="sinks", password="pass word")  # noqa: S106
IAM = Security(protocol="SASL_SSL", mechanism="AWS_MSK_IAM", region="eu-central-1")


@pytest.fixture(autouse=True)
def _aws_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never in a token")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the role")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_addresses_alone():
    assert client_options("a:1,b:2") == {"bootstrap_servers": "a:1,b:2"}
    assert client_options(Brokers("a:1")) == {"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT"}


def test_encryption_checks_certificate_and_name():
    options = client_options(Brokers("a:1", Security(protocol="SSL")))

    assert (options["ssl_context"].verify_mode, options["ssl_context"].check_hostname) == (ssl.CERT_REQUIRED, True)
    assert "sasl_mechanism" not in options


def test_a_user():
    options = client_options(Brokers("a:1", SCRAM))

    assert options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": "a:1",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "sinks",
        "sasl_plain_password": "pass word",
    }


def test_a_file_is_read_for_each_client(tmp_path):
    file = tmp_path / "password"
    brokers = Brokers("a:1", Security(protocol="SASL_SSL", mechanism="SCRAM-SHA-256", username="u", password_file=file))

    for password in ("first", "second one"):
        file.write_text(f"{password}\n")
        assert client_options(brokers)["sasl_plain_password"] == password
    for spoil, complaint in ((lambda: file.write_text("\n"), "is empty"), (file.unlink, "cannot be read")):
        spoil()
        with pytest.raises(BrokersError, match=rf"KAFKA_SASL_PASSWORD_FILE='.*password' {complaint}"):
            client_options(brokers)


def test_authorities_that_cannot_be_read(tmp_path):
    for cafile in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(BrokersError, match=rf"KAFKA_SSL_CAFILE='{cafile}' cannot be used"):
            client_options(Brokers("a:1", Security(protocol="SSL", cafile=cafile)))


async def test_a_token_is_a_signed_request_to_connect():
    token = await client_options(Brokers("a:1", IAM))["sasl_oauth_token_provider"].token()

    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.hostname, url.path) == ("https", "kafka.eu-central-1.amazonaws.com", "/")
    assert query.pop("User-Agent").startswith("aws-msk-iam-sasl-signer-python/")
    assert len(query.pop("X-Amz-Signature")) == 64
    signed_s = calendar.timegm(time.strptime(date := query.pop("X-Amz-Date"), "%Y%m%dT%H%M%SZ"))
    assert abs(time.time() - signed_s) < 60
    assert query == {
        "Action": "kafka-cluster:Connect",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"AKIDEXAMPLE/{date[:8]}/eu-central-1/kafka-cluster/aws4_request",
        "X-Amz-Expires": "900",
        "X-Amz-Security-Token": "of the role",
        "X-Amz-SignedHeaders": "host",
    }


async def test_a_token_is_used_again_until_it_is_old():
    provider = IamTokens("eu-central-1")
    signed = []

    def sign(region):
        signed.append(region)
        return f"token {len(signed)}", (time.time() + 900) * 1_000

    provider._sign = sign

    assert [await provider.token(), await provider.token()] == ["token 1", "token 1"]
    provider._ends_s = time.time() + 299
    assert await provider.token() == "token 2"
    assert signed == ["eu-central-1"] * 2


async def test_credentials_that_do_not_come_are_an_error_after_which_aiokafka_tries_again():
    provider = IamTokens("eu-central-1")

    def sign(_):
        raise AttributeError("no credentials")

    provider._sign = sign
    with pytest.raises(KafkaConnectionError, match="no credentials"):
        await provider.token()


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)

    with pytest.raises(BrokersError, match="install watchtime with the extra msk-iam"):
        client_options(Brokers("a:1", IAM))


@pytest.mark.parametrize("security", [SCRAM, IAM, Security(protocol="SSL")], ids=["scram", "iam", "ssl"])
async def test_aiokafka_takes_the_options(security):
    await AIOKafkaConsumer(**client_options(Brokers("a:1", security))).stop()


@pytest.mark.parametrize(
    "security",
    [
        Security(),
        Security(protocol="SSL"),
        SCRAM,
        IAM,
        Security(protocol="SASL_PLAINTEXT", mechanism="SCRAM-SHA-256", username="u", password="p"),  # noqa: S106
    ],
    ids=["plain", "ssl", "scram", "iam", "unencrypted"],
)
def test_faust_would_get_in_the_same_way(security):
    brokers = Brokers("a:1", security)
    # Each call makes a context and a provider of its own.
    told = {name: _comparable(value) for name, value in client_options(brokers).items() if name != "bootstrap_servers"}

    made = credentials_to_aiokafka_auth(credentials(brokers))
    assert {name: _comparable(value) for name, value in made.items() if value is not None} == told


def _comparable(value):
    return value if isinstance(value, str) else type(value)
