"""The live page's endpoints over real sockets; the rows are put in by hand."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import aiohttp
import pytest

from gateway import live
from gateway.views import Views
from streams.contract.rows import CHANNEL, HOUR, VIDEO, row_of
from tests.clock import today
from tests.live_gateway import put
from tests.unit.gateway.running import Gateway
from tests.unit.gateway.shown_day import EVIL, fill, get


async def views(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, dict]]:
    """Return that many events of a stream: ids and data."""
    found, fields = [], {}
    while len(found) < count:
        line = (await response.content.readline()).decode()
        assert line, "the stream has ended"
        if line == "\n":
            if "data" in fields:
                found.append((fields["id"], json.loads(fields["data"])))
            fields = {}
        else:
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value
    return found


async def test_rows_of_a_day(shown: Gateway):
    status, text, response = await get(shown, f"/api/daily?dt={today()}&table=video&limit=1")

    assert status == 200
    row = row_of(VIDEO, today(), "video-1", [60_000, 30_000, 2, 5_000], EVIL)
    assert json.loads(text) == [{**row, "updated_at": 5}]
    assert response.headers["X-Rows-Held"] == "2"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(json.loads((await get(shown, "/api/daily"))[1])) == 2
    assert json.loads((await get(shown, "/api/daily?table=hour"))[1])[0]["hour"] == 7
    assert json.loads((await get(shown, "/api/daily?table=ingest"))[1])[0]["total_events"] == 9
    assert json.loads((await get(shown, "/api/daily?dt=1999-12-31"))[1]) == []
    assert json.loads((await get(shown, "/api/daily?q=ONERROR"))[1])[0]["video_id"] == "video-1"
    assert json.loads((await get(shown, "/api/days"))[1])[0]["watch_ms"] == 100_000


async def test_what_is_left_blank_is_left_out(shown: Gateway):
    """Forms send every field, and the documented form of the call shows them without values."""
    blank, left_out = await get(shown, "/api/daily?dt=&table=&limit=&format=&q="), await get(shown, "/api/daily")

    assert blank[:2] == left_out[:2]
    assert blank[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "dt=2026-1-2",
        "dt=2026-02-30",
        "dt=20260102",
        "dt=2026-W01-1",
        "dt=..",
        "dt=%00",
        "table=client",
        "limit=0",
        "limit=-1",
        "limit=1000001",
        "limit=1e3",
        "limit=%D9%A3",
        "limit=" + "9" * 5_000,
        "format=xml",
        "q=" + "x" * 257,
    ],
)
async def test_a_wrong_question_is_answered_400(shown: Gateway, query):
    status, text, _ = await get(shown, f"/api/daily?{query}")

    assert status == 400
    assert json.loads(text)["error"]


async def test_csv_holds_no_formula(shown: Gateway):
    put(shown.reader.days, CHANNEL, "=HYPERLINK(1)", [1, 0, 0, 0])

    _, text, response = await get(shown, "/api/daily?table=channel&format=csv&download")

    assert response.content_type == "text/csv"
    assert response.headers["Content-Disposition"] == f'attachment; filename="channel_daily-{today()}.csv"'
    assert f"\r\n{today()},'=HYPERLINK(1),1,1,0,0,0,5\r\n" in text


async def test_before_all_is_read_the_api_says_so(gateway: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_READY_WITHIN_S", 0.01)

    assert (await get(gateway, "/api/daily"))[0] == 503
    async with gateway.session.get(f"{gateway.url}/live") as response:
        [(_, view)] = await views(response, 1)
        assert view == {"dt": today(), "today": today(), "days": [], "from": "topics", "loading": 0.0}


async def test_the_stream_shows_changes_and_only_changes(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    put(shown.reader.days, VIDEO, "video-1", [1, 0, 1, 0], dt="1999-12-31")
    async with shown.session.get(f"{shown.url}/live") as response:
        assert response.content_type == "text/event-stream"
        [(first, view)] = await views(response, 1)
        assert view["totals"]["watch_ms"] == 100_000
        assert [row["video_id"] for row in view["videos"]] == ["video-1", "video-2"]
        assert view["channels"][0]["channel"] == EVIL

        put(shown.reader.days, VIDEO, "video-2", [200_000, 0, 1, 0])

        [(second, view)] = await views(response, 1)
        assert second != first
        assert [row["video_id"] for row in view["videos"]] == ["video-2", "video-1"]
        put(shown.reader.days, VIDEO, "video-2", [200_000, 0, 1, 0], dt="1999-12-31")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(views(response, 1), 0.2)


async def test_a_view_is_made_once_for_all_who_look(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    made = []
    make = Views._make
    monkeypatch.setattr(Views, "_make", lambda self, dt: made.append(dt) or make(self, dt))
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(shown.session.get(f"{shown.url}/live")) for _ in range(20)]
        firsts = [(await views(stream, 1))[0] for stream in streams]
        put(shown.reader.days, HOUR, "8", [1, 0, 0, 0])
        seconds = [(await views(stream, 1))[0] for stream in streams]

    assert firsts == firsts[:1] * 20
    assert seconds == seconds[:1] * 20
    assert seconds[0][1]["totals"]["watch_ms"] == 100_001
    assert made == [today(), today()]


async def test_viewers_of_a_view_that_cannot_be_made_are_sent_away(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    async with shown.session.get(f"{shown.url}/live") as response:
        await views(response, 1)
        put(shown.reader.days, VIDEO, "broken", [1, 0, 0, 0])
        monkeypatch.setattr(Views, "_make", lambda *_: 1 / 0)

        assert await response.content.read() == b""
    monkeypatch.undo()
    async with shown.session.get(f"{shown.url}/live") as response:
        assert (await views(response, 1))[0][1]["totals"]["watch_ms"] == 100_000


async def test_a_view_that_cannot_be_made_takes_no_viewers_place(shown: Gateway, monkeypatch):
    monkeypatch.setattr(Views, "_make", lambda *_: 1 / 0)

    assert (await get(shown, "/live"))[0] == 500

    assert shown.metric("watchtime_gateway_live_streams") == 0


async def test_a_client_that_comes_back_hears_only_what_is_new(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    async with shown.session.get(f"{shown.url}/live") as response:
        [(seen, _)] = await views(response, 1)

    async with shown.session.get(f"{shown.url}/live", headers={"Last-Event-ID": seen}) as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(views(response, 1), 0.2)
        put(shown.reader.days, HOUR, "8", [1, 0, 0, 0])
        assert (await views(response, 1))[0][1]["totals"]["watch_ms"] == 100_001
    async with shown.session.get(f"{shown.url}/live", headers={"Last-Event-ID": seen}) as response:
        assert (await views(response, 1))[0][1]["totals"]["watch_ms"] == 100_001


async def test_a_slow_viewer_is_dropped(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.0)
    monkeypatch.setattr(live, "_WRITE_TIMEOUT_S", 0.1)
    for number in range(30):
        put(shown.reader.days, VIDEO, f"{'x' * 20_000}{number}", [number, 0, 0, 0])
    reader, writer = await asyncio.open_connection("127.0.0.1", shown.port, limit=1_024)
    writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readline()

    async with asyncio.timeout(20):
        number = 0
        while not shown.metric("watchtime_gateway_refusals_total", reason="slow_viewer"):
            number += 1
            put(shown.reader.days, HOUR, "8", [number, 0, 0, 0])
            await asyncio.sleep(0.001)
    while shown.metric("watchtime_gateway_live_streams"):  # noqa: ASYNC110 - a gauge has no event
        await asyncio.sleep(0.001)
    writer.close()


async def test_viewers_have_a_limit(start_gateway):
    gateway = await start_gateway(live_streams=1)
    fill(gateway)
    async with gateway.session.get(f"{gateway.url}/live") as response:
        await views(response, 1)
        assert (await get(gateway, "/live"))[0] == 503
