"""Settings of a worker: each error names its variable."""

from __future__ import annotations

import pytest

from streams.settings import Settings
from streams.variables import SettingsError


def test_defaults():
    assert Settings.from_env({}) == Settings()


def test_every_variable_is_read():
    settings = Settings.from_env(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1,127.0.0.1:2",
            "WATCHTIME_GROUP": "g",
            "STREAMS_DAY": "local",
            "STREAMS_CLIENT_TABLE": "on",
            "STREAMS_PARTITIONS": "8",
            "STREAMS_SHARDS": "3",
            "STREAMS_REPLICATION": "2",
            "STREAMS_INSTANCE": "s-0",
            "STREAMS_SESSION_TIMEOUT_MS": "9000",
            "STREAMS_METRICS_HOST": "127.0.0.2",
            "STREAMS_METRICS_PORT": "4002",
        }
    )

    assert settings == Settings(
        bootstrap_servers="127.0.0.1:1,127.0.0.1:2",
        group="g",
        day_rule="local",
        client_table=True,
        partitions=8,
        shards=3,
        replication=2,
        instance="s-0",
        session_timeout_ms=9_000,
        metrics_host="127.0.0.2",
        metrics_port=4_002,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMS_DAY", "utc"),
        ("STREAMS_CLIENT_TABLE", "yes"),
        ("STREAMS_PARTITIONS", "0"),
        ("STREAMS_PARTITIONS", "four"),
        ("STREAMS_PARTITIONS", "\u0664"),
        ("STREAMS_SHARDS", "-1"),
        ("STREAMS_SHARDS", "1.5"),
        ("STREAMS_SESSION_TIMEOUT_MS", "999"),
        ("STREAMS_METRICS_PORT", "65536"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable, value):
    with pytest.raises(SettingsError, match=variable):
        Settings.from_env({variable: value})


def test_a_blank_variable_asks_for_nothing():
    """Above all not for every address of the machine, nor for a group without a name."""
    settings = Settings.from_env(
        {"STREAMS_METRICS_HOST": " ", "WATCHTIME_GROUP": "", "STREAMS_DAY": "", "STREAMS_REPLICATION": " "}
    )
    assert (settings.metrics_host, settings.group) == ("127.0.0.1", "watchtime")
