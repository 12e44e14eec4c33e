from __future__ import annotations

import gzip
import random

from hypothesis import given
from hypothesis import strategies as st

from sinks.chunks import MAX_CHUNK_BYTES, Chunks, RawRecord
from sinks.keys import ChunkKey
from streams.contract.days import DAY_MS, HOUR_MS

START = 20_000 * DAY_MS + 5 * HOUR_MS
TOPIC8 = "0123abcd"


def record(offset, *, ms=START, value=None, control=False):
    return RawRecord(offset, ms, value if value is not None or control else b'{"received_at":%d}\n' % ms, control)


def fresh(first=0, **more):
    return Chunks("watch.events", TOPIC8, 2, first, **more)


def lines_of_size(size, ms=START):
    body = b'{"received_at":%d,"x":"' % ms
    return body + random.Random(size).randbytes(size // 2).hex().encode()[: size - len(body) - 3] + b'"}\n'


def extents(ended):
    return [(chunk.first, chunk.last) for chunk in ended]


def test_chunks_are_of_sixteen_mebibytes_at_most():
    assert MAX_CHUNK_BYTES == 16 * 1024 * 1024


def test_records_of_one_hour_share_a_chunk():
    chunks = fresh()

    assert chunks.take([record(0), record(1), record(2, ms=START + HOUR_MS - 1)]) == []
    assert (chunks.open.first, chunks.open.last) == (0, 2)
    assert chunks.open.key == "raw/2024/10/04/watch.events-0123abcd-2-00000000000000000000.ndjson.gz"
    assert gzip.decompress(chunks.open.content()).count(b"\n") == 3


def test_a_chunk_ends_before_the_record_of_another_hour():
    chunks = fresh()

    ended = chunks.take([record(0), record(1), record(2, ms=START + HOUR_MS), record(3, ms=START)])

    assert extents(ended) == [(0, 1), (2, 2)]
    assert (chunks.open.first, chunks.open.last) == (3, 3)


def test_the_day_in_the_key_is_the_broker_s():
    chunks = fresh()
    last_ms = 20_000 * DAY_MS + DAY_MS - 1

    (ended,) = chunks.take([record(0, ms=last_ms), record(1, ms=last_ms + 1)])

    assert ChunkKey.parse(ended.key).dt == "2024-10-04"
    assert ChunkKey.parse(chunks.open.key).dt == "2024-10-05"


def test_a_chunk_ends_before_the_record_that_would_make_it_too_large():
    values = [lines_of_size(1_000) for _ in range(5)]
    assert [len(value) for value in values] == [1_000] * 5
    chunks = fresh(max_bytes=4_000)

    ended = chunks.take(record(n, value=value) for n, value in enumerate(values))

    assert extents(ended) == [(0, 3)]
    assert ended[0].size == 4_000
    assert gzip.decompress(ended[0].content()) == b"".join(values[:4])


def test_the_size_counts_what_is_archived_not_what_was_sent():
    """A line without a stamp grows by the stamp."""
    value = b'{"x":"' + b"y" * 991 + b'"}\n'
    assert len(value) == 1_000
    chunks = fresh(max_bytes=2_000)

    ended = chunks.take([record(0, value=value), record(1, value=value)])

    assert extents(ended) == [(0, 0)]


def test_a_control_record_ends_the_chunk_and_belongs_to_it():
    chunks = fresh()

    ended = chunks.take([record(0), record(1, value=b"", control=True), record(2)])

    assert extents(ended) == [(0, 1)]
    assert gzip.decompress(ended[0].content()).count(b"\n") == 1
    assert chunks.open.first == 2


def test_records_without_lines_have_an_object_of_their_own():
    """Else a quiet partition whose log has lost them looks as if events were missing."""
    chunks = fresh(first=7)

    ended = chunks.take([record(7, value=b"", control=True), record(8, value=b"", control=True)])

    assert extents(ended) == [(7, 7), (8, 8)]
    assert [gzip.decompress(chunk.content()) for chunk in ended] == [b"", b""]
    assert ended[0].key != ended[1].key
    chunks.take([RawRecord(9, START, None, control=False)])
    assert (chunks.open.first, chunks.open.last) == (9, 9)


def test_an_object_that_is_read_again_is_not_cut_by_a_control_record_it_began_with():
    key = ChunkKey("2024-10-03", "watch.events", TOPIC8, 2, 4)
    chunks = fresh(first=4, resumed=key)
    chunks.least_last = 5

    assert chunks.take([record(4, value=b"", control=True), record(5)]) == []
    assert (chunks.open.key, chunks.open.first, chunks.open.last) == (key.encode(), 4, 5)


def test_a_record_without_lines_extends_the_chunk():
    chunks = fresh()
    chunks.take([record(0), RawRecord(1, START, None, control=False), record(2, value=b"")])

    assert (chunks.open.first, chunks.open.last) == (0, 2)


def test_an_object_that_is_read_again_keeps_its_name_and_reaches_its_end():
    """Its extent wins over rules that would have cut it earlier."""
    key = ChunkKey("2024-10-03", "watch.events", TOPIC8, 2, 4)
    chunks = fresh(first=4, resumed=key)
    chunks.least_last = 6

    ended = chunks.take([record(n, ms=START + n * HOUR_MS) for n in range(4, 9)])

    assert extents(ended) == [(4, 6), (7, 7)]
    assert ended[0].key == key.encode()
    assert chunks.open.first == 8


def test_the_container_says_nothing_about_when_it_was_made():
    chunks = fresh()
    chunks.take([record(0)])

    assert chunks.open.content()[4:8] == b"\x00\x00\x00\x00"


_RECORDS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 120), st.sampled_from(["lines", "lines", "lines", "control", "empty"])),
    max_size=40,
)


def build(records, cuts, **more):
    """Feed records in batches cut at random, looking at the open chunk after each; return all chunks."""
    chunks, ended, looks = fresh(**more), [], {}
    at = 0
    for cut in [*cuts, len(records)]:
        ended += chunks.take(records[at : at + cut])
        at += cut
        if chunks.open:
            looks.setdefault(chunks.open.key, []).append(gzip.decompress(chunks.open.content()))
    final = {chunk.key: (chunk.first, chunk.last, chunk.content()) for chunk in [*ended, chunks.open] if chunk}
    return final, looks


@given(_RECORDS, st.lists(st.integers(0, 9), max_size=12))
def test_chunks_depend_on_the_log_alone(steps, cuts):
    records, ms = [], START
    for offset, (hours, size, what) in enumerate(steps):
        ms += hours * HOUR_MS // 2
        value = {"lines": b"x" * size + b"\n", "control": b"", "empty": None}[what]
        records.append(RawRecord(offset, ms, value, what == "control"))

    whole, _ = build(records, [], max_bytes=200)
    pieces, looks = build(records, cuts, max_bytes=200)

    assert pieces == whole
    for key, seen in looks.items():
        final = gzip.decompress(whole[key][2])
        assert all(final.startswith(look) for look in seen), "at any moment a prefix of what it becomes"
    expected = 0
    for first, last, _ in whole.values():
        assert first == expected, "chunks follow each other without a gap"
        expected = last + 1


def test_large_content_is_the_same_however_it_was_fed():
    """The compressor's output must not depend on how its input was cut up, or on copies made on the way."""
    values = [lines_of_size(random.Random(n).randrange(100, 9_000)) for n in range(80)]
    records = [record(n, value=value) for n, value in enumerate(values)]
    whole, _ = build(records, [])
    ones, _ = build(records, [1] * 79)
    sevens, _ = build(records, [7] * 11)

    assert whole == ones == sevens
