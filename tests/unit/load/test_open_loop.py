"""The open loop against a gateway that answers as told, and the oracle over what it wrote."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from deploy import cli, load
from deploy.open_loop import OpenLoop, Plan, Tally
from tests import oracle

Answer = Callable[[bytes], Awaitable[web.Response]]


def taken(body: bytes) -> web.Response:
    parsed = orjson.loads(body)
    count = len(parsed["events"]) if "events" in parsed else 1
    return web.json_response({"ok": True, "accepted": count, "rejected": 0, "errors": []})


async def run(answer: Answer, made: list[OpenLoop] | None = None, **options: Any) -> tuple[Tally, list[dict[str, Any]]]:
    """Run a plan against a server on a free port; return the tally and the lines written."""

    async def ingest(request: web.Request) -> web.Response:
        return await answer(await request.read())

    app = web.Application()
    app.router.add_post("/ingest", ingest)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = runner.addresses[0]
    defaults = {"clients": 20, "rate": 100_000.0, "seconds": 60.0, "batch": 10, "events": 500, "seed": 3}
    plan = Plan(url=f"http://{address[0]}:{address[1]}/ingest", **defaults | options)
    lines: list[bytes] = []
    try:
        loop = OpenLoop(plan, lines.append)
        if made is not None:
            made.append(loop)
        tally = await loop.run()
    finally:
        await runner.cleanup()
    return tally, [orjson.loads(line) for line in lines]


async def test_posts_everything_once_and_writes_it_down() -> None:
    bodies: list[bytes] = []

    async def answer(body: bytes) -> web.Response:
        bodies.append(body)
        return taken(body)

    tally, written = await run(answer)

    assert (tally.events, tally.posts, tally.given_up, tally.refused) == (500, len(bodies), 0, 0)
    assert Counter(orjson.dumps(line["body"]) for line in written) == Counter(bodies)
    assert len(tally.latencies_ms) == len(bodies)
    assert any("events" not in line["body"] for line in written), "a lone event also comes without a list"


async def test_sends_again_until_acknowledged_the_same_bytes() -> None:
    seen: Counter[bytes] = Counter()

    async def answer(body: bytes) -> web.Response:
        seen[body] += 1
        return web.Response(status=503) if seen[body] < 3 else taken(body)

    tally, written = await run(answer, events=60)

    assert tally.events == 60
    assert set(seen.values()) == {3}
    assert {line["unclear_tries"] for line in written} == {2}
    assert tally.failed_tries == tally.unclear_tries == 2 * len(written)


async def test_a_client_has_one_post_in_flight_and_keeps_its_order() -> None:
    in_flight: Counter[str] = Counter()
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)

    async def answer(body: bytes) -> web.Response:
        events = orjson.loads(body).get("events") or [orjson.loads(body)]
        client = events[0]["client_session_id"]
        in_flight[client] += 1
        assert in_flight[client] == 1
        await asyncio.sleep(0.001)
        in_flight[client] -= 1
        for event in events:
            if "seq" in event:
                numbers[client, event["seq_epoch"]].append(event["seq"])
        return taken(body)

    tally, _ = await run(answer, clients=3)

    assert tally.refused == 0, tally.refusals
    assert any(len(sequence) > 20 for sequence in numbers.values())
    for sequence in numbers.values():
        # Few events are held back; all others go up.
        assert sum(later < earlier for earlier, later in itertools.pairwise(sequence)) < len(sequence) / 5


async def test_repeats_are_marked_and_follow_their_original() -> None:
    async def answer(body: bytes) -> web.Response:
        return taken(body)

    tally, written = await run(answer, repeat=0.5)

    originals = {line["post"]: line for line in written if line["repeat_of"] is None}
    repeats = [line for line in written if line["repeat_of"] is not None]
    assert tally.events == 500
    assert tally.repeated_posts == len(repeats) > 10
    assert all(line["body"] == originals[line["repeat_of"]]["body"] for line in repeats)
    assert all(line["sent_ms"] >= originals[line["repeat_of"]]["acked_ms"] for line in repeats)


async def test_gives_up_after_the_deadline_and_says_so() -> None:
    async def answer(_: bytes) -> web.Response:
        return web.Response(status=503)

    tally, written = await run(answer, events=5, deadline_s=0.0)

    assert tally.given_up > 0
    assert written == []
    assert not load.is_whole(tally)


async def test_what_a_client_cannot_mend_is_not_repeated() -> None:
    async def answer(_: bytes) -> web.Response:
        return web.json_response({"ok": False, "error": "Invalid JSON"}, status=400)

    tally, _ = await run(answer, events=5)

    assert tally.refused > 0
    assert tally.failed_tries == 0
    assert "Invalid JSON" in tally.refusals[0]


async def test_latency_counts_from_the_schedule() -> None:
    async def answer(body: bytes) -> web.Response:
        await asyncio.sleep(0.05)
        return taken(body)

    tally, _ = await run(answer, clients=1, events=40, batch=4)

    # One client, one POST at a time: the last one waited for all before it.
    assert max(tally.latencies_ms) > 0.04 * 1_000 * len(tally.latencies_ms)


async def test_a_stopped_loop_waits_for_what_it_posted() -> None:
    made: list[OpenLoop] = []

    async def answer(body: bytes) -> web.Response:
        made[0].stop()
        await asyncio.sleep(0.01)
        return taken(body)

    tally, written = await run(answer, events=None, rate=1_000.0, made=made)

    assert 0 < tally.events < 1_000
    assert tally.events == sum(line["accepted"] for line in written)


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]

    assert [load.percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50.0, 90.0, 99.0, 100.0]
    assert load.percentile([7.0], 0.5) == 7.0
    assert load.percentile([], 0.5) is None


def test_command_needs_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["load", "--data-dir", str(tmp_path)]) == 2
    assert "watchtime up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *itertools.product(("load", "demo"), ("--rate=0", "--rate=-5", "--rate=nan", "--seconds=0", "--seconds=inf")),
        ("load", "--clients=0"),
        ("demo", "--viewers=0"),
        ("demo", "--workers=-1"),
    ],
)
def test_what_would_post_nothing_or_without_end_is_refused(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, option])

    assert f"argument {option.partition('=')[0]}: {option.partition('=')[2]} is not" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/ingest"])
def test_ingest_url(url: str) -> None:
    assert load.ingest_url(url) == "http://h:1/ingest"


async def test_oracle_counts_what_was_written(tmp_path: Path) -> None:
    async def answer(body: bytes) -> web.Response:
        return taken(body)

    tally, written = await run(answer, events=2_000, repeat=0.1)
    file = tmp_path / "acknowledged.ndjson"
    file.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in written))

    expected = oracle.fold(file)

    ingest = [rows[None] for (table, _), rows in expected.rows.items() if table == "ingest_daily"]
    assert sum(row["total_events"] for row in ingest) == tally.events == expected.events
    assert sum(row["duplicate_events"] for row in ingest) == tally.repeated_events > 0
    watched = sum(
        event["watch_ms_delta"]
        for line in written
        if line["repeat_of"] is None
        for event in line["body"].get("events") or [line["body"]]
        if event["event_type"] == "watch_tick" and event.get("ad") is not True
    )
    for table in ("video_daily", "hour_daily"):
        rows = [row for (name, _), found in expected.rows.items() if name == table for row in found.values()]
        assert sum(row["watch_ms"] for row in rows) == watched
