"""Events through the containers to the files, with containers killed, added, taken down and brought up again.

The tests are steps on one stack, in their order: each leaves it running, with what it posted counted exactly.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from tests import oracle, proof
from tests.compose.composed import ROOT, Composed
from tests.compose.conftest import build

#: The first test builds the images, which takes its time where nothing is kept of an earlier run.
pytestmark = pytest.mark.timeout(4_000)

SERVICES = {"kafka", "s3", "gateway", "streams", "sinks"}


class Ledger:
    """What was acknowledged until now, in one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.posted = 0

    def load(self, stack: Composed, *arguments: str) -> dict[str, Any]:
        """Run `watchtime load` from this machine against the published port, as a client outside the stack would."""
        out = self.file.with_name(f"{time.time_ns()}.acknowledged")
        command = [sys.executable, "-m", "deploy.cli", "load", "--url", stack.gateway, "--json", "--out", str(out)]
        done = subprocess.run(  # noqa: S603 - our own module
            [*command, "--repeat", "0.05", "--deadline", "120", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with self.file.open("ab") as whole:
            whole.write(out.read_bytes())
        facts: dict[str, Any] = json.loads(done.stdout)
        self.posted += facts["events"]
        return facts

    def agrees(self, stack: Composed) -> oracle.Expectation:
        """Reconcile every day in the containers, and hold every row of the files against an independent fold."""
        expected = oracle.fold(self.file)
        assert expected.events == self.posted
        finding = stack.reconcile(expected.days[0], expected.days[-1])
        print("reconcile:", {name: value for name, value in finding.items() if name not in {"days", "said"}})
        assert finding["exit"] == 0, (finding, stack.logs())
        assert finding["drift"] == 0
        assert proof.differences(expected, proof.rows_in(stack.lake)) == []
        return expected


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return Ledger(tmp_path_factory.mktemp("ledger") / "all")


def test_containers_are_held_tight(stack: Composed) -> None:
    running = stack.containers()

    assert {one.labels["com.docker.compose.service"] for one in running} == SERVICES
    for one in running:
        host, config = one.attrs["HostConfig"], one.attrs["Config"]
        assert config["User"].split(":")[0] not in {"", "0", "root"}, one.name
        assert host["ReadonlyRootfs"], one.name
        assert host["CapDrop"] == ["ALL"], one.name
        assert not host["CapAdd"], one.name
        assert "no-new-privileges:true" in host["SecurityOpt"], one.name
        assert host["Memory"] > 0, one.name
        assert host["RestartPolicy"]["Name"] == "unless-stopped", one.name
        published = [entry for entries in (host["PortBindings"] or {}).values() for entry in entries]
        assert {entry["HostIp"] for entry in published} <= {"127.0.0.1"}, one.name


def test_our_image_is_small_and_says_what_it_is_made_of(stack: Composed) -> None:
    image = stack.containers("gateway")[0].image
    megabytes = image.attrs["Size"] / 1e6
    print(f"own image: {megabytes:.0f} MB")

    assert megabytes < 250
    assert image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    show = "print(open('/usr/share/sbom/watchtime.cdx.json').read())"
    bill = json.loads(stack.run("exec", "-T", "gateway", "python", "-c", show).stdout)
    parts = {part["name"]: part["version"] for part in bill["components"]}
    assert {"aiokafka", "faust-streaming", "pyarrow", "libc6", "libssl3"} <= parts.keys()
    assert bill["bomFormat"] == "CycloneDX"


def test_events_become_rows(stack: Composed, ledger: Ledger) -> None:
    facts = ledger.load(stack, "--events", "6000", "--clients", "150", "--rate", "2000")
    expected = ledger.agrees(stack)

    assert facts["events"] == expected.events == 6000


def test_killed_containers_lose_nothing(stack: Composed, ledger: Ledger) -> None:
    """Each service is killed while viewers post; the engine brings it back."""
    killed = threading.Event()

    def post() -> list[int]:
        counts = []
        while not killed.is_set():
            facts = ledger.load(stack, "--clients", "100", "--rate", "200", "--seconds", "10")
            counts.append(facts["events"])
        return counts

    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        posted = pool.submit(post)
        try:
            for service in ("streams", "sinks", "gateway", "s3", "kafka", "streams"):
                stack.crash(service)
                print(f"{time.monotonic() - began:5.1f} s: {service} killed and healthy again")
        finally:
            killed.set()
        counts = posted.result()

    assert sum(counts) >= 2_000
    ledger.agrees(stack)


def test_three_workers_share_the_partitions(stack: Composed, ledger: Ledger) -> None:
    stack.run("up", "--detach", "--no-recreate", "--scale", "streams=3")
    stack.wait_until(lambda: stack.healthy("streams", 3), "three stream workers are healthy")

    ledger.load(stack, "--events", "4000", "--clients", "150", "--rate", "1000")
    ledger.agrees(stack)
    holding = [_held(stack, number) for number in (1, 2, 3)]
    print(f"partitions held by each: {holding}")
    assert sum(holding) == 4
    assert min(holding) >= 1

    stack.run("up", "--detach", "--no-recreate", "--scale", "streams=1")
    ledger.load(stack, "--events", "1000", "--clients", "50", "--rate", "1000")
    ledger.agrees(stack)


def _held(stack: Composed, number: int) -> int:
    """Return how many raw partitions a stream worker says that it has."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4001/metrics').read().decode())"
    text = stack.run("exec", "-T", "--index", str(number), "streams", "python", "-c", ask).stdout
    return sum(
        1
        for line in text.splitlines()
        if line.startswith("watchtime_streams_lag_records{") and '"watch.events"' in line
    )


def test_trino_reads_the_files(stack: Composed, ledger: Ledger) -> None:
    if len(stack.files) == 2:
        pytest.skip("Trino is not in the cache: run `make athena-test` once")
    began = time.monotonic()
    stack.run("--profile", "query", "up", "--detach", "--no-recreate", timeout_s=400)
    stack.wait_until(lambda: _ended_well(stack, "tables"), "Trino knows the tables")
    print(f"trino: ready after {time.monotonic() - began:.0f} s")
    try:
        expected = oracle.fold(ledger.file)
        for table, column in (
            ("video_daily", "watch_ms"),
            ("channel_daily", "views"),
            ("ingest_daily", "total_events"),
        ):
            said = dict(_ask(stack, f"SELECT dt, sum({column}) FROM {table} GROUP BY dt"))  # noqa: S608 - names of ours
            assert said == {dt: sum(row[column] for row in expected.rows[table, dt].values()) for dt in expected.days}
    finally:
        stack.run("--profile", "query", "rm", "--stop", "--force", "trino", "tables")


def _ended_well(stack: Composed, service: str) -> bool:
    states = [one.attrs["State"] for one in stack.containers(service, all_=True)]
    return [(state["Status"], state["ExitCode"]) for state in states] == [("exited", 0)]


def _ask(stack: Composed, statement: str) -> list[list[Any]]:
    headers = {"X-Trino-User": "test", "X-Trino-Catalog": "lake", "X-Trino-Schema": "default"}
    url = f"http://127.0.0.1:{stack.ports['TRINO_PORT']}/v1/statement"
    request: Any = urllib.request.Request(url, statement.encode(), headers)
    rows: list[list[Any]] = []
    while request:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - an address of ours
            page = json.load(answer)
        assert "error" not in page, page["error"]
        rows += page.get("data") or []
        request = page.get("nextUri")
    return rows


def test_prometheus_hears_every_worker(stack: Composed) -> None:
    if len(stack.files) > 1:
        build(stack, "prometheus")
    up = ("--profile", "metrics", "up", "--detach", "--no-recreate", "--scale")
    stack.run(*up, "streams=3", "prometheus", "streams")
    try:
        stack.wait_until(lambda: stack.healthy("prometheus", 1), "Prometheus is healthy")
        for stage, count in (("gateway", 1.0), ("streams", 3.0), ("sinks", 1.0)):
            ready = f'sum(watchtime_ready{{stage="{stage}"}})'
            all_of_them = partial(lambda asked, count: _measured(stack, asked) == [count], ready, count)
            stack.wait_until(all_of_them, f"all of {stage} are measured and ready")
        rules = [rule for group in _prometheus(stack, "rules")["groups"] for rule in group["rules"]]
        written = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"]
        firing = {rule["name"]: rule["alerts"] for rule in rules if rule["state"] == "firing"}
        print(f"prometheus: {len(rules)} rules")

        assert [rule["name"] for rule in rules] == [rule["alert"] for group in written for rule in group["rules"]]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
        assert firing == {}
        assert _measured(stack, "sum(watchtime_streams_lag_records)") == [0.0]
        # A question that Prometheus does not understand is answered with 400, which raises.
        for panel in json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())["panels"]:
            for target in panel["targets"]:
                _measured(stack, target["expr"].replace("$__rate_interval", "1m"))
    finally:
        stack.run("--profile", "metrics", "rm", "--stop", "--force", "prometheus")
        stack.run(*up, "streams=1", "streams")


def _measured(stack: Composed, expression: str) -> list[float]:
    """Return the values that an expression has now."""
    result = _prometheus(stack, "query", query=expression)["result"]
    return [float(one["value"][1]) for one in result]


def _prometheus(stack: Composed, path: str, **asked: str) -> Any:
    url = f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}/api/v1/{path}?{urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def test_volumes_outlive_the_containers(stack: Composed, ledger: Ledger) -> None:
    stack.down()
    assert stack.containers(all_=True) == []

    print(f"up again: every service healthy after {stack.up():.0f} s")
    ledger.load(stack, "--events", "2000", "--clients", "100", "--rate", "1000")
    ledger.agrees(stack)
