"""The live page's endpoints over real sockets; the rows are put in by hand."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
from contextlib import AsyncExitStack

import aiohttp
import pytest

from gateway import live
from gateway.views import Views
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, encode_row, row_of
from tests.unit.gateway.running import Gateway
from tests.unit.gateway.test_gateway_auth import files  # noqa: F401 - a fixture

TODAY = datetime.datetime.now(datetime.UTC).date().isoformat()
EVIL = "<img src=x onerror=alert(1)>\u2028=cmd"


def put(gateway: Gateway, table, row_id, counters, *, dt=TODAY, channel=None):  # noqa: PLR0913
    row = row_of(table, dt, row_id, counters, channel)
    gateway.reader.days.apply(table.topic, daily_key(dt, table.kind, row_id), encode_row(row, 5))


@pytest.fixture
async def shown(gateway: Gateway) -> Gateway:
    """A gateway with a day to show."""
    fill(gateway)
    return gateway


def fill(gateway: Gateway) -> None:
    put(gateway, VIDEO, "video-1", [60_000, 30_000, 2, 5_000], channel=EVIL)
    put(gateway, VIDEO, "video-2", [10_000, 0, 1, 0])
    put(gateway, CHANNEL, EVIL, [60_000, 30_000, 2, 5_000])
    put(gateway, HOUR, "7", [70_000, 30_000, 3, 5_000])
    put(gateway, INGEST, "", [9, 9, 0, 0, 0, 1, 0])
    gateway.reader.caught_up.set()


async def get(gateway: Gateway, path: str, **headers: str) -> tuple[int, str, aiohttp.ClientResponse]:
    async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
        return response.status, await response.text(), response


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
    status, text, response = await get(shown, f"/api/daily?dt={TODAY}&table=video&limit=1")

    assert status == 200
    assert json.loads(text) == [{**row_of(VIDEO, TODAY, "video-1", [60_000, 30_000, 2, 5_000], EVIL), "updated_at": 5}]
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
    put(shown, CHANNEL, "=HYPERLINK(1)", [1, 0, 0, 0])

    _, text, response = await get(shown, "/api/daily?table=channel&format=csv&download")

    assert response.content_type == "text/csv"
    assert response.headers["Content-Disposition"] == f'attachment; filename="channel_daily-{TODAY}.csv"'
    assert f"\r\n{TODAY},'=HYPERLINK(1),1,1,0,0,0,5\r\n" in text


async def test_before_all_is_read_the_api_says_so(gateway: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_READY_WITHIN_S", 0.01)

    assert (await get(gateway, "/api/daily"))[0] == 503
    async with gateway.session.get(f"{gateway.url}/live") as response:
        [(_, view)] = await views(response, 1)
        assert view == {"dt": TODAY, "today": TODAY, "days": [], "from": "topics", "loading": 0.0}


async def test_the_stream_shows_changes_and_only_changes(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    put(shown, VIDEO, "video-1", [1, 0, 1, 0], dt="1999-12-31")
    async with shown.session.get(f"{shown.url}/live") as response:
        assert response.content_type == "text/event-stream"
        [(first, view)] = await views(response, 1)
        assert view["totals"]["watch_ms"] == 100_000
        assert [row["video_id"] for row in view["videos"]] == ["video-1", "video-2"]
        assert view["channels"][0]["channel"] == EVIL

        put(shown, VIDEO, "video-2", [200_000, 0, 1, 0])

        [(second, view)] = await views(response, 1)
        assert second != first
        assert [row["video_id"] for row in view["videos"]] == ["video-2", "video-1"]
        put(shown, VIDEO, "video-2", [200_000, 0, 1, 0], dt="1999-12-31")
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
        put(shown, HOUR, "8", [1, 0, 0, 0])
        seconds = [(await views(stream, 1))[0] for stream in streams]

    assert firsts == firsts[:1] * 20
    assert seconds == seconds[:1] * 20
    assert seconds[0][1]["totals"]["watch_ms"] == 100_001
    assert made == [TODAY, TODAY]


async def test_viewers_of_a_view_that_cannot_be_made_are_sent_away(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.01)
    async with shown.session.get(f"{shown.url}/live") as response:
        await views(response, 1)
        put(shown, VIDEO, "broken", [1, 0, 0, 0])
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
        put(shown, HOUR, "8", [1, 0, 0, 0])
        assert (await views(response, 1))[0][1]["totals"]["watch_ms"] == 100_001
    async with shown.session.get(f"{shown.url}/live", headers={"Last-Event-ID": seen}) as response:
        assert (await views(response, 1))[0][1]["totals"]["watch_ms"] == 100_001


async def test_a_slow_viewer_is_dropped(shown: Gateway, monkeypatch):
    monkeypatch.setattr(live, "_EVERY_S", 0.0)
    monkeypatch.setattr(live, "_WRITE_TIMEOUT_S", 0.1)
    for number in range(30):
        put(shown, VIDEO, f"{'x' * 20_000}{number}", [number, 0, 0, 0])
    reader, writer = await asyncio.open_connection("127.0.0.1", shown.port, limit=1_024)
    writer.write(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readline()

    async with asyncio.timeout(20):
        number = 0
        while not shown.metric("watchtime_gateway_refusals_total", reason="slow_viewer"):
            number += 1
            put(shown, HOUR, "8", [number, 0, 0, 0])
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


async def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(shown: Gateway):
    status, text, response = await get(shown, "/")

    policy = response.headers["Content-Security-Policy"]
    assert (status, response.content_type) == (200, "text/html")
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "style=" not in text
    assert (
        " on" not in text.replace(" on ", "").replace(" once", "").lower().partition("<body")[2].partition("<script")[2]
    )
    assert text.count("<script") == text.count("<script src=") == 2
    pictures = (await get(shown, "/?pictures=youtube"))[2].headers["Content-Security-Policy"]
    assert "img-src 'self' https://i.ytimg.com;" in pictures


@pytest.mark.parametrize("name", ["live.js", "bars.js", "chart.js", "words.js"])
async def test_no_script_of_the_page_writes_markup(shown: Gateway, name):
    status, text, response = await get(shown, f"/page/{name}")

    assert (status, response.content_type) == (200, "text/javascript")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in text


@pytest.mark.parametrize(
    "path", ["/page/../settings.py", "/page/%2e%2e/settings.py", "/page/", "/page/live.html/", "/page//etc/passwd"]
)
async def test_nothing_but_the_pages_files_is_served(shown: Gateway, path):
    assert (await get(shown, path))[0] == 404


async def test_a_file_that_the_browser_has_is_not_sent_again(shown: Gateway):
    tag = (await get(shown, "/page/live.css"))[2].headers["ETag"]

    assert (await get(shown, "/page/live.css", **{"If-None-Match": tag}))[0] == 304


async def test_pages_of_other_origins_may_post_but_not_read_what_was_watched(start_gateway):
    gateway = await start_gateway(cors_origins=frozenset({"*"}))
    fill(gateway)
    for path in ("/api/daily", "/api/days", "/"):
        response = (await get(gateway, path, Origin="https://evil.example"))[2]
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", ["/", "/live", "/api/daily", "/api/days", "/page/live.js"])
async def test_with_authentication_only_viewers_look(start_gateway, files, tmp_path, path):  # noqa: F811
    (tmp_path / "viewers").write_text("anna:geheim ü\n")
    gateway = await start_gateway(**files, viewers_file=tmp_path / "viewers")
    fill(gateway)

    async def status(given: str | None) -> int:
        headers = {"Authorization": f"Basic {base64.b64encode(given.encode()).decode()}"} if given else {}
        async with gateway.session.get(f"{gateway.url}{path}", headers=headers) as response:
            if response.status == 401:
                assert response.headers["WWW-Authenticate"].startswith("Basic ")
            return response.status

    assert await status(None) == 401
    assert await status("anna:wrong") == 401
    assert await status("anna:geheim ü") == 200
    guesses = [await status(f"anna:{n}") for n in range(12)]
    assert guesses[-1] == 429


async def test_a_gateway_may_have_no_page(start_gateway):
    gateway = await start_gateway(live=False)

    assert (await get(gateway, "/"))[0] == 200
    assert (await get(gateway, "/live"))[0] == 404
