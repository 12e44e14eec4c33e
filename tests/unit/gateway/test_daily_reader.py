"""The reader of the daily topics, with a consumer made of lists: what it does with records that are no rows."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiokafka import TopicPartition

from gateway import daily_reader
from gateway.daily_reader import DailyReader
from gateway.held_days import UnreadableRowError
from streams.contract.keys import daily_key
from streams.contract.rows import VIDEO, encode_row, row_of

DAY = "2026-01-02"
AT = TopicPartition(VIDEO.topic, 0)


class ListConsumer:
    """A consumer of one partition that holds these (key, value)."""

    def __init__(self, records: list[tuple[bytes | None, bytes]]) -> None:
        self._records = [
            SimpleNamespace(topic=AT.topic, partition=0, offset=offset, key=key, value=value, headers=())
            for offset, (key, value) in enumerate(records)
        ]
        self._read = 0

    def assignment(self) -> set[TopicPartition]:
        return {AT}

    async def beginning_offsets(self, _: object) -> dict[TopicPartition, int]:
        return {AT: 0}

    async def end_offsets(self, _: object) -> dict[TopicPartition, int]:
        return {AT: len(self._records)}

    async def position(self, _: object) -> int:
        return self._read

    async def getmany(self, **_: object) -> dict[TopicPartition, list[SimpleNamespace]]:
        await asyncio.sleep(0)
        fetched, self._read = self._records[self._read :], len(self._records)
        return {AT: fetched} if fetched else {}


def row(name: str, ms: int) -> tuple[bytes, bytes]:
    return daily_key(DAY, "video", name), encode_row(row_of(VIDEO, DAY, name, [ms, 0, 0, 0], None), 5)


async def test_records_that_are_no_rows_are_passed_over_and_the_first_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(daily_reader.log, "error", lambda _, **about: told.append(about))
    reader = DailyReader("nowhere:1", "g", 100)
    reader.look()
    following = asyncio.create_task(reader._read(ListConsumer([row("a", 1), (b"2026-01-02|b", b"{"), row("c", 3)])))
    await asyncio.wait_for(reader.caught_up.wait(), 10)
    following.cancel()

    assert [found["video_id"] for found in reader.days.rows(VIDEO, DAY, 10)] == ["c", "a"]
    assert reader._unreadable == 1
    assert [about["offset"] for about in told] == [1]


async def test_an_unforeseen_error_is_told_and_tried_again(monkeypatch):
    told, tries = [], asyncio.Semaphore(0)
    monkeypatch.setattr(daily_reader, "_RETRY_S", 0.01)
    monkeypatch.setattr(daily_reader.log, "exception", told.append)

    async def follow(_: DailyReader) -> None:
        tries.release()
        raise LookupError("unforeseen")

    monkeypatch.setattr(DailyReader, "_follow", follow)
    reader = DailyReader("nowhere:1", "g", 100)
    reader.look()
    async for _ in reader.run(web.Application()):
        async with asyncio.timeout(10):
            await tries.acquire()
            await tries.acquire()

    assert told


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"\xff", b"{}"),
        (b"no day|a", row("a", 1)[1]),
        (b"2026-01-02|a", b""),
        (b"2026-01-02|a", b"[]"),
        (b"2026-01-02|a", b"{}"),
        (b"2026-01-02|a", row("a", 1)[1].replace(b'"views":0', b'"views":"0"')),
    ],
)
def test_what_is_no_row_changes_nothing(key, value):
    reader = DailyReader("nowhere:1", "g", 100)

    with pytest.raises(UnreadableRowError):
        reader.days.apply(VIDEO.topic, key, value)
    assert reader.days.days() == []
