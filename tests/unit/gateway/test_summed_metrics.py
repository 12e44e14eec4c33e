"""What several workers count, as one."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.intake import Intake
from gateway.metrics import Metrics
from gateway.publish import MemoryPublisher
from gateway.summed_metrics import summed


def worker(posts: int, *, ready: bool = True) -> tuple[str, CollectorRegistry]:
    publisher = MemoryPublisher()
    publisher.ready = ready
    metrics = Metrics(publisher)
    for _ in range(posts):
        metrics.count_intake(Intake(accepted=2))
        metrics.count_answer(200, 0.02)
    metrics.count_refusal('a "name"\\')
    return generate_latest(metrics.registry).decode(), metrics.registry


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert len({(sample.name, str(sample.labels)) for sample in samples}) == len(samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def value(text: str, name: str, **labels: str) -> float:
    return values(text)[name, frozenset(labels.items())]


def test_counters_and_histograms_are_summed():
    texts = [worker(3)[0], worker(4)[0]]

    text = summed(texts, 2)

    assert value(text, "watchtime_gateway_events_total", result="accepted") == 14
    assert value(text, "watchtime_gateway_answers_total", status="200") == 7
    assert value(text, "watchtime_gateway_answer_seconds_bucket", le="0.025") == 7
    assert value(text, "watchtime_gateway_answer_seconds_sum") == pytest.approx(0.14)
    assert value(text, "watchtime_gateway_refusals_total", reason='a "name"\\') == 2
    assert value(text, "watchtime_gateway_workers") == 2
    assert values(text).keys() >= values(texts[0]).keys()
    assert not [number for number in values(text).values() if math.isnan(number)]


def test_ready_are_only_all():
    ready, waiting = worker(0)[0], worker(0, ready=False)[0]

    assert value(summed([ready, ready], 2), "watchtime_ready", stage="gateway") == 1
    assert value(summed([ready, waiting], 2), "watchtime_ready", stage="gateway") == 0
    assert value(summed([ready], 2), "watchtime_ready", stage="gateway") == 0
    assert value(summed([], 2), "watchtime_ready", stage="gateway") == 0


def test_times_are_not_summed():
    texts = [worker(0)[0], worker(0)[0]]
    starts = [value(text, "process_start_time_seconds") for text in texts]

    assert value(summed(texts, 2), "process_start_time_seconds") == min(starts)
