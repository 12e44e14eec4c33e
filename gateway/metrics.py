"""What the gateway counts, and the page on its own port that shows it.

The registry is the application's own, so that several gateways can live in one process (tests).
"""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.intake import Intake
from gateway.publish import Publisher

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The gateway's counters; names and units are part of the documentation."""

    def __init__(self, publisher: Publisher) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        ready = Gauge("watchtime_ready", "1 while the stage does its work, else 0", ["stage"], registry=self.registry)
        ready.labels("gateway").set_function(lambda: float(publisher.ready))
        self._answers = Counter(
            "watchtime_gateway_answers", "Answers to POST /ingest by status", ["status"], registry=self.registry
        )
        events = Counter(
            "watchtime_gateway_events",
            "Events in requests that were answered with 200, by result",
            ["result"],
            registry=self.registry,
        )
        self._accepted, self._rejected = events.labels("accepted"), events.labels("rejected")
        self._reasons = Counter(
            "watchtime_gateway_rejected_events", "Rejected events by verdict", ["reason"], registry=self.registry
        )
        self._unrecorded = Counter(
            "watchtime_gateway_unrecorded_events",
            "Rejected events that the limit per minute kept out of watch.rejected",
            registry=self.registry,
        )
        self._seconds = Histogram(
            "watchtime_gateway_answer_seconds",
            "Time from the headers of a POST /ingest to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight_bytes = Gauge(
            "watchtime_gateway_in_flight_bytes", "Bytes of request bodies held right now", registry=self.registry
        )
        self.live_streams = Gauge("watchtime_gateway_live_streams", "Viewers of the live page", registry=self.registry)
        self._refusals = Counter(
            "watchtime_gateway_refusals",
            "Requests and connections refused, by reason",
            ["reason"],
            registry=self.registry,
        )
        lost = Counter(
            "watchtime_gateway_broker_losses",
            "How often the connection to the broker was given up and made anew",
            registry=self.registry,
        )
        publisher.on_loss = lost.inc
        self._by_status = {200: self._answers.labels("200")}

    def count_intake(self, intake: Intake) -> None:
        """Count the events of a request whose records the broker has acknowledged."""
        if intake.accepted:
            self._accepted.inc(intake.accepted)
        if intake.rejected:
            self._rejected.inc(len(intake.rejected))
            self._unrecorded.inc(intake.unrecorded)
            for _, reason in intake.rejected:
                self._reasons.labels(reason).inc()

    def count_refusal(self, reason: str) -> None:
        """Count a request or a connection that was refused."""
        self._refusals.labels(reason).inc()

    def count_answer(self, status: int, seconds: float) -> None:
        """Count one answer to POST /ingest."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._answers.labels(str(status))
        counter.inc()
        self._seconds.observe(seconds)


def metrics_app(metrics: Metrics) -> web.Application:
    """Return the application of the metrics port."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", show)
    return app
