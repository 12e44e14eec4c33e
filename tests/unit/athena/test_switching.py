"""The side-by-side check of deploy/MIGRATION.md: the same raw objects through a model of the reference and ours.

Every row of the daily files and every partial document is compared; the objects are as awkward as a delivery service,
old clients and other people's programs can make them.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
import re
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploy import cli
from sinks.keys import ChunkKey
from sinks.provenance import ChunkProvenance
from sinks.store import open_store
from streams.contract.days import day_start_ms
from streams.contract.topics import EVENTS
from tests.lakes import write
from tests.unit.athena.reference_model import TOTALS, VIEWS, Document, compact, process, rows

DT = "2026-03-10"
START = day_start_ms(DT)
TOPIC = uuid.UUID(int=7)
NAMES = ["Birds", "birds", "a|b", "\u2028sep", "é", "e\u0301", "🦉", '"quoted"', "=1+1", " spaced ", "null"]
#: Columns that the reference does not have.
OURS = {"channel", "ad_ms", "duplicate_events", "moved_events"}


def event(rng: random.Random, **fields: Any) -> dict[str, Any]:
    video = rng.randrange(30)
    known = {
        "schema": 1,
        "event_id": f"e{rng.randrange(500)}",
        "event_ts": START + rng.randrange(-3, 24 * 3600) * 1000,
        "event_type": rng.choice(["watch_tick"] * 6 + ["video_start", "video_stop", "visibility_change"]),
        "client_session_id": f"c{rng.randrange(4)}",
        "tab_id": "t",
        "video_id": f"v{video}",
        "channel_name": NAMES[video % len(NAMES)],
        "watch_ms_delta": rng.choice([0, 1, 10_000, 59_999, 60_000, 60_001]),
        "watch_mode": rng.choice(["background", "foreground", None]),
    }
    return {**known, **fields}


ODD_FIELDS: list[dict[str, Any]] = [
    *({"watch_ms_delta": value} for value in (None, True, 1.0, 1e3, "1", -1, 2**63, 2**70, [], {})),
    *({"video_id": value} for value in (None, "", 5, [], " ", "\u2028")),
    *({"channel_name": value} for value in (None, "", 5, {}, " ", "\x85")),
    *({"event_type": value} for value in (None, "", 5, "WATCH_TICK", "watch_tick ")),
    *({"event_ts": value} for value in (None, 0, -1, "now", 1.5, False, 2**80)),
    *({"tab_id": value} for value in (None, 0, "", False)),
    *({"watch_mode": value} for value in ("Background", 1, "background ")),
]
#: Lines that are no event, or one only for somebody; what stands between the quotes is what a line break makes of it.
ODD_LINES = [
    b"",
    b" ",
    b"no json",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"{}",
    b'{"event_type":"watch_tick"',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"nan","watch_ms_delta":NaN}',
    b'{"event_type":"watch_tick","event_ts":NaN,"tab_id":"t","video_id":"nan2","watch_ms_delta":7}',
    b'{"event_type":"watch_tick","event_ts":1e999,"tab_id":"t","video_id":"beyond","watch_ms_delta":9,"more":-1e999}',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"half","watch_ms_delta":3,"url":"\\ud83d"}',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"dup","watch_ms_delta":7,"watch_ms_delta":9}',
    b'  {"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"spaces","watch_ms_delta":7}\t',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"two","watch_ms_delta":7}{"a":1}',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"\xff\xfe","watch_ms_delta":7}',
    '{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"a\u2028b","watch_ms_delta":7}'.encode(),
    '{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"a\u0085b","watch_ms_delta":7}'.encode(),
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"a\x0bb","watch_ms_delta":7}',
    b'{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"cr","watch_ms_delta":7}\r',
    b'{"event_type":"video_start","event_ts":1,"tab_id":"t","channel_name":"no video"}',
    b'\xef\xbb\xbf{"event_type":"watch_tick","event_ts":1,"tab_id":"t","video_id":"bom","watch_ms_delta":7}',
]


def lines(rng: random.Random, count: int) -> list[bytes]:
    """Return events, every tenth with an odd field, and odd lines among them."""
    found = []
    for number in range(count):
        fields = rng.choice(ODD_FIELDS) if number % 10 == 0 else {}
        found.append(json.dumps(event(rng, **fields), ensure_ascii=rng.random() < 0.5).encode())
    found += [json.dumps(event(rng, **{"event_type": "watch_tick", **fields})).encode() for fields in ODD_FIELDS]
    found += ODD_LINES
    rng.shuffle(found)
    return found


def raw_objects(rng: random.Random) -> dict[str, bytes]:
    """Return objects as the delivery service leaves them: plain, gzip, empty, without a last line break, sent twice."""
    first = b"\n".join(lines(rng, 200)) + b"\n"
    return {
        "raw/2026/03/10/stream-1-2026-03-10-00-05-00-aaaa": first,
        "raw/2026/03/10/stream-1-2026-03-10-00-10-00-bbbb.gz": gzip.compress(b"\r\n".join(lines(rng, 200))),
        "raw/2026/03/10/stream-1-2026-03-10-00-15-00-cccc": b"",
        "raw/2026/03/10/stream-1-2026-03-10-00-20-00-dddd": first[: len(first) // 3],
        "raw/2026/03/10/stream-1-2026-03-10-00-25-00-eeee": b"\n\n" + b"".join(lines(rng, 5)),
        "raw/2026/03/09/stream-1-2026-03-09-23-55-00-ffff": b"\n".join(lines(rng, 50)),
        "raw/2026/03/11/stream-1-2026-03-11-00-00-00-gggg": b"\n".join(lines(rng, 50)),
    }


def read_rows(lake: Path, table: str) -> list[dict[str, Any]]:
    path = lake / "analytics" / table / f"dt={DT}" / "data.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line] if path.exists() else []


@pytest.fixture(name="lake")
def _lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    lake = tmp_path / "lake"
    lake.mkdir()
    monkeypatch.setenv("SINKS_LAKE", lake.as_uri())
    monkeypatch.setenv("SINKS_FORMAT", "jsonl")
    monkeypatch.setenv("STREAMS_SHARDS", "1")
    monkeypatch.setenv("STREAMS_CLIENT_TABLE", "off")
    # The reference counts an event on the day of its delivery.
    monkeypatch.setenv("STREAMS_DAY", "received")
    return lake


@pytest.mark.parametrize("seed", range(3))
def test_the_reference_and_a_strict_rebuild_give_the_same_rows(seed: int, lake: Path, tmp_path: Path) -> None:
    objects = raw_objects(random.Random(seed))
    write(tmp_path / "old", objects)
    expected = rows(DT, compact(process(body) for key, body in objects.items() if key.startswith("raw/2026/03/10/")))

    command = ["rebuild", "--data-dir", str(tmp_path / "data"), "--dt", DT, "--from", (tmp_path / "old").as_uri()]
    assert cli.main([*command, "--strict-reference", "--yes"]) == 0

    for table, wanted in expected.items():
        found = [
            {name: cell for name, cell in row.items() if name not in OURS - {"channel"}}
            for row in read_rows(lake, table)
        ]
        if table == "video_daily":
            found = [{name: cell for name, cell in row.items() if name != "channel"} for row in found]
        # The reference keeps rows that add up to nothing; files here leave them out.
        assert found == [row for row in wanted if table == "ingest_daily" or row["watch_ms"] or row["views"]], table
    assert expected["ingest_daily"][0]["invalid_events"] > len(ODD_LINES)
    assert len(expected["video_daily"]) > 30


def test_our_own_columns_stay_empty_in_a_strict_rebuild(lake: Path, tmp_path: Path) -> None:
    write(tmp_path / "old", raw_objects(random.Random(9)))

    command = ["rebuild", "--data-dir", str(tmp_path / "data"), "--dt", DT, "--from", (tmp_path / "old").as_uri()]
    assert cli.main([*command, "--strict-reference", "--yes"]) == 0

    assert {row["ad_ms"] for table in ("video_daily", "channel_daily") for row in read_rows(lake, table)} == {0}
    (ingest,) = read_rows(lake, "ingest_daily")
    assert (ingest["duplicate_events"], ingest["moved_events"]) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_partial_documents_are_those_of_the_reference(seed: int, lake: Path, tmp_path: Path) -> None:
    """Over an archive of ours: one client, each event once, lines as the gateway lets them through."""
    rng = random.Random(seed)
    expected: dict[str, Document] = {}
    for chunk in range(3):
        events = [event(rng, event_id=f"{chunk}-{number}", received_at=START + number) for number in range(80)]
        kept = [one for one in events if "\u2028" not in one["channel_name"]]
        body = b"".join(json.dumps(one).encode() + b"\n" for one in kept)
        key = ChunkKey(DT, EVENTS, TOPIC.hex[:8], chunk, 0).encode()
        provenance = ChunkProvenance(
            topic=EVENTS, topic_id=str(TOPIC), partition=chunk, first=0, last=79, state="closed"
        )
        store = open_store(lake.as_uri())
        asyncio.run(store.put(key, gzip.compress(body, mtime=0), provenance.encode(), etag=None))
        expected[key] = process(body)

    assert cli.main(["partials", "--data-dir", str(tmp_path / "data"), "--dt", DT]) == 0

    folder = lake / "results" / "daily" / "2026" / "03" / "10" / "partials"
    assert len(list(folder.iterdir())) == len(expected)
    for key, wanted in expected.items():
        document = json.loads((folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json").read_text())
        assert document["source"]["key"] == key
        assert document["day_partition"] == {"yyyy": "2026", "mm": "03", "dd": "10"}
        assert document["metrics"] == wanted["metrics"]
        assert document["totals"] == {name: wanted["totals"][name] for name in TOTALS}
        assert document["views"] == {name: wanted["views"][name] for name in VIEWS}


MIGRATION = (Path(__file__).parents[3] / "deploy" / "MIGRATION.md").read_text()


@pytest.mark.usefixtures("lake")
def test_the_check_of_the_document_finds_nothing_and_finds_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "side" / "old"
    objects = raw_objects(random.Random(5))
    write(old, objects)
    written = rows(DT, compact(process(body) for key, body in objects.items() if key.startswith("raw/2026/03/10/")))
    files = {
        f"analytics/{table}/dt={DT}/data.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in found)
        for table, found in written.items()
    }
    write(old, files)
    command = ["rebuild", "--data-dir", str(tmp_path / "data"), "--dt", DT, "--from", old.as_uri()]
    assert cli.main([*command, "--strict-reference", "--yes"]) == 0
    (query,) = re.findall(r"<<'SQL'\n(.*?)\nSQL\n", MIGRATION, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def differences() -> list[dict[str, Any]]:
        assert cli.main(["query", "--data-dir", str(tmp_path / "data"), "--json", query]) == 0
        return json.loads(capsys.readouterr().out)

    assert differences() == []
    key = f"analytics/channel_daily/dt={DT}/data.jsonl"
    first = written["channel_daily"][0]
    write(old, {key: files[key].replace(b'"views": %d' % first["views"], b'"views": %d' % (first["views"] + 1), 1)})
    assert [(row["side"], row["id"]) for row in differences()] == [
        ("only new", first["channel"]),
        ("only old", first["channel"]),
    ]


def test_the_loop_over_days_is_one() -> None:
    (loop,) = re.findall(r"^day=.*?^done$", MIGRATION, re.MULTILINE | re.DOTALL)
    script = loop.replace("2025-01-01", "2026-02-27").replace("watchtime", "echo")

    done = subprocess.run(  # noqa: S603 - our own document
        ["bash", "-euc", script],  # noqa: S607 - whichever bash a reader has
        capture_output=True,
        text=True,
        check=True,
    )

    assert len(done.stdout.splitlines()) == 12
    assert done.stdout.splitlines()[2] == "rebuild --dt 2026-03-01 --from s3://OLD --yes"
