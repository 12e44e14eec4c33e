"""Files that a sink writes again while a query reads them, on a real S3 server."""

from __future__ import annotations

import threading

from athena import query_command
from athena.local import connect
from deploy.local.s3 import client
from sinks.keys import FileKey
from sinks.lake import Lake
from streams.contract.rows import HOUR, VIDEO
from tests.lakes import file_bytes
from tests.servers import S3Address

DT = "2026-03-10"
QUERIES = 15


def test_a_query_gives_one_state_of_each_file(s3: S3Address) -> None:
    bucket = s3.bucket()
    objects = client(s3.endpoint, s3.keys)
    key = FileKey(table=VIDEO.name, dt=DT, shard=0, shards=1, format="parquet").encode()
    enough = threading.Event()

    def write(rows: int) -> None:
        # Every row says how many there are, so that a mixture of two states would show.
        body = file_bytes(VIDEO, DT, [(f"v{number}", None, rows, rows, 0, 0, 0) for number in range(rows)], "parquet")
        objects.put_object(Bucket=bucket, Key=key, Body=body)

    def keep_writing() -> None:
        count = 0
        while not enough.wait(0.03):
            count += 1
            write(1 + count * 7919 % 3000)

    write(1)
    lake = Lake(
        url=f"s3://{bucket}",
        s3_endpoint=s3.endpoint,
        access_key=s3.keys.access_key,
        secret_key=s3.keys.secret_key,
    )
    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(QUERIES):
            with connect(lake) as connection:
                asked = "SELECT count(*), min(watch_ms), max(watch_ms) FROM video_daily"
                _, _, [(rows, least, most)] = query_command.ask(connection, asked)
                assert (least, most) == (rows, rows)
                assert query_command.ask(connection, f"FROM {HOUR.name}")[2] == []
    finally:
        enough.set()
        writer.join()
