"""What the children of a local stack are told."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from deploy.local.cache import Cache
from deploy.local.children import Layout, specs, variables
from deploy.local.config import Options, decide
from streams.brokers import SECURITY_VARIABLES, Brokers


@pytest.mark.parametrize("stage", ["gateway", "streams", "sinks"])
def test_the_users_own_cluster_is_not_the_local_broker(stage: str, tmp_path: Path):
    ports = defaultdict(lambda: 1, kafka=9192)
    layout = Layout(config=decide(Options(data_dir=tmp_path), {}, None), ports=ports, cache=Cache(tmp_path))
    of_the_user = dict.fromkeys(SECURITY_VARIABLES, "for another cluster")

    told = of_the_user | variables(layout, stage, f"{stage}-0")
    assert Brokers.from_env(told) == Brokers("127.0.0.1:9192")


def test_only_who_reads_a_state_first_may_take_long_to_start(tmp_path: Path):
    layout = Layout(
        config=decide(Options(data_dir=tmp_path), {}, None), ports=defaultdict(lambda: 1), cache=Cache(tmp_path)
    )

    assert {spec.stage for spec in specs(layout, {}) if spec.start_timeout_s > 600} == {"streams"}
