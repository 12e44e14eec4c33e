"""The Faust app: two sources that read, two agents that work. No Faust topics and tables on the way of an event."""

from __future__ import annotations

import tempfile

import faust
from faust.app.base import BootStrategy
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials

from streams.brokers import Brokers
from streams.connect import client_options
from streams.contract import topics
from streams.exit import end_process
from streams.fold_settings import FoldSettings
from streams.folding import FoldingOwner
from streams.metrics import Readiness
from streams.owner import Work
from streams.settings import Settings
from streams.source import PartitionSource
from streams.summing import SummingOwner


class _OwnClients(BootStrategy):
    """Start Faust's agents and services without its own consumer and producer."""

    enable_kafka = False


class App(faust.App):
    """A Faust app whose sources own their Kafka clients."""

    BootStrategy = _OwnClients


def create_app(settings: Settings, fold_settings: FoldSettings) -> faust.App:
    """Return the app of one worker."""
    app = App(
        f"{settings.group}-streams",
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=credentials(settings.brokers),
        web_enabled=False,
        store="memory://",
        datadir=tempfile.gettempdir(),  # nothing is put there: state lives in Kafka
    )
    partials, totals = app.channel(), app.channel()

    # One actor for each partition that may have a batch in flight; a source never has two of one partition.
    @app.agent(partials, name="partials", concurrency=min(settings.partitions, 16))
    async def fold(batches: faust.StreamT[Work]) -> None:
        """Fold batches of raw records into state and partials."""
        async for work in batches:
            await _work(work)

    @app.agent(totals, name="totals", concurrency=min(settings.shards, 16))
    async def total(batches: faust.StreamT[Work]) -> None:
        """Sum partials into daily rows."""
        async for work in batches:
            await _work(work)

    readiness = Readiness([topics.EVENTS, topics.PARTIALS])
    # Started behind the agents, stopped before them.
    app.service(
        PartitionSource(  # type: ignore[arg-type]  # Faust takes instances too, its annotation says otherwise
            settings=settings,
            topic=topics.EVENTS,
            group=topics.PARTIALS_GROUP,
            channel=partials,
            make_owner=lambda p: FoldingOwner(p, settings, fold_settings),
            readiness=readiness,
        )
    )
    app.service(
        PartitionSource(  # type: ignore[arg-type]  # Faust takes instances too, its annotation says otherwise
            settings=settings,
            topic=topics.PARTIALS,
            group=topics.TOTALS_GROUP,
            channel=totals,
            make_owner=lambda q: SummingOwner(q, settings),
            readiness=readiness,
        )
    )
    # Faust holds its channels back until its own consumer is assigned partitions, which this app does without.
    app.flow_control.resume()
    return app


def credentials(brokers: Brokers) -> Credentials | None:
    """Return how Faust's own clients get in. This app starts none; one that is ever started must not go plain."""
    options = client_options(brokers)
    ssl_context = options.get("ssl_context")
    if "sasl_oauth_token_provider" in options:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=ssl_context)
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=ssl_context,
        )
    return SSLCredentials(ssl_context) if ssl_context else None


async def _work(work: Work) -> None:
    """See one batch through. Faust would take a batch that raised as done, so what is raised ends the process."""
    try:
        await work.owner.process(work.records)
    except Exception as error:  # noqa: BLE001 (whatever it is, it ends the process)
        end_process("a batch could not be worked through", error)
    work.done.set_result(None)
