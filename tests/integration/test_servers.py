"""The local broker and S3 server keep what they were given, also when they are killed."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from botocore.exceptions import ClientError

from deploy.local.s3 import client
from streams.contract.topics import EVENTS
from streams.provision import provision
from tests.servers import FreshBroker, FreshS3, S3Address


@pytest.mark.slow
async def test_a_killed_broker_comes_back_with_its_records(fresh_broker: FreshBroker) -> None:
    broker = await fresh_broker()
    await provision(broker.bootstrap_servers, 1, 1, replication=1, client_table=False)
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(EVENTS, b"kept\n", key=b"client")

    broker.kill()
    await broker.start()

    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers) as consumer:
        consumer.assign([TopicPartition(EVENTS, 0)])
        await consumer.seek_to_beginning()
        record = await consumer.getone()
    assert record.value == b"kept\n"
    assert record.timestamp_type == 1  # LogAppendTime


def test_of_two_first_puts_one_wins(s3: S3Address) -> None:
    bucket = s3.bucket()
    connection = client(s3.endpoint, s3.keys)
    connection.put_object(Bucket=bucket, Key="a/b", Body=b"first", IfNoneMatch="*", Metadata={"offset": "7"})

    with pytest.raises(ClientError, match="PreconditionFailed"):
        connection.put_object(Bucket=bucket, Key="a/b", Body=b"second", IfNoneMatch="*")

    assert s3.objects(bucket) == {"a/b": b"first"}
    assert connection.head_object(Bucket=bucket, Key="a/b")["Metadata"] == {"offset": "7"}


async def test_a_killed_s3_server_comes_back_with_its_objects(fresh_s3: FreshS3) -> None:
    server = await fresh_s3()
    server.make_bucket("kept-bucket")
    client(server.endpoint, server.keys).put_object(Bucket="kept-bucket", Key="k", Body=b"kept")

    server.kill()
    await server.start()

    answer = client(server.endpoint, server.keys).get_object(Bucket="kept-bucket", Key="k")
    assert answer["Body"].read() == b"kept"
