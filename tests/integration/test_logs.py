"""The logs of a whole stack that was used, misused and killed: they name nobody, and nothing that was watched."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from typing import Any

from tests.stacks import Stack, StackFactory

MARKS = {
    "event_id": "evt-90001",
    "client_session_id": "session-90002",
    "tab_id": "tab-90003",
    "video_id": "vid-90004",
    "video_session_id": "vs-90005",
    "channel_name": "Anna Beispiel-90006",
    "channel_url": "https://www.youtube.com/@anna-90007",
    "channel_handle": "@anna-90007",
    "channel_id": "UC-90008",
    "url": "https://www.youtube.com/watch?v=vid-90004",
    "seq_epoch": "epoch-90009",
}
ADDRESS, SEARCH, AGENT, TOKEN, HOST = "203.0.113.77", "search-90010", "agent-90011", "token-90012", "host-90013"


def ask(stack: Stack, path: str, body: bytes | None = None, **headers: str) -> int:
    """Send a request as a browser behind a proxy would; return the status."""
    names = {"X-Forwarded-For": ADDRESS, "User-Agent": AGENT, "Referer": MARKS["url"], "Cookie": TOKEN}
    names |= {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    wish = urllib.request.Request(stack.gateway + path, body, names)  # noqa: S310 - our own gateway
    try:
        with urllib.request.urlopen(wish, timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def event(number: int) -> dict[str, Any]:
    base = {"schema": 1, "event_ts": time.time_ns() // 10**6, "event_type": "watch_tick", "watch_ms_delta": 1_000}
    return base | MARKS | {"event_id": f"{MARKS['event_id']}-{number}", "seq": number}


def test_a_stack_that_was_used_has_named_nobody(stack: StackFactory):
    one = stack(environ={"GATEWAY_ACCESS_LOG": "on", "STREAMS_CLIENT_TABLE": "on"})
    events = [event(number) for number in range(20)]
    bad = [event(21) | {"schema": 9}, event(22) | {"url": "x" * 3_000}, MARKS["channel_name"], None]
    assert ask(one, "/ingest", json.dumps({"events": events + bad}).encode()) == 200
    assert ask(one, "/ingest", json.dumps({"events": events}).encode()) == 200
    assert ask(one, "/ingest", f'{{"{MARKS["video_id"]}'.encode()) == 400
    assert ask(one, "/ingest", json.dumps(events).encode(), Content_Type=AGENT) == 415
    assert ask(one, "/ingest", json.dumps(events).encode(), Host=HOST) == 403
    assert ask(one, "/ingest", json.dumps(events).encode(), Origin=f"https://{HOST}.example") == 403
    assert ask(one, f"/{MARKS['video_id']}?q={SEARCH}", X_Request_Id=f"{SEARCH} {ADDRESS}") == 404
    assert ask(one, f"/api/daily?q={SEARCH}&dt=2026-01-01") == 200
    assert ask(one, f"/api/daily?q={SEARCH}&dt={SEARCH}") == 400
    os.kill(one.pids["streams-0"], signal.SIGKILL)
    assert ask(one, "/ingest", json.dumps(event(30)).encode()) == 200
    day = time.strftime("%Y-%m-%d", time.gmtime())
    one.watchtime("reconcile", "--dt", day, "--wait", "120", timeout_s=180)
    one.watchtime("forget", "--client", MARKS["client_session_id"], check=False, timeout_s=180)
    one.down()

    logs = {file.name: file.read_text(errors="replace") for file in (one.data_dir / "logs").glob("*.log")}
    assert {"gateway-0.log", "streams-0.log", "sinks-0.log", "kafka.log", "s3.log"} <= logs.keys()
    requests = [line for line in logs["gateway-0.log"].splitlines() if '"event": "request"' in line]
    assert len([line for line in requests if '"route": "/ingest"' in line]) >= 7
    for name, text in logs.items():
        for mark in (*MARKS.values(), "90006", ADDRESS, SEARCH, AGENT, TOKEN, HOST):
            assert mark not in text, f"{mark} is in {name}"
