"""What the live page asks for: GET /live (server-sent events), GET /api/daily (rows of a day), GET /api/days.

Each event of /live holds the whole view of a day, at most once a second and only when something changed. So a client
that comes back with the Last-Event-ID of the newest view waits for the next one, and any other gets the newest at
once: nothing has to be kept for those who are away, and a slow reader misses views, not changes. One that does not
even take a view in time is dropped; its browser comes back by itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import re
from typing import Final

import orjson
import structlog
from aiohttp import web
from structlog.contextvars import get_contextvars

from gateway import request_ids
from gateway.access import Access
from gateway.answers import JsonAnswer, Refusal
from gateway.audience import Audience
from gateway.csv_rows import to_csv
from gateway.held_days import TABLES, totals_of
from gateway.lake_days import LakeDay
from gateway.lake_store import LakeError
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.shown_days import TOPICS, Day, LoadingError, ShownDays
from gateway.views import Views
from streams.contract.rows import HOUR, Table

_BY_KIND: Final[dict[str, Table]] = {table.kind: table for table in TABLES}
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

log = structlog.get_logger(__name__)


class Live:
    """The handlers and what they share."""

    def __init__(self, settings: Settings, access: Access, days: ShownDays, metrics: Metrics) -> None:
        self._settings = settings
        self._access = access
        self._days = days
        self._reader = days.reader
        self._metrics = metrics
        self._views = Views(days)
        #: By the day that was asked for; None: today.
        self._audiences: dict[str | None, Audience] = {}
        self._beating: asyncio.Task[None] | None = None
        self._streams = 0
        self._stopping = False
        metrics.live_streams.set_function(lambda: self._streams)

    async def stop(self, _: web.Application) -> None:
        """End all streams, so that the gateway can stop."""
        self._stopping = True
        if self._beating is not None:
            self._beating.cancel()
        self._end_all()

    async def daily(self, request: web.Request) -> web.StreamResponse:
        """Answer with rows of one table and day."""
        self._access.demand_viewer(request)
        self._access.throttle(request, None)
        table = _table(request)
        limit = _limit(request)
        search = request.query.get("q", "")
        if len(search) > _LONGEST_SEARCH:
            raise Refusal(400, f"q is longer than {_LONGEST_SEARCH} characters", "query")
        shape = request.query.get("format") or "json"
        if shape not in {"json", "csv"}:
            raise Refusal(400, "format must be json or csv", "query")
        given = _day(request)
        day, dt = await self._load(given)
        held, cut = day.count(table)
        if isinstance(day, LakeDay):  # it does not change, so another thread may look
            rows = await asyncio.to_thread(day.rows, table, limit, search)
        else:
            rows = day.rows(table, limit, search)
        headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Rows-From": self._days.source(dt),
            "X-Rows-Held": str(held),
            "X-Rows-Cut": "true" if cut else "false",
        }
        if "download" in request.query:
            headers["Content-Disposition"] = f'attachment; filename="{table.name}-{dt}.{shape}"'
        if shape == "json":
            return JsonAnswer(200, orjson.dumps(rows), headers)
        columns = table.columns if isinstance(day, LakeDay) else (*table.columns, "updated_at")
        text = to_csv(columns, rows)
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)

    async def days(self, request: web.Request) -> web.StreamResponse:
        """Answer with the days that there are, the newest first; totals of those that the topics hold."""
        self._access.demand_viewer(request)
        self._access.throttle(request, None)
        await self._load(None)
        held = self._reader.days
        body = [
            {"dt": dt, "from": source, **(totals_of(held.rows(HOUR, dt, 24)) if source == TOPICS else {})}
            for dt in self._days.days()
            for source in (self._days.source(dt),)
        ]
        return JsonAnswer(200, orjson.dumps(body), {"Cache-Control": "no-store"})

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
            request_ids.HEADER: get_contextvars()["request_id"],
        }
        response = web.StreamResponse(headers=headers)
        audience = self._join(given)
        self._streams += 1
        try:
            await response.prepare(request)
            await _send(response, audience, request.headers.get("Last-Event-ID", ""))
        except TimeoutError:
            self._metrics.count_refusal("slow_viewer")
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
            audience.viewers -= 1
        return response

    def _join(self, given: str | None) -> Audience:
        """Return the audience of a day, one viewer larger."""
        self._reader.look()
        audience = self._audiences.get(given)
        if audience is None:
            audience = self._audiences[given] = Audience(self._views.newest(given))
        audience.viewers += 1
        if self._stopping:
            audience.end()
        elif self._beating is None:
            # In a context of its own: it goes on when the request that began it is over.
            self._beating = asyncio.create_task(self._beat(), context=contextvars.Context())
        return audience

    async def _beat(self) -> None:
        """Look for new views again and again while there is an audience."""
        try:
            while self._audiences:
                await asyncio.sleep(_EVERY_S)
                self._reader.look()
                for given, audience in list(self._audiences.items()):
                    if not audience.viewers:
                        del self._audiences[given]
                    elif (view := self._views.newest(given)).view_id != audience.view.view_id:
                        audience.show(view)
        except Exception:
            log.exception("a view cannot be made; its viewers are sent away and come back")
        finally:
            self._beating = None
            self._end_all()

    def _end_all(self) -> None:
        for audience in self._audiences.values():
            audience.end()
        self._audiences.clear()

    async def _load(self, given: str | None) -> tuple[Day, str]:
        """Return a day and which it is; None: today. Refusal 503 when it cannot be shown now."""
        try:
            if given is None:
                await self._days.load(self._days.today(), _READY_WITHIN_S)  # only then it is known which day that is
            dt = given or self._days.today()
            return await self._days.load(dt, _READY_WITHIN_S), dt
        except LoadingError as error:
            advice = "The daily topics are still being read; come back in a moment"
            raise Refusal(503, advice, "live_loading") from error
        except LakeError as error:
            raise Refusal(503, f"The files of this day cannot be read: {error}", "lake") from error


async def _send(response: web.StreamResponse, audience: Audience, seen: str) -> None:
    """Send what is new for this viewer until the audience is over; TimeoutError when the viewer is too slow."""
    while not audience.over:
        text = b": alive\n\n"
        if (view := audience.view).view_id != seen:
            seen, text = view
        async with asyncio.timeout(_WRITE_TIMEOUT_S):
            await response.write(text)
        if audience.view is view:
            await audience.wait(_ALIVE_S)


def _table(request: web.Request) -> Table:
    kind = request.query.get("table") or "video"
    if kind not in _BY_KIND:
        raise Refusal(400, f"table must be one of {', '.join(_BY_KIND)}", "query")
    return _BY_KIND[kind]


def _limit(request: web.Request) -> int:
    text = request.query.get("limit") or str(_DEFAULT_LIMIT)
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= MOST_ROWS:
        raise Refusal(400, f"limit must be a whole number from 1 to {MOST_ROWS}", "query")
    return int(text)


def _day(request: web.Request) -> str | None:
    text = request.query.get("dt")
    if not text:  # a form sends what was left blank
        return None
    try:
        if datetime.date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise Refusal(400, "dt must be a day as YYYY-MM-DD", "query")
