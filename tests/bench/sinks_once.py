"""Holds a day of rows as a sinks worker does, writes its file, changes one row and writes again; prints the figures.

For the benchmark: the rows come as records of the daily topic, and no broker is needed. Arguments: lake, rows.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil

from sinks import metrics
from sinks.day_files import DayFiles, Destination
from sinks.lake import Lake
from sinks.tables import DayTable
from streams.contract.keys import daily_key
from streams.contract.rows import VIDEO, encode_row, row_of
from tests.bench.machine import peak_mb

DT, NOW_MS = "2026-01-05", 1_767_600_000_000


async def main(url: str, rows: int) -> None:
    """Measure once."""
    store = Lake(
        url=url,
        s3_endpoint=os.environ.get("BENCH_S3_ENDPOINT", ""),
        access_key=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    ).store()
    files = DayFiles(VIDEO, 0, "bench", Destination(store=store, form="parquet", shards=1, refresh_s=10.0))
    held, before = DayTable(VIDEO), psutil.Process().memory_info().rss / 2**20
    started, row_bytes = time.monotonic(), 0
    for offset, (key, value) in enumerate(_records(rows)):
        held.apply(key, value, offset, 0, oldest=DT)
        row_bytes += len(key) + len(value)
    told: dict[str, Any] = {"taken_s": time.monotonic() - started, "row_mb": row_bytes / 2**20}
    told["first_file_s"] = await _write(files, held, rows)
    told["held_to_rows"] = (peak_mb(os.getpid()) - before) / told["row_mb"]
    written = metrics.OBJECTS.labels(table=VIDEO.name)._value.get()
    key, value = next(_records(1, watch_ms=1))
    held.apply(key, value, rows, 0, oldest=DT)
    told["changed_row_s"] = await _write(files, held, rows + 1)
    told["changed_row_files"] = metrics.OBJECTS.labels(table=VIDEO.name)._value.get() - written
    sys.stdout.write(json.dumps(told) + "\n")


async def _write(files: DayFiles, held: DayTable, position: int) -> float:
    started = time.monotonic()
    await files.write(held.snapshot(DT), position)
    held.written(DT)
    return time.monotonic() - started


def _records(rows: int, watch_ms: int = 0) -> Iterator[tuple[bytes, bytes]]:
    rng = random.Random(1)
    for number in range(rows):
        row_id = f"{rng.getrandbits(44):011x}"
        counters = [watch_ms + rng.randrange(5_000_000), rng.randrange(500_000), number % 50, 0]
        row = row_of(VIDEO, DT, row_id, counters, f"Channel {number % 20_000}")
        yield daily_key(DT, "video", row_id), encode_row(row, NOW_MS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
