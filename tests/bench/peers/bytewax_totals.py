"""Bytewax: a keyed total for each video and each channel, recovery every 5 s, no dedupe, at least once.

Run by `python -m bytewax.run bytewax_totals:flow -r FOLDER -s 5 -b 0`; PEER_SERVERS and PEER_EVENTS say what to read.
"""

from __future__ import annotations

import os
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from counting import DAY_MS, contribution, decode
from progress import Progress

Added = tuple[int, int]
progress = Progress(2 * int(os.environ["PEER_EVENTS"]))


def split(record: Any) -> tuple[tuple[str, Added], ...]:
    """Return the event once for its video and once for its channel."""
    progress.first()
    event = decode(record.value)
    added = contribution(event)
    if added is None:
        progress.count(2)
        return ()
    day = event.event_ts // DAY_MS
    return (f"video|{day}|{event.video_id}", added), (f"channel|{day}|{event.channel_name}", added)


def add(counters: list[int] | None, added: Added) -> tuple[list[int], tuple[()]]:
    """Add to one row; nothing is sent on."""
    counters = counters or [0, 0, 0]
    counters[added[0]] += added[1]
    progress.count()
    return counters, ()


class Nowhere(DynamicSink[Any]):
    """Takes what never comes: a flow has to end somewhere."""

    def build(self, *_: Any) -> StatelessSinkPartition[Any]:
        return Nothing()


class Nothing(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        pass


flow = Dataflow("totals")
source = KafkaSource(
    [os.environ["PEER_SERVERS"]], ["watch.events"], batch_size=2_000, add_config={"enable.auto.commit": "false"}
)
rows = op.flat_map("split", op.input("events", flow, source), split)
op.output("nowhere", op.stateful_flat_map("add", rows, add), Nowhere())
