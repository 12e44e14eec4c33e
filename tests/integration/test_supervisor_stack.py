"""The real stack by the real command: what a user of `watchtime up`, `status` and `down` sees."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.cache import Cache
from deploy.local.children import GATEWAY_METRICS_PORT, GATEWAY_PORT, KAFKA_PORT, S3_PORT
from deploy.local.ports import PortClaims
from deploy.local.process import started_at
from tests.stacks import Stack, StackFactory
from tests.waiting import until

CHILDREN = ["gateway-0", "kafka", "s3", "sinks-0", "streams-0"]


def post(stack: Stack, event_id: str) -> None:
    event = {
        "schema": 1,
        "event_id": event_id,
        "event_ts": time.time_ns() // 1_000_000,
        "event_type": "video_start",
        "client_session_id": "client",
        "tab_id": "tab",
        "video_id": "video",
        "video_session_id": "session",
        "channel_name": "channel",
    }
    assert stack.post([event])["accepted"] == 1


def settled(stack: Stack) -> dict[str, Any] | None:
    """Return the status once all is ready and each group has confirmed all that there is."""
    status = stack.status()
    lag = status.get("lag") or {"unknown": 1}
    return status if status["healthy"] and not any(lag.values()) else None


@pytest.fixture
def _usual_ports_are_taken(cache: Cache) -> Iterator[None]:
    """Leave the stack ports that no other one asks for first while it is down: those of other tests may come then."""
    claims = PortClaims(cache.folder / "ports")
    for port in (KAFKA_PORT, S3_PORT, GATEWAY_PORT, GATEWAY_METRICS_PORT):
        claims.claim(port)
    yield
    for handle in claims._handles.values():
        os.close(handle)


@pytest.mark.usefixtures("_usual_ports_are_taken")
def test_a_stack_from_up_to_down_and_up_again(stack: StackFactory) -> None:
    one = stack()
    assert sorted(one.pids) == sorted([*CHILDREN, "supervisor"])
    for arguments, said in (
        ([], f"a stack is running in {one.data_dir} already"),
        (["--workers", "2"], "has --workers 1; for 2, stop all of it with `watchtime down`"),
    ):
        refused = one.watchtime("up", *arguments, check=False)
        assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
    post(one, "first")
    status = until(lambda: settled(one), 120, one.logs)
    assert {child["name"]: child["state"] for child in status["children"]} == dict.fromkeys(CHILDREN, "ready")
    written = until(lambda: one.status()["last_file"], 120, one.logs)
    assert written["key"].startswith("analytics/")

    one.down("streams", "sinks")
    assert {name for name in CHILDREN if name not in one.pids} == {"streams-0", "sinks-0"}
    post(one, "second")
    one.up()
    until(lambda: settled(one), 120, one.logs)

    pids, before = one.pids, one.endpoints
    one.down()
    assert not [name for name, pid in pids.items() if started_at(pid)]
    one.up("--refresh-s", "1")
    assert {key: one.endpoints[key] for key in before if key != "pids"} == {
        key: value for key, value in before.items() if key != "pids"
    }
    until(lambda: settled(one), 120, one.logs)
    # Midnight may have come between the two.
    last = json.loads(one.watchtime("query", "--json", "SELECT views FROM video_daily").stdout)
    assert sum(row["views"] for row in last) == 2
