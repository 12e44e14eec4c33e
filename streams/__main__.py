"""`python -m streams`: one stream worker, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Final

import faust
import structlog
import uvloop
from prometheus_client import start_http_server

from streams import failpoints, metrics
from streams.app import create_app
from streams.connect import check
from streams.ending import StoppedError, unless_stopped
from streams.fold_settings import FoldSettings
from streams.groundwork import fold_settings_of, lay
from streams.logs import configure_logs
from streams.provision import ProvisionError
from streams.settings import Settings
from streams.topic_id import TopicIdError
from streams.variables import SettingsError

USAGE_ERROR: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
log = structlog.get_logger()


def main() -> int:
    """Run a worker; return its exit code."""
    argparse.ArgumentParser(
        prog="python -m streams",
        description="Fold raw events into totals; variables say how: streams/settings.py, docs/brokers.md.",
    ).parse_args()
    configure_logs(dict.fromkeys(("aiokafka", "faust", "mode"), logging.WARNING))
    failpoints.arm(os.environ)
    try:
        settings = Settings.from_env(os.environ)
        check(settings.brokers)
    except SettingsError as error:
        log.error("settings refused", error=str(error))  # noqa: TRY400 (the sentence says it all)
        return USAGE_ERROR
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        fold_settings = loop.run_until_complete(_until_signalled(loop, _prepare(settings)))
    except StoppedError:
        log.info("stopped before any partition was taken")
        return 0
    except (ProvisionError, TopicIdError) as error:
        log.error("topics refused", error=str(error))  # noqa: TRY400 (the sentence says it all)
        return 1
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.metrics_host, registry=metrics.REGISTRY)
    # What lives until now lives for good; a collection that walks a large state again and again finds nothing.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    worker = faust.Worker(
        create_app(settings, fold_settings),
        loop=loop,
        redirect_stdouts=False,
        override_logging=False,
        loglevel=None,
        quiet=True,
    )
    worker.execute_from_commandline()
    return 0


async def _until_signalled(
    loop: asyncio.AbstractEventLoop, preparing: Coroutine[None, None, FoldSettings]
) -> FoldSettings:
    """Await what may wait long for a broker, StoppedError when a signal ends it. Later signals are the worker's."""
    stop = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    try:
        return await unless_stopped(stop, preparing)
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _prepare(settings: Settings) -> FoldSettings:
    """Create or check the topics, and return what the fold's numbers depend on."""
    await lay(settings)
    return await fold_settings_of(settings)


if __name__ == "__main__":
    sys.exit(main())
