"""A holder of a daily topic's partition over a lake in memory, and rows for it."""

from __future__ import annotations

from aiokafka.structs import ConsumerRecord

from sinks.day_files import Destination
from sinks.provenance import FileProvenance
from sinks.worker import TableLane
from streams.contract.days import DAY_MS, dt_of_ms
from streams.contract.keys import daily_key
from streams.contract.rows import CHANNEL, CLIENT, encode_row, row_of

NOW = 20_000 * DAY_MS


DT, EARLIER = dt_of_ms(NOW), dt_of_ms(NOW - DAY_MS)


TOPIC_ID = "01ec8821-a93a-4f72-aab2-0bec25d3b004"


KEY = f"analytics/channel_daily/dt={DT}/data.parquet"


def row(offset, row_id, watch_ms, *, dt=DT, generation=0):
    headers = (("generation", b"%d" % generation),) if generation else ()
    return _record(CHANNEL, (dt, row_id), watch_ms, offset, headers)


def client_row(offset, row_id, watch_ms):
    return _record(CLIENT, (DT, row_id), watch_ms, offset, ())


def _record(table, place, watch_ms, offset, headers):
    dt, row_id = place
    value = None if watch_ms is None else encode_row(row_of(table, dt, row_id, [watch_ms, 0, 0, 0], None), 1)
    key = daily_key(dt, table.kind, row_id)
    return ConsumerRecord(table.topic, 0, offset, NOW, 1, key, value, None, len(key), len(value or b""), headers)


def lane_on(store, *, refresh_s=0.05, topic_id=TOPIC_ID, shard=0, table=CHANNEL):
    destination = Destination(store=store, form="parquet", shards=1, refresh_s=refresh_s)
    return TableLane(table, shard, topic_id, destination, now_ms=lambda: NOW)


async def write_all(lane, records, *, end=None):
    """Locate, feed and flush a lane, as a worker's whole life."""
    offset = await lane.locate(0, records[-1].offset + 1 if end is None else end)
    lane.feed([record for record in records if record.offset >= offset], records[-1].offset + 1)
    lane.stop(flush=True)
    await lane.run()


def provenance(stat):
    return FileProvenance.decode(KEY, stat.metadata)
