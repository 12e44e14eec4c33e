"""`watchtime topics`: creates and checks the topics on any Kafka cluster, where `watchtime up` is not used."""

from __future__ import annotations

import argparse
import asyncio
import os
from functools import partial

from deploy.errors import DeployError
from streams.brokers import DEFAULT_SERVERS, Brokers, BrokersError, Security
from streams.contract.topics import DEFAULT_PARTITIONS, DEFAULT_SHARDS, topics
from streams.provision import ProvisionError, provision
from streams.variables import text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; their defaults are the variables that the stages read."""
    at = partial(text, os.environ)
    parser.add_argument("--bootstrap-servers", default=at("KAFKA_BOOTSTRAP_SERVERS", DEFAULT_SERVERS), metavar="HOST")
    parser.add_argument(
        "--partitions", type=int, default=at("STREAMS_PARTITIONS", str(DEFAULT_PARTITIONS)), metavar="P"
    )
    parser.add_argument("--shards", type=int, default=at("STREAMS_SHARDS", str(DEFAULT_SHARDS)), metavar="Q")
    parser.add_argument("--replication", type=int, default=at("STREAMS_REPLICATION", "1"), metavar="R")
    parser.add_argument("--client-table", choices=("on", "off"), default=at("STREAMS_CLIENT_TABLE", "off"))


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    client_table = args.client_table == "on"
    servers, replication = args.bootstrap_servers, args.replication
    try:
        brokers = Brokers(servers, Security.from_env(os.environ, servers))
        asyncio.run(
            provision(brokers, args.partitions, args.shards, replication=replication, client_table=client_table)
        )
    except (BrokersError, ProvisionError) as error:
        raise DeployError(str(error)) from error
    for topic in topics(args.partitions, args.shards, client_table=client_table):
        print(f"{topic.name:<22} {topic.partitions:>3} partitions, {topic.config['cleanup.policy']}")  # noqa: T201
    return 0
