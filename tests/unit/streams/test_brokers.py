"""How to get to the brokers, by the environment: what is taken, what is refused, and that no password shows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import gateway.settings
import gateway.variables
import sinks.settings
import streams.settings
from streams.brokers import SECURITY_VARIABLES, Brokers, BrokersError, Security

SCRAM = {
    "KAFKA_BOOTSTRAP_SERVERS": "b-1.example:9096,b-2.example:9096",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "streams",
    "KAFKA_SASL_PASSWORD": " kept as it is ",
    "KAFKA_SSL_CAFILE": "/etc/ca.pem",
}
IAM = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM", "AWS_REGION": "eu-central-1"}


def test_nothing_set_is_a_plain_broker_on_this_machine():
    assert Brokers.from_env({}) == Brokers("127.0.0.1:9092", Security(protocol="PLAINTEXT"))
    assert Brokers.from_env(dict.fromkeys(SECURITY_VARIABLES, "")) == Brokers()


def test_a_user_with_a_password():
    brokers = Brokers.from_env(SCRAM)

    assert brokers == Brokers(
        "b-1.example:9096,b-2.example:9096",
        Security(
            protocol="SASL_SSL",
            mechanism="SCRAM-SHA-512",
            username="streams",
            password=" kept as it is ",  # noqa: S106
            cafile=Path("/etc/ca.pem"),
        ),
    )


def test_the_password_may_lie_in_a_file():
    told = {**SCRAM, "KAFKA_SASL_PASSWORD": "", "KAFKA_SASL_PASSWORD_FILE": "/run/secrets/kafka"}

    security = Brokers.from_env({**told, "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}).security
    assert (security.mechanism, security.password, security.password_file) == (
        "SCRAM-SHA-256",
        "",
        Path("/run/secrets/kafka"),
    )


@pytest.mark.parametrize("region", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_roles_of_aws(region):
    told = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISM": "AWS_MSK_IAM", region: "eu-west-1"}

    assert Brokers.from_env(told).security == Security(protocol="SASL_SSL", mechanism="AWS_MSK_IAM", region="eu-west-1")


@pytest.mark.parametrize("server", ["127.0.0.1:9092", "localhost:9092", "[::1]:9092", "127.1.2.3:1, LOCALHOST:2"])
def test_without_encryption_a_user_may_only_go_to_this_machine(server):
    told = {**SCRAM, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SSL_CAFILE": ""}

    assert Brokers.from_env({**told, "KAFKA_BOOTSTRAP_SERVERS": server}).security.protocol == "SASL_PLAINTEXT"
    with pytest.raises(BrokersError, match=r"would send everything readable to kafka:9092: use SASL_SSL"):
        Brokers.from_env({**told, "KAFKA_BOOTSTRAP_SERVERS": f"{server},kafka:9092"})


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL='TLS': use PLAINTEXT, SSL, SASL_SSL"),
        ({"KAFKA_SASL_PASSWORD": "x"}, "KAFKA_SASL_PASSWORD is set, but KAFKA_SECURITY_PROTOCOL=PLAINTEXT has no"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SASL_USERNAME": "x"}, "KAFKA_SASL_USERNAME is set, but"),
        ({"KAFKA_SSL_CAFILE": "/ca.pem"}, "KAFKA_SSL_CAFILE is set, but KAFKA_SECURITY_PROTOCOL=PLAINTEXT does not"),
        ({**SCRAM, "KAFKA_SASL_MECHANISM": "PLAIN"}, "KAFKA_SASL_MECHANISM='PLAIN': use one of SCRAM-SHA-512"),
        ({**SCRAM, "KAFKA_SASL_USERNAME": " "}, "KAFKA_SASL_USERNAME is not set"),
        ({**SCRAM, "KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_PASSWORD is not set: set it, or KAFKA_SASL_PASSWORD_FILE"),
        ({**SCRAM, "KAFKA_SASL_PASSWORD_FILE": "/p"}, "KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE are both set"),
        ({**IAM, "KAFKA_SASL_USERNAME": "x"}, "KAFKA_SASL_USERNAME is set, but with KAFKA_SASL_MECHANISM=AWS_MSK_IAM"),
        ({**IAM, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "AWS_MSK_IAM needs KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ({**IAM, "AWS_REGION": ""}, "AWS_REGION is not set"),
    ],
)
def test_what_is_refused_names_its_variable(told, complaint):
    with pytest.raises(BrokersError) as error:
        Brokers.from_env(told)

    assert complaint in str(error.value)


STAGES = {
    "gateway": (gateway.settings.Settings, {}),
    "streams": (streams.settings.Settings, {}),
    "sinks": (sinks.settings.Settings, {"SINKS_LAKE": "s3://lake"}),
}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_takes_the_same_variables(stage):
    settings, least = STAGES[stage]

    assert settings.from_env({**least, **SCRAM}).brokers == Brokers.from_env(SCRAM)
    with pytest.raises(BrokersError, match="KAFKA_SECURITY_PROTOCOL"):
        settings.from_env({**least, "KAFKA_SECURITY_PROTOCOL": "x"})


@pytest.mark.parametrize("stage", STAGES)
def test_no_password_shows(stage):
    settings, least = STAGES[stage]
    told = settings.from_env({**least, **SCRAM})

    for shown in (repr(told), str(told), repr(told.brokers), f"{told.brokers}"):
        assert "kept as it is" not in shown
    assert "user streams" in str(told.brokers)
    assert [field.name for field in dataclasses.fields(Security) if not field.repr] == ["password"]


def test_the_document_names_every_variable():
    document = (Path(__file__).parents[3] / "docs" / "brokers.md").read_text()

    for name in ("KAFKA_BOOTSTRAP_SERVERS", *SECURITY_VARIABLES):
        assert f"| `{name}` |" in document
