"""How many bytes queries read: a year of days on Trino, in each format. Prints the tables of athena/COST.md.

python -m tests.athena.scan
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from athena.questions import question
from athena.statements import TABLES_FILE, VIEWS_FILE, filled, statements
from deploy.local.cache import Cache
from deploy.local.s3 import LocalS3, client
from sinks.keys import Format
from streams.contract.days import shift_dt
from streams.contract.rows import CHANNEL, HOUR, INGEST, VIDEO, Table
from tests.athena.engine import Engine, fetch, java_home
from tests.athena.mapping import parse, trino_ddl
from tests.athena.sample import day_files

FIRST, DAYS = "2025-11-01", 365
LAST = shift_dt(FIRST, DAYS - 1)
VIDEOS, CHANNELS = 2_000, 600
SHAPES: dict[str, tuple[Format, int]] = {"jsonl": ("jsonl", 1), "parquet": ("parquet", 1), "parquet8": ("parquet", 8)}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
BUCKET = "year"


def year(rng: random.Random) -> dict[Table, dict[str, list[tuple[Any, ...]]]]:
    """Return rows by table and day: a few videos lead, most are seen once or twice."""
    names = [
        " ".join(rng.choices(("Daily", "News", "Música", "Chess", "Lab", "Kitchen", "🦉"), k=3)) for _ in range(2_000)
    ]
    channels = [f"{name} {number}" for number, name in enumerate(names)]
    found: dict[Table, dict[str, list[tuple[Any, ...]]]] = {VIDEO: {}, CHANNEL: {}, HOUR: {}, INGEST: {}}
    for day in range(DAYS):
        dt = shift_dt(FIRST, day)
        ids = {"".join(rng.choices(LETTERS, k=11)) for _ in range(VIDEOS)}
        found[VIDEO][dt] = [(one, rng.choice(channels), *_counters(rng)) for one in ids]
        found[CHANNEL][dt] = [(one, *_counters(rng)) for one in rng.sample(channels, CHANNELS)]
        found[HOUR][dt] = [(hour, *_counters(rng)) for hour in range(24)]
        found[INGEST][dt] = [(90_000, 89_000, 1_000, 3, 40, 120, 7)]
    return found


def _counters(rng: random.Random) -> tuple[int, int, int, int, int]:
    fg, bg = (int(rng.paretovariate(0.9) * 10_000) for _ in range(2))
    return fg + bg, fg, bg, rng.randrange(1, 9), rng.choice((0, 0, 15_000))


def asked(channel: str, video: str) -> dict[str, str]:
    """Return what is asked, by what it is called in the table."""
    month, week = shift_dt(LAST, -29), "2026-10-19"
    span = {"from": FIRST, "to": LAST}
    ready = [
        ("top channels of one day", "top_channels_by_day", {"from": LAST, "to": LAST}),
        ("top videos of 30 days", "top_videos", {"from": month, "to": LAST}),
        ("watch time by day, 30 days", "watch_time_by_day", {"from": month, "to": LAST}),
        ("top channels of one week", "top_channels_by_week", {"from": week, "to": week}),
        ("watch time by day, a year", "watch_time_by_day", span),
        ("top channels of a year", "top_channels", span),
        ("one channel, a year", "videos_of_channel", {**span, "channel": channel}),
        ("one video, a year", "one_video", {**span, "video": video}),
        ("hours of the week, a year", "hours_of_week", span),
        ("new channels of 30 days (reads every day)", "new_channels", {"from": month, "to": LAST}),
        ("data quality, a year", "data_quality", span),
    ]
    return {title: question(name).sql(given, today=LAST) for title, name, given in ready}


def main() -> None:
    """Write the year into a bucket, ask, and print."""
    cache = Cache.from_env(os.environ)
    java = java_home()
    if java is None:
        raise SystemExit("no Java for Trino; see tests/athena/engine.py")
    rows = year(random.Random(1))
    with tempfile.TemporaryDirectory(prefix="watchtime-scan-") as name:
        s3 = LocalS3(Path(name) / "s3", cache)
        asyncio.run(s3.start())
        s3.make_bucket(BUCKET)
        put = client(s3.endpoint, s3.keys).put_object
        sizes: dict[str, dict[str, list[int]]] = {}
        for shape, (form, shards) in SHAPES.items():
            found = day_files(rows, form, shards)
            sizes[shape] = defaultdict(list)
            for key, body in found.items():
                sizes[shape][key.split("/")[1]].append(len(body))
            with ThreadPoolExecutor(8) as pool:
                list(
                    pool.map(
                        lambda item, shape=shape: put(Bucket=BUCKET, Key=f"{shape}/{item[0]}", Body=item[1]),
                        found.items(),
                    )
                )
        (Path(name) / "trino").mkdir()
        engine = Engine(folder=Path(name) / "trino", s3_endpoint=s3.endpoint, keys=s3.keys, bucket=BUCKET)
        try:
            engine.start(fetch(cache), java)
            _print_sizes(sizes)
            _print_scans(engine, asked(rows[VIDEO][LAST][0][1], rows[VIDEO][LAST][0][0]))
        finally:
            engine.stop()
            s3.stop()


def _print_sizes(sizes: dict[str, dict[str, list[int]]]) -> None:
    print("| table | " + " | ".join(f"{shape}: files, KB each, MB" for shape in SHAPES) + " |")
    print("|---|" + "---:|" * len(SHAPES))
    for table in (VIDEO, CHANNEL, HOUR, INGEST):
        cells = []
        for shape in SHAPES:
            found = sizes[shape][table.name]
            cells.append(f"{len(found):,}, {sum(found) / len(found) / 1000:.1f}, {sum(found) / 1e6:.1f}")
        print(f"| {table.name} | " + " | ".join(cells) + " |")


def _print_scans(engine: Engine, questions: dict[str, str]) -> None:
    scanned: dict[str, list[tuple[int, float]]] = defaultdict(list)
    answers: dict[str, list[Any]] = {}
    for shape, (form, _) in SHAPES.items():
        engine.schema = shape
        lake = f"s3://{BUCKET}/{shape}"
        values = {"lake": lake, "first_day": FIRST, "first_raw_day": FIRST.replace("-", "/"), "last_day": LAST}
        engine.ask(f"CREATE SCHEMA {shape}")
        for table in statements(TABLES_FILE.read_text()):
            if table.section == form:
                engine.ask(trino_ddl(parse(filled(table.text, values))))
        for view in statements(VIEWS_FILE.read_text()):
            if view.name != "events":
                engine.ask(view.text)
        for title, text in questions.items():
            started = time.monotonic()
            answer = engine.ask(text)
            scanned[title].append((answer.scanned_bytes, time.monotonic() - started))
            if answers.setdefault(title, answer.rows) != answer.rows:
                raise SystemExit(f"{title}: {shape} answers otherwise than {next(iter(SHAPES))}")
    print("\n| query | " + " | ".join(f"{shape}: MB (s)" for shape in SHAPES) + " | parquet of jsonl |")
    print("|---|" + "---:|" * (len(SHAPES) + 1))
    for title, found in scanned.items():
        cells = [f"{size / 1e6:.3f} ({seconds:.1f})" for size, seconds in found]
        print(f"| {title} | " + " | ".join(cells) + f" | {100 * found[1][0] / found[0][0]:.0f}% |")


if __name__ == "__main__":
    main()
