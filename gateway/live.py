"""What the live page asks for: GET /live (server-sent events), GET /api/daily (rows of a day), GET /api/days.

Each event of /live holds the whole view of a day, at most once a second and only when something changed. So a client
that comes back with the Last-Event-ID of the newest view waits for the next one, and any other gets the newest at
once: nothing has to be kept for those who are away, and a slow reader misses views, not changes. One that does not
even take a view in time is dropped; its browser comes back by itself.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import secrets
import time
from typing import Any, Final

import orjson
from aiohttp import web

from gateway.access import Access
from gateway.answers import Refusal, json_answer
from gateway.csv_rows import to_csv
from gateway.daily_reader import Reader
from gateway.held_days import TABLES
from gateway.metrics import Metrics
from gateway.settings import Settings
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table

_BY_KIND: Final[dict[str, Table]] = {table.kind: table for table in TABLES}
_TOP: Final = 12
_EVERY_S: Final = 1.0
#: A line now and then, so that a connection that nobody is at the other end of is noticed.
_ALIVE_S: Final = 15.0
_WRITE_TIMEOUT_S: Final = 10.0
_READY_WITHIN_S: Final = 20.0
_DEFAULT_LIMIT: Final = 100
#: The most that may be asked for; what is held is answered, and `X-Rows-Cut` says whether there is more.
MOST_ROWS: Final = 1_000_000
_WHOLE: Final = re.compile("[0-9]{1,7}")
_LONGEST_SEARCH: Final = 256
_DAY_LENGTH: Final = len("2026-01-31")


class Live:
    """The handlers and what they share."""

    def __init__(self, settings: Settings, access: Access, reader: Reader, metrics: Metrics) -> None:
        self._settings = settings
        self._access = access
        self._reader = reader
        self._metrics = metrics
        #: Versions count from the start of this process; the prefix tells it from others.
        self._run = secrets.token_hex(4)
        self._streams = 0
        self._stopping = asyncio.Event()
        metrics.live_streams.set_function(lambda: self._streams)

    async def stop(self, _: web.Application) -> None:
        """End all streams, so that the gateway can stop."""
        self._stopping.set()

    async def daily(self, request: web.Request) -> web.Response:
        """Answer with rows of one table and day."""
        self._access.demand_viewer(request)
        self._access.throttle(request, None)
        table = _table(request)
        limit = _limit(request)
        search = request.query.get("q", "")
        if len(search) > _LONGEST_SEARCH:
            raise Refusal(400, f"q is longer than {_LONGEST_SEARCH} characters", "query")
        shape = request.query.get("format", "json")
        if shape not in {"json", "csv"}:
            raise Refusal(400, "format must be json or csv", "query")
        given = _day(request)
        await self._demand_rows()
        dt = given or self._today()
        rows = self._reader.days.rows(table, dt, limit, search)
        held, cut = self._reader.days.count(table, dt)
        headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Rows-Held": str(held),
            "X-Rows-Cut": "true" if cut else "false",
        }
        if "download" in request.query:
            headers["Content-Disposition"] = f'attachment; filename="{table.name}-{dt}.{shape}"'
        if shape == "json":
            return json_answer(200, orjson.dumps(rows), headers)
        text = to_csv((*table.columns, "updated_at"), rows)
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)

    async def days(self, request: web.Request) -> web.Response:
        """Answer with the days that there are, the newest first, and their totals."""
        self._access.demand_viewer(request)
        self._access.throttle(request, None)
        await self._demand_rows()
        days = self._reader.days
        body = [{"dt": dt, **days.totals(dt)} for dt in days.days()]
        return json_answer(200, orjson.dumps(body), {"Cache-Control": "no-store"})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send views of a day until the client leaves or is too slow."""
        self._access.demand_viewer(request)
        self._access.throttle(request, None)
        given = _day(request)
        if self._streams >= self._settings.live_streams:
            raise Refusal(503, "Too many viewers at present", "live_streams")
        headers = {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
        response = web.StreamResponse(headers=headers)
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send(response, given, request.headers.get("Last-Event-ID", ""))
        except TimeoutError:
            self._metrics.count_refusal("slow_viewer")
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
        return response

    async def _send(self, response: web.StreamResponse, given: str | None, seen: str) -> None:
        written_s = 0.0
        while not self._stopping.is_set():
            self._reader.look()
            view_id, view = self._view(given)
            now_s = time.monotonic()
            text = b""
            if view_id != seen:
                text = b"id: %b\nevent: view\ndata: %b\n\n" % (view_id.encode(), orjson.dumps(view))
            elif now_s - written_s > _ALIVE_S:
                text = b": alive\n\n"
            if text:
                async with asyncio.timeout(_WRITE_TIMEOUT_S):
                    await response.write(text)
                seen, written_s = view_id, now_s
            try:
                await asyncio.wait_for(self._stopping.wait(), _EVERY_S)
            except TimeoutError:
                continue

    def _view(self, given: str | None) -> tuple[str, dict[str, Any]]:
        """Return a view of a day and its id, which is another one when anything in it is."""
        reader = self._reader
        days, dt = reader.days, given or self._today()
        if not reader.caught_up.is_set():
            progress = round(reader.progress, 2)
            return f"{self._run}-loading-{progress}", {"loading": progress}
        view = {
            "dt": dt,
            "today": self._today(),
            "days": days.days(),
            "totals": days.totals(dt),
            "hours": days.rows(HOUR, dt, 24),
            "videos": days.rows(VIDEO, dt, _TOP),
            "channels": days.rows(CHANNEL, dt, _TOP),
            "held": {table.kind: days.count(table, dt) for table in (VIDEO, CHANNEL)},
            "ingest": next(iter(days.rows(INGEST, dt, 1)), None),
            "health": reader.health,
        }
        told = orjson.dumps(reader.health)
        return f"{self._run}-{dt}-{days.versions.get(dt, 0)}-{hash(told) & 0xFFFFFFFF:x}", view

    def _today(self) -> str:
        """Return the day of now (UTC) if it has rows, else the newest one, else that of now."""
        now = datetime.datetime.now(datetime.UTC).date().isoformat()
        days = self._reader.days.days()
        return now if now in days or not days else days[0]

    async def _demand_rows(self) -> None:
        if not await self._reader.ready(_READY_WITHIN_S):
            raise Refusal(503, "The daily topics are still being read; come back in a moment", "live_loading")


def _table(request: web.Request) -> Table:
    kind = request.query.get("table", "video")
    if kind not in _BY_KIND:
        raise Refusal(400, f"table must be one of {', '.join(_BY_KIND)}", "query")
    return _BY_KIND[kind]


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_DEFAULT_LIMIT))
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= MOST_ROWS:
        raise Refusal(400, f"limit must be a whole number from 1 to {MOST_ROWS}", "query")
    return int(text)


def _day(request: web.Request) -> str | None:
    text = request.query.get("dt")
    if text is None:
        return None
    try:
        if len(text) == _DAY_LENGTH and datetime.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise Refusal(400, "dt must be a day as YYYY-MM-DD", "query")
