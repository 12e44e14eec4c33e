"""Whose file stands: several workers, generations, rows that go, files that are another's."""

from __future__ import annotations

import pytest

from sinks.precedence import LakeMismatchError, ReadAgainError, ShrinkError
from sinks.provenance import ForeignObjectError
from sinks.store import MemoryStore
from streams.contract.rows import CLIENT
from tests.bad_stores import FailTimes, UnreliableStore
from tests.unit.sinks.table_lanes import KEY, TOPIC_ID, client_row, lane_on, provenance, row, write_all


async def test_of_two_workers_the_one_that_knows_more_wins():
    """The slow one's write is refused; it finds a file that goes further, and has to read again."""
    store = UnreliableStore(MemoryStore())
    slow, quick = lane_on(store), lane_on(store.inner)
    records = [row(0, "a", 1), row(1, "a", 2)]

    async def overtake(_):
        store.before_put = FailTimes(0)
        await write_all(quick, records)

    store.before_put = overtake
    with pytest.raises(ReadAgainError, match="up to offset 1"):
        await write_all(slow, records[:1])
    assert slow.done() is None

    assert await slow.locate(0, 2) == 0, "what it held is dropped"
    slow.feed(records, 2)
    slow.stop(flush=True)
    await slow.run()

    assert slow.done() == 2
    assert provenance(await store.head(KEY)).totals.sums["watch_ms"] == 2


async def test_an_older_worker_s_late_write_is_replaced():
    store = UnreliableStore(MemoryStore())
    new, old = lane_on(store), lane_on(store.inner)
    records = [row(0, "a", 1), row(1, "a", 2)]

    async def late(_):
        store.before_put = FailTimes(0)
        await write_all(old, records[:1])

    store.before_put = late
    await write_all(new, records)

    assert provenance(await store.head(KEY)).offset == 1
    assert new.done() == 2


async def test_a_file_beyond_the_topic_s_end_is_an_error():
    store = MemoryStore()
    await write_all(lane_on(store), [row(n, "a", n + 1) for n in range(5)])
    lane = lane_on(store)

    with pytest.raises(ReadAgainError):
        await write_all(lane, [row(0, "a", 1)])
    with pytest.raises(LakeMismatchError, match=r"ends at 1.*lost records.*watchtime rebuild"):
        await lane.locate(0, 1)


async def test_a_file_never_shrinks_within_a_generation():
    store = MemoryStore()
    await write_all(lane_on(store), [row(0, "a", 5), row(1, "b", 5)])
    before = (await store.get(KEY)).body

    with pytest.raises(ShrinkError, match=r"would shrink from 2 rows .* to 1 rows .*`watchtime rebuild`"):
        await write_all(lane_on(store), [row(2, "a", 50)])
    with pytest.raises(ShrinkError, match="would shrink"):
        await write_all(lane_on(store), [row(2, "a", 5), row(3, "b", 4)])

    assert (await store.get(KEY)).body == before


async def test_a_greater_generation_may_shrink_and_leaves_no_zeros():
    store = MemoryStore()
    await write_all(lane_on(store), [row(0, "a", 5), row(1, "b", 5)])

    await write_all(lane_on(store), [row(0, "a", 5), row(2, "b", 0, generation=1), row(3, "a", 4, generation=1)])

    said = provenance(await store.head(KEY))
    assert (said.generation, said.totals.rows, said.totals.sums["watch_ms"]) == (1, 1, 4)


async def test_rows_may_go_over_to_a_new_generation_one_by_one():
    """Rows of the old generation may still get lower; those of the new one may not."""
    store = MemoryStore()
    records = [row(0, "a", 5), row(1, "b", 5), row(2, "a", 4, generation=1)]
    await write_all(lane_on(store), records)

    records.append(row(3, "b", 1, generation=1))
    await write_all(lane_on(store), records)
    assert provenance(await store.head(KEY)).totals.sums["watch_ms"] == 5

    with pytest.raises(ShrinkError):
        await write_all(lane_on(store), [records[2], row(4, "b", 0, generation=1)])


async def test_a_lower_generation_than_the_file_s_is_refused():
    store = MemoryStore()
    await write_all(lane_on(store), [row(0, "a", 5, generation=2)])

    with pytest.raises(ShrinkError, match="generation 2, the topic only 1"):
        await write_all(lane_on(store), [row(1, "a", 9, generation=1)])


async def test_a_removed_row_may_make_the_file_smaller_once():
    store = MemoryStore()
    records = [row(0, "a", 5), row(1, "b", 5)]
    await write_all(lane_on(store), records)

    records.append(row(2, "a", None))
    await write_all(lane_on(store), records)
    assert provenance(await store.head(KEY)).totals.rows == 1

    with pytest.raises(ShrinkError):
        await write_all(lane_on(store), [records[2], row(3, "b", 1)])


async def test_a_forgotten_client_that_came_back_at_once_may_have_a_lower_row():
    """No record says that the row was gone: sums publish the newest value only."""
    store = MemoryStore()
    await write_all(lane_on(store, table=CLIENT), [client_row(0, "a", 5), client_row(1, "b", 5)])

    await write_all(lane_on(store, table=CLIENT), [client_row(2, "a", 1), client_row(3, "b", 5)])

    assert provenance(await store.head(KEY.replace("channel", "client"))).totals.sums["watch_ms"] == 6
    with pytest.raises(ShrinkError):
        await write_all(lane_on(store, table=CLIENT), [client_row(4, "b", 9)])


async def test_a_file_of_another_topic_id_is_not_touched():
    store = MemoryStore()
    await write_all(lane_on(store), [row(0, "a", 5)])
    other = "ebb26b0a-d9a1-4b6e-8752-bd627456f39e"

    with pytest.raises(LakeMismatchError, match=f"id {TOPIC_ID}, but .* has id {other}"):
        await write_all(lane_on(store, topic_id=other), [row(0, "a", 50)])


async def test_a_file_of_somebody_else_is_not_touched():
    store = MemoryStore()
    await store.put(KEY, b"PAR1", {}, etag=None)

    with pytest.raises(ForeignObjectError, match="put there by something else"):
        await write_all(lane_on(store), [row(0, "a", 5)])


async def test_a_rebuilt_file_is_never_overwritten():
    store = UnreliableStore(MemoryStore())
    await write_all(lane_on(store), [row(0, "a", 5)])
    stat = await store.head(KEY)
    await store.put(KEY, b"rebuilt", {**stat.metadata, "rebuilt": "true"}, etag=stat.etag)
    before = list(store.puts)
    lane = lane_on(store)

    await write_all(lane, [row(0, "a", 5), row(1, "a", 9)])

    assert store.puts == before
    assert lane.done() == 2
