"""The lake's views over files of both formats, and how results are printed."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from athena import query_command
from athena.local import connect
from athena.questions import literal
from sinks.keys import ChunkKey, FileKey, Format
from sinks.lake import Lake, NoStackError, lake_of
from streams.contract.rows import TABLES, VIDEO
from tests.lakes import file_bytes, write

NASTY = "a\u0000b\u2028'\"|<b>[red]🦉\x1b[31m\u202e"
ROWS = [(NASTY, "c'h", 3, 1, 2, 1, 0), ("v2", None, 4, 4, 0, 0, 9)]


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    # A folder whose name means something to DuckDB's patterns and to SQL.
    return tmp_path / "it's [a] *lake*?"


@pytest.fixture(name="lake")
def _lake(root: Path) -> Lake:
    root.mkdir()
    return Lake(url=root.as_uri())


def put_videos(root: Path, dt: str, form: Format, rows: list[Any] = ROWS, part: tuple[int, int] = (0, 1)) -> None:
    write(root, {FileKey("video_daily", dt, *part, form).encode(): file_bytes(VIDEO, dt, rows, form)})


def test_every_table_is_there_and_empty_before_the_first_file(lake: Lake) -> None:
    with connect(lake) as connection:
        for table in TABLES:
            cursor = connection.execute(f"FROM {table.name}")

            assert [entry[0] for entry in cursor.description] == list(table.columns)
            assert cursor.fetchall() == []
        assert connection.execute("SELECT event_id, event FROM raw").fetchall() == []


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_rows_of_a_file(lake: Lake, root: Path, form: Format) -> None:
    put_videos(root, "2026-03-10", form)

    with connect(lake) as connection:
        found = connection.execute("FROM video_daily ORDER BY watch_ms").fetchall()

    assert found == [("2026-03-10", *row) for row in ROWS]


def test_days_and_parts_and_both_formats_are_one_table(lake: Lake, root: Path) -> None:
    put_videos(root, "2026-03-09", "jsonl")
    put_videos(root, "2026-03-10", "parquet", ROWS[:1], (0, 2))
    put_videos(root, "2026-03-10", "parquet", ROWS[1:], (1, 2))

    with connect(lake) as connection:
        found = connection.execute("SELECT dt, sum(watch_ms), count(*) FROM video_daily GROUP BY dt ORDER BY dt")

        assert found.fetchall() == [("2026-03-09", 7, 2), ("2026-03-10", 7, 2)]


def test_raw_shows_fields_as_sent_the_view_types_them_and_unreadable_lines_stay(lake: Lake, root: Path) -> None:
    lines = [
        json.dumps({"event_id": "e1", "event_ts": 5, "ad": True, "seq": "no number", "channel_name": "\u2028", "x": 1}),
        "no json",
        '{"event_id":"e3","watch_ms_delta":7}',
    ]
    body = "".join(line + "\n" for line in lines).encode()
    write(root, {ChunkKey("2026-03-10", "watch.events", "0123abcd", 0, 0).encode(): gzip.compress(body)})

    with connect(lake) as connection:
        found = connection.execute(
            "SELECT dt, event_id, event_ts, ad, seq, channel_name, watch_ms_delta, event->>'$.x' FROM raw",
        ).fetchall()
        typed = connection.execute("SELECT event_id, ad, seq, watch_ms_delta FROM events").fetchall()

    assert ("2026-03-10", "e1", 5, "true", "no number", "\u2028", None, "1") in found
    assert ("2026-03-10", "e3", None, None, None, None, "7", None) in found
    assert sorted(typed, key=str) == [("e1", True, None, None), ("e3", None, None, 7), (None, None, None, None)]


def test_literal_holds_quotes() -> None:
    assert literal("it's") == "'it''s'"


def run(root: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, default=root)
    query_command.add_arguments(parser)
    return query_command.run(parser.parse_args(arguments))


@pytest.fixture(name="stack")
def _stack(tmp_path: Path, lake: Lake, root: Path) -> Path:
    put_videos(root, "2026-03-10", "parquet")
    (tmp_path / "endpoints.json").write_text(json.dumps({"lake": lake.url, "s3_endpoint": ""}))
    return tmp_path


def test_json_holds_every_value(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--json", "SELECT video_id, channel, watch_ms FROM video_daily ORDER BY watch_ms") == 0

    assert json.loads(capsys.readouterr().out) == [
        {"video_id": NASTY, "channel": "c'h", "watch_ms": 3},
        {"video_id": "v2", "channel": None, "watch_ms": 4},
    ]


def test_json_has_integers_beyond_64_bits_as_text(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--json", "SELECT 9223372036854775807 AS a, [9223372036854775808] AS b, true AS c") == 0

    assert json.loads(capsys.readouterr().out) == [{"a": 2**63 - 1, "b": [str(2**63)], "c": True}]


def test_csv_disarms_formulas_in_text_and_leaves_numbers(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--csv", "SELECT '=1+1' AS a, -5 AS b, 'x,\"y' AS c, ' =1' AS d, '\uff1d1' AS e") == 0

    assert capsys.readouterr().out == 'a,b,c,d,e\r\n\'=1+1,-5,"x,""y",\' =1,\'\uff1d1\r\n'


def test_table_shows_control_characters_and_markup_as_text(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "SELECT video_id FROM video_daily WHERE watch_ms = 3") == 0

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]" in out
    assert "\\x1b" in out


def test_long_results_say_how_much_is_left_out(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "SELECT unnest(range(1000)) AS n") == 0

    out = capsys.readouterr().out
    assert "│ 199 │" in out
    assert "│ 200 │" not in out
    assert out.endswith("1,000 rows, of which 200 are shown (--json and --csv give all)\n")


def test_a_wrong_query_is_explained(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "SELECT nothing FROM nowhere") == 1

    assert "nowhere" in capsys.readouterr().err


def test_without_a_stack_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoStackError, match="watchtime up"):
        lake_of(tmp_path / "none", {})
    assert lake_of(tmp_path, {"SINKS_LAKE": "s3://b", "SINKS_S3_ENDPOINT": "http://127.0.0.1:1"}).url == "s3://b"


def test_a_ready_made_query_is_asked_by_name(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--ask", "top_videos", "--set", "to=2026-03-10", "--set", "top=1", "--csv") == 0

    assert capsys.readouterr().out.splitlines() == ["video_id,channel,hours,views,days", "v2,,0.0,0,1"]


def test_a_chart_is_drawn(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--chart", "watch_ms_fg,watch_ms_bg", "--", "FROM video_days ORDER BY watch_ms") == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "▒" in lines[0]
    assert "watch_ms_bg" in lines[-1]


def test_the_list_names_every_ready_made_query(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(stack, "--list") == 0

    assert "top_videos (from, to, top)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "either a query or --ask NAME"),
        (["--ask", "top_videos", "SELECT 1"], "either a query or --ask NAME"),
        (["--ask", "nothing"], "no query is called nothing"),
        (["--ask", "top_videos", "--set", "top"], "write NAME=VALUE"),
        (["--set", "top=1", "SELECT 1"], "for ready-made queries"),
        (["--chart", "x", "--", "SELECT 1 AS y"], "no column x"),
    ],
)
def test_what_cannot_be_asked_is_explained(
    stack: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert run(stack, *arguments) == 1

    assert reason in capsys.readouterr().err
