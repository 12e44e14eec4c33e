"""The commands that repair, on whole stacks, as a user runs them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from pathlib import Path

import pytest

from deploy.forget_topics import last_values
from deploy.viewers import Audience
from streams.contract.days import shift_dt
from streams.contract.rows import CLIENT, TABLES
from streams.contract.topics import PARTIALS, STATE
from tests.clock import now_ms, today

pytestmark = pytest.mark.timeout(600)


def watch(stack, clients=5, seed=1):
    """Post events of a few viewers, some of them twice; return the viewers' ids."""
    audience, ids = Audience(seed, clients, now_ms(), strays=False), []
    for client in range(clients):
        for _ in range(3):
            events = audience.take(client, 20, now_ms())
            assert stack.post(events)["accepted"] == 20
            stack.post(events[:5])
        ids.append(events[0]["client_session_id"])
    return ids


def drift(stack):
    """Return the differing rows of today and yesterday, on which viewers watch."""
    found = 0
    for dt in (today(), shift_dt(today(), -1)):
        done = stack.watchtime("reconcile", "--dt", dt, "--wait", "60", "--json", check=False)
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        found += json.loads(done.stdout)["drift"]
    return found


def rows(stack, table):
    return json.loads(stack.watchtime("query", "--json", f"SELECT * FROM {table} ORDER BY ALL").stdout)  # noqa: S608


def total(stack, counter):
    return sum(int(row[counter]) for row in rows(stack, "ingest_daily"))


def lake_text(folder: Path):
    """Return everything that the lake holds, its metadata too, decompressed."""
    bodies = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return b"".join(gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body for body in bodies)


@pytest.fixture(scope="module")
def plain(module_stack, tmp_path_factory):
    """A stack with files of lines, and its lake."""
    lake = tmp_path_factory.mktemp("plain") / "lake"
    return module_stack("--lake", lake.as_uri(), environ={"SINKS_FORMAT": "jsonl"}), lake


@pytest.fixture(scope="module")
def panel(module_stack, tmp_path_factory):
    """A stack with rows for each client, and its lake."""
    lake = tmp_path_factory.mktemp("panel") / "lake"
    return module_stack("--lake", lake.as_uri(), environ={"STREAMS_CLIENT_TABLE": "on"}), lake


def test_rejected_events_are_listed_shown_mended_and_replayed_once(plain):
    one, _ = plain
    (event,) = Audience(1, 1, now_ms(), strays=False).take(0, 1, now_ms())
    bad = [{**event, "event_id": f"bad-{n}", "seq": None, "schema": 2} for n in range(3)]
    assert one.post([*bad, {**event, "event_id": ""}])["rejected"] == 4

    listed = json.loads(one.watchtime("rejected", "list", "--json").stdout)
    picked = json.loads(one.watchtime("rejected", "list", "--reason", "schema", "--since", "1h", "--json").stdout)
    offset = picked["records"][0]["offset"]
    shown = json.loads(one.watchtime("rejected", "show", str(offset)).stdout)
    replay = ("rejected", "replay", "--set", "schema=1", "--yes", "--json")
    as_they_are = json.loads(one.watchtime("rejected", "replay", "--yes", "--json").stdout)
    first = json.loads(one.watchtime(*replay).stdout)
    second = json.loads(one.watchtime(*replay).stdout)
    again = json.loads(one.watchtime(*replay, "--again").stdout)

    assert {g["reason"]: g["count"] for g in listed["groups"]} == {"unsupported schema": 3, "invalid event_id": 1}
    assert [len(picked["records"]), [g["reason"] for g in picked["groups"]]] == [3, ["unsupported schema"]]
    assert (bad[0], event["client_session_id"]) == (json.loads(shown["event"]), shown["client"])
    assert (as_they_are["accepted"], len(as_they_are["refused"])) == (0, 4)
    assert (first["accepted"], first["replayed_before"]) == (3, 0)
    assert (second["accepted"], second["replayed_before"]) == (0, 3)
    assert again["accepted"] == 3
    assert drift(one) == 0
    assert (total(one, "total_events"), total(one, "duplicate_events")) == (3, 3)


def test_a_young_day_is_mended_while_sinks_are_down_and_goes_on_afterwards(plain):
    one, lake = plain
    watch(one, seed=2)
    assert drift(one) == 0
    # The viewers began hours ago: just after midnight, nothing may have been watched today.
    file = max((lake / "analytics/video_daily").glob("dt=*/data.jsonl"), key=lambda path: path.stat().st_size)
    dt, right = file.parent.name.removeprefix("dt="), file.read_bytes()

    running = one.watchtime("rebuild", "--dt", dt, "--yes", check=False)
    one.down("sinks")
    # Somebody has cut the file: the store does not know, and sinks see nothing new to write.
    metadata = lake / f".sinks/metadata/analytics/video_daily/dt={dt}/data.jsonl.json"
    told = json.loads(metadata.read_text())
    file.write_bytes(b"".join(right.splitlines(keepends=True)[1:]))
    metadata.write_text(json.dumps({hashlib.sha256(file.read_bytes()).hexdigest(): next(iter(told.values()))}))
    declined = one.watchtime("rebuild", "--dt", dt, check=False)
    still_cut = file.read_bytes()
    one.watchtime("rebuild", "--dt", dt, "--yes")
    mended = file.read_bytes()
    one.up()
    watch(one, seed=3)

    assert (running.returncode, "watchtime down sinks" in running.stderr) == (2, True)
    assert (declined.returncode, "video_daily" in declined.stdout) == (1, True)
    assert still_cut != right == mended
    assert drift(one) == 0
    assert right != file.read_bytes()


def test_a_client_is_forgotten_everywhere(panel):
    one, lake = panel
    ids = watch(one)
    gone, stays = ids[0], ids[1]
    assert drift(one) == 0
    before = {table: rows(one, table) for table in ("video_daily", "channel_daily", "hour_daily", "ingest_daily")}
    events = total(one, "total_events")
    had_row = gone in {row["client_id"] for row in rows(one, "client_daily")}
    assert gone.encode() in lake_text(lake)
    broker = one.endpoints["bootstrap_servers"]
    assert {STATE, PARTIALS, CLIENT.topic} == {topic for topic, _ in asyncio.run(keys_that_name(broker, gone))}

    done = json.loads(one.watchtime("forget", "--client", gone, "--yes", "--json", timeout_s=240).stdout)

    # The lake, the files, and every sum.
    assert done["lines"] > 0
    assert gone.encode() not in lake_text(lake)
    assert stays.encode() in lake_text(lake)
    assert drift(one) == 0
    assert before == {table: rows(one, table) for table in before}
    clients = {row["client_id"] for row in rows(one, "client_daily")}
    assert had_row
    assert (gone in clients, stays in clients) == (False, True)
    assert not any("forgotten" in client for client in clients)

    # The topics: nothing that a reader of the last values gets; what else is there goes with the retention.
    assert asyncio.run(keys_that_name(broker, gone)) == []
    assert {"watch.events", "watch.rejected"} <= set(done["topics_forget_on"])

    # No key is left, and nothing else in the data folder but logs of the broker itself.
    assert list((one.data_dir / "forget").glob("*")) == []

    # Who comes back is new: the same events count again.
    watch(one)
    assert drift(one) == 0
    assert gone in {row["client_id"] for row in rows(one, "client_daily")}
    assert events + 60 == total(one, "total_events")


async def keys_that_name(broker, client_id):
    """Return the keys of compacted topics whose last value, or which themselves, name a client."""
    found = set()
    for topic in [STATE, PARTIALS, *(table.topic for table in TABLES)]:
        for values in (await last_values(broker, topic)).values():
            found |= {(topic, key) for key, value in values.items() if client_id.encode() in key + value}
    return sorted(found)


def test_forget_without_stages_says_so_and_goes_on_later(panel):
    one, lake = panel
    (gone, *_) = watch(one, clients=2, seed=2)
    assert drift(one) == 0
    before = rows(one, "ingest_daily")

    # One that never was leaves no trace in the sums.
    told = one.watchtime("forget", "--client", "nobody", "--yes", timeout_s=240).stdout
    assert ("0 lines" in told, "watch.events: by " in told) == (True, True)
    one.down("sinks")

    stopped = one.watchtime("forget", "--client", gone, "--yes", "--wait", "2", check=False)
    keys = list((one.data_dir / "forget").glob("*.json"))
    one.up()
    one.watchtime("forget", "--client", gone, "--yes", timeout_s=240)

    assert (stopped.returncode, len(keys)) == (2, 1)
    assert "run the same command again" in stopped.stderr
    assert gone not in keys[0].name + stopped.stderr
    assert gone.encode() not in lake_text(lake)
    assert drift(one) == 0
    assert before == rows(one, "ingest_daily")
