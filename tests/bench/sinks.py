"""Part `sinks`: a day of many rows to a file in a bucket, and what one changed row of it costs.

    python -m tests.bench --only sinks

The rows come as records of the daily topic, without a broker; the file goes to a local S3 server.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from deploy.local.cache import Cache
from deploy.local.s3 import LocalS3
from tests.bench import commands
from tests.bench.report import Part, Plan, Run, mark, median, number, table

ROWS = 1_000_000
BUCKET = "bench"
FIGURES = ("taken_s", "first_file_s", "changed_row_s", "changed_row_files", "held_to_rows", "row_mb", "rss_mb")


async def measure(plan: Plan) -> Part:
    """Return seconds, and memory beside the bytes of the rows."""
    rows = plan.events(ROWS)
    part = Part(title=f"A day of {rows:,} rows to one parquet file in a bucket")
    s3 = LocalS3(Path(plan.folder, "sinks-s3"), Cache.from_env(os.environ))
    await s3.start()
    try:
        s3.make_bucket(BUCKET)
        environ = {
            "BENCH_S3_ENDPOINT": s3.endpoint,
            "AWS_ACCESS_KEY_ID": s3.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.keys.secret_key,
        }
        runs: list[Run] = []
        for number_of_run in range(plan.runs):
            plan.say(f"run {number_of_run + 1}: {rows:,} rows")
            lake = f"s3://{BUCKET}/run-{number_of_run}"
            command = [sys.executable, "-m", "tests.bench.sinks_once", lake, str(rows)]
            figures, told = await asyncio.to_thread(commands.run, command, environ)
            runs.append({**figures, **told})
    finally:
        s3.stop()
    found = {name: median(runs, name) for name in FIGURES}
    part.figures = {"runs": runs, **found}
    part.markdown += table(
        ["", "figure"],
        [
            ["rows made into a file and put, seconds", number(found["first_file_s"], 2) + mark(runs)],
            ["the same after one row has changed, seconds", number(found["changed_row_s"], 2) + mark(runs)],
            ["files written for that row", number(found["changed_row_files"])],
            ["greatest memory to the bytes of the rows in the topic", number(found["held_to_rows"], 2)],
            ["rows taken from the topic, a second", number(rows / found["taken_s"]) + mark(runs)],
        ],
    )
    return part
