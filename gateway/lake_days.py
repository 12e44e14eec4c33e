"""Days that only the lake still has, for the live page: read by one thread when somebody asks, and kept for a while.

The topics forget a row 35 days after its last change, so days older than that come from the daily files. A few days
are kept, of each as many rows as of an old day from the topics would be wanted; totals are sums over hours, and exact.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.held_days import TABLES
from gateway.lake_store import LakeError, LakeStore, open_lake
from streams.contract.days import FILE_DAYS, dt_of_ms, shift_dt
from streams.contract.rows import INGEST, Table

if TYPE_CHECKING:
    import pyarrow as pa

#: Days that are kept, and for how long they and the list of days are believed, seconds.
KEPT_DAYS: Final = 8
BELIEVED_S: Final = 300.0
_LIST_S: Final = 60.0
#: After an error the lake is left alone so long, seconds.
RETRY_S: Final = 5.0

log = structlog.get_logger(__name__)


class LakeDay:
    """A day's rows as read from files."""

    def __init__(self, dt: str, tables: dict[str, tuple[pa.Table, bool]]) -> None:
        self.dt = dt
        self._tables = tables

    def rows(self, table: Table, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Return rows, the most watched first (hours by hour), whose id or channel holds `search`."""
        from gateway import lake_files  # noqa: PLC0415 - see below

        rows = self._tables[table.kind][0]
        found = lake_files.matching(table, rows, search) if search else rows
        return lake_files.as_dicts(self.dt, found.slice(0, limit))

    def count(self, table: Table) -> tuple[int, bool]:
        """Return how many rows are held, and whether there are more."""
        rows, cut = self._tables[table.kind]
        return rows.num_rows, cut


class LakeDays:
    """The days of a lake."""

    def __init__(self, url: str, endpoint: str, most: int) -> None:
        self._url = url
        self._endpoint = endpoint
        self._most = most
        self._store: LakeStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lake")
        self._known: list[str] = []
        self._listed_s = float("-inf")
        self._is_listed = False
        self._listing: asyncio.Task[None] | None = None
        #: (read at, what was read) by day, the one longest unseen first.
        self._read: OrderedDict[str, tuple[float, LakeDay | LakeError]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[LakeDay]] = {}

    def days(self) -> list[str]:
        """Return the days known by now; the list is brought up to date meanwhile."""
        if time.monotonic() - self._listed_s > _LIST_S and self._listing is None:
            self._listing = asyncio.create_task(self._list())
        return self._known

    async def listed(self) -> None:
        """Return when it has been asked once which days there are, whatever the answer was."""
        self.days()
        if self._listing is not None and self._listed_s == float("-inf"):
            await asyncio.shield(self._listing)

    def is_old(self, dt: str) -> bool:
        """Whether the topics may have forgotten rows of a day."""
        return dt < shift_dt(dt_of_ms(time.time_ns() // 1_000_000), -FILE_DAYS)

    def may_have(self, dt: str) -> bool:
        """Whether a day is in the lake, as far as that is known."""
        return not self._is_listed or dt in self._known

    def peek(self, dt: str) -> LakeDay | LakeError | None:
        """Return a day as read, or why it cannot be; None: it is being read."""
        known = self._recent(dt)
        if known is None:
            self._begin(dt)
        return known

    async def load(self, dt: str) -> LakeDay:
        """Return a day; LakeError when it cannot be read."""
        known = self._recent(dt)
        if known is None:
            return await asyncio.shield(self._begin(dt))
        if isinstance(known, LakeError):
            raise known
        return known

    def close(self) -> None:
        """Let go of the lake."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _recent(self, dt: str) -> LakeDay | LakeError | None:
        known = self._read.get(dt)
        if known is None:
            return None
        read_s, found = known
        self._read.move_to_end(dt)
        believed_s = RETRY_S if isinstance(found, LakeError) else BELIEVED_S
        return found if time.monotonic() - read_s < believed_s else None

    def _begin(self, dt: str) -> asyncio.Task[LakeDay]:
        task = self._reading.get(dt)
        if task is None:
            task = self._reading[dt] = asyncio.create_task(self._fetch(dt))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is kept, too
        return task

    async def _fetch(self, dt: str) -> LakeDay:
        found: LakeDay | LakeError
        try:
            found = await self._in_thread(lambda: self._read_day(dt))
        except LakeError as error:
            log.warning("a day of the lake cannot be read", dt=dt, why=str(error))
            found = error
        finally:
            del self._reading[dt]
        self._read[dt] = time.monotonic(), found
        self._read.move_to_end(dt)
        while len(self._read) > KEPT_DAYS:
            self._read.popitem(last=False)
        if isinstance(found, LakeError):
            raise found
        return found

    async def _list(self) -> None:
        try:
            self._known = await self._in_thread(lambda: sorted(self._opened().days(INGEST.name), reverse=True))
            self._listed_s, self._is_listed = time.monotonic(), True
        except LakeError as error:
            log.warning("the days of the lake cannot be listed", why=str(error))
            self._listed_s = time.monotonic() - _LIST_S + RETRY_S
        finally:
            self._listing = None

    async def _in_thread(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - as the work returns
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _opened(self) -> LakeStore:
        if self._store is None:
            self._store = open_lake(self._url, self._endpoint)
        return self._store

    def _read_day(self, dt: str) -> LakeDay:
        # Loaded by the thread that reads: it takes 60 MiB, which a gateway that shows no old days does not pay.
        import pyarrow as pa  # noqa: PLC0415

        from gateway import lake_files  # noqa: PLC0415

        tables: dict[str, tuple[pa.Table, bool]] = {}
        with tempfile.TemporaryDirectory(prefix="watchtime-gateway-") as name:
            for table in TABLES:
                files = self._opened().fetch(table.name, dt, Path(name))
                try:
                    tables[table.kind] = lake_files.top_rows(table, files, self._most)
                except (pa.ArrowException, OSError) as error:
                    raise LakeError(f"{self._url}: {table.name} of {dt}: {error}") from error
                for _, path in files:
                    path.unlink()
        pa.default_memory_pool().release_unused()
        return LakeDay(dt, tables)
