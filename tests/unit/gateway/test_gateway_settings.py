"""Settings and the rules of Host and Origin."""

from __future__ import annotations

import pytest

from gateway.origins import Origins, host_name
from gateway.settings import Settings
from streams.variables import SettingsError


def test_an_empty_environment_gives_the_documented_defaults():
    settings = Settings.from_env({})

    assert (
        settings.host,
        settings.port,
        settings.metrics_host,
        settings.metrics_port,
    ) == ("127.0.0.1", 4000, "127.0.0.1", 4001)
    assert settings.bootstrap_servers == "127.0.0.1:9092"
    assert frozenset() == settings.cors_origins


def test_all_can_be_set():
    settings = Settings.from_env(
        {
            "GATEWAY_HOST": "0.0.0.0",  # noqa: S104 - the point of the test
            "GATEWAY_OPEN_BIND": "on",
            "GATEWAY_PORT": "0",
            "GATEWAY_METRICS_PORT": "9",
            "GATEWAY_CORS_ORIGINS": "https://A.example, http://b.example:81",
            "GATEWAY_ALLOWED_HOSTS": "gateway",
            "GATEWAY_MAX_IN_FLIGHT_MIB": "1",
            "KAFKA_BOOTSTRAP_SERVERS": "k:1,l:2",
        }
    )

    assert (
        settings.port,
        settings.metrics_port,
        settings.max_in_flight_mib,
        settings.bootstrap_servers,
    ) == (0, 9, 1, "k:1,l:2")
    assert {"https://a.example", "http://b.example:81"} == settings.cors_origins
    assert {"gateway"} == settings.allowed_hosts


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_PORT", "abc"),
        ("GATEWAY_PORT", "-1"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_PORT", "٣"),
        ("GATEWAY_METRICS_PORT", "4001.5"),
        ("GATEWAY_MAX_IN_FLIGHT_MIB", "0"),
        ("GATEWAY_OPEN_BIND", "yes"),
        ("GATEWAY_AUTH", "yes"),
        ("GATEWAY_AUTH", "on"),  # without keys
        ("GATEWAY_ENROLL", "maybe"),
        ("GATEWAY_HEADER_TIMEOUT_S", "0"),
        ("GATEWAY_ADDRESS_RATE", "-1"),
        ("GATEWAY_CORS_ORIGINS", "https://a.example/path"),
        ("GATEWAY_CORS_ORIGINS", "a.example"),
        ("GATEWAY_TRUSTED_PROXIES", "10.0.0.1, balancer"),
        ("GATEWAY_HOST", "0.0.0.0"),  # noqa: S104 - the point of the test
        ("GATEWAY_HOST", "192.168.1.2"),
        ("GATEWAY_HOST", "::"),
        ("GATEWAY_HOST", "gateway"),
    ],
)
def test_a_wrong_value_names_its_variable(variable, value):
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: value})


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_address_is_not_every_address(blank):
    settings = Settings.from_env({"GATEWAY_HOST": blank, "GATEWAY_METRICS_HOST": blank})

    assert (settings.host, settings.metrics_host) == ("127.0.0.1", "127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1", "LOCALHOST"])
def test_loopback_is_open(host):
    assert host == Settings.from_env({"GATEWAY_HOST": host}).host


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:4000", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("LocalHost:1", "localhost"),
        ("localhost:", "localhost"),
        ("[::1]:4000", "[::1]"),
        ("[::1]", "[::1]"),
        ("evil.example:4000", "evil.example"),
        ("127.0.0.1:4000@evil.example", "127.0.0.1:4000@evil.example"),
        ("::1", "::1"),
        ("localhost:\u0663", "localhost:\u0663"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header, name):
    assert name == host_name(header)


@pytest.mark.parametrize(
    ("settings", "host", "allowed"),
    [
        ({}, "127.0.0.1:4000", True),
        ({}, "localhost", True),
        ({}, "[::1]:4000", True),
        ({}, "rebound.example:4000", False),
        ({}, "127.0.0.1.evil.example", False),
        ({}, "", False),
        ({"host": "127.0.0.5"}, "127.0.0.5:4000", True),
        ({"host": "::1"}, "[::1]:4000", True),
        ({"allowed_hosts": frozenset({"gateway"})}, "gateway:4000", True),
        ({"open_bind": True, "host": "0.0.0.0"}, "192.168.1.9", False),  # noqa: S104 - the point of the test
    ],
)
def test_hosts(settings, host, allowed):
    assert allowed is Origins(Settings(**settings)).host_allowed(host)


OWN = "127.0.0.1:4000"
LISTED = {"cors_origins": frozenset({"https://app.example"})}
ANY = {"cors_origins": frozenset({"*"})}


@pytest.mark.parametrize(
    ("settings", "origin", "allowed"),
    [
        ({}, None, True),
        ({}, "http://127.0.0.1:4000", True),
        ({}, "http://127.0.0.1:4001", False),
        ({}, "https://127.0.0.1:4000", False),
        ({}, "http://127.0.0.1", False),
        ({}, "chrome-extension://abcdefghijklmnop", True),
        ({}, "moz-extension://0f0f-1", True),
        ({}, "safari-web-extension://0F0F-1", True),
        ({}, "chrome-extension://", False),
        ({}, "chrome-extension://a/b", False),
        ({}, "chrome-extension://\udcff", False),
        ({}, "https://www.youtube.com", False),
        ({}, "https://chrome-extension.example", False),
        ({}, "null", False),
        ({}, "", False),
        (LISTED, "https://app.example", True),
        (LISTED, "https://APP.example", True),
        (LISTED, "https://app.example.evil", False),
        (LISTED, "http://app.example", False),
        (ANY, "https://anything.example", True),
        (ANY, "null", True),
    ],
)
def test_origins(settings, origin, allowed):
    assert allowed is Origins(Settings(**settings)).origin_allowed(origin, OWN)
