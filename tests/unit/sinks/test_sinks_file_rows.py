"""Daily files as they may lie in a lake: what is not a table's rows is told by one error that names the file."""

from __future__ import annotations

import pytest

from sinks.file_rows import UnreadableFileError, read_rows
from sinks.keys import FileKey, Format
from streams.contract.rows import VIDEO
from tests.lakes import file_bytes

ROW = ("v1", "Birds", 30, 10, 20, 1, 5)


def key(form: Format) -> FileKey:
    return FileKey(table=VIDEO.name, dt="2026-03-10", shard=0, shards=1, format=form)


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_good_file_gives_its_rows(form: Format) -> None:
    (row,) = read_rows(VIDEO, key(form), file_bytes(VIDEO, "2026-03-10", [ROW], form)).to_pylist()

    assert tuple(row.values()) == (b"2026-03-10", b"v1", b"Birds", 30, 10, 20, 1, 5)


def test_a_parquet_file_with_any_byte_turned_over_is_read_or_named() -> None:
    good = file_bytes(VIDEO, "2026-03-10", [ROW], "parquet")
    said = []
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 0xFF
        try:
            read_rows(VIDEO, key("parquet"), bytes(bad))
        except UnreadableFileError as error:
            said.append(str(error))
    assert len(said) > len(good) // 2
    assert all("analytics/video_daily/dt=2026-03-10/data.parquet cannot be read" in text for text in said)


@pytest.mark.parametrize(
    "body",
    [
        b"5\n",
        b"null\n",
        b"[]\n",
        b"{}\n",
        b'{"dt":"2026-03-10"',
        b"\xff\n",
        *(
            b'{"dt":"2026-03-10","video_id":%s,"channel":%s,"watch_ms":%s,"watch_ms_fg":1,"watch_ms_bg":0,"views":0,"ad_ms":0}\n'
            % odd
            for odd in [
                (b"5", b"null", b"1"),
                (b"null", b"null", b"1"),
                (b'"v"', b"1", b"1"),
                (b'"v"', b"null", b"true"),
                (b'"v"', b"null", b"1.0"),
                (b'"v"', b"null", b"null"),
                (b'"v"', b"null", b"9999999999999999999"),
                (b'"v"', b"null", b"9" * 400),
                (b'"\\ud800"', b"null", b"1"),
            ]
        ),
    ],
)
def test_a_line_that_is_no_row_is_named_and_never_read_as_one(body: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=r"dt=2026-03-10/data\.jsonl cannot be read"):
        read_rows(VIDEO, key("jsonl"), body)
