"""`python -m sinks`: write until SIGTERM or SIGINT, then write what is left, commit, and exit with 0."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from typing import Final

import structlog
import uvloop
from prometheus_client import start_http_server

from sinks import metrics
from sinks.settings import Settings
from sinks.stage import run_stage
from sinks.store import Store, open_store
from streams import failpoints
from streams.connect import check
from streams.logs import configure_logs

BAD_SETTINGS: Final = 2
FAILED: Final = 70

log = structlog.get_logger(__name__)


async def serve(settings: Settings, store: Store) -> None:
    """Run the stage until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_stage(settings, store, stop)


def main() -> int:
    """Run a worker; return the exit code."""
    argparse.ArgumentParser(
        prog="python -m sinks",
        description="Write daily files and the raw archive; variables say how: sinks/settings.py, docs/brokers.md.",
    ).parse_args()
    configure_logs({"aiokafka": logging.CRITICAL})  # it reports each try to reach a broker that is away
    failpoints.arm(os.environ)
    try:
        settings = Settings.from_env(os.environ)
        check(settings.brokers)
        store = open_store(settings.lake, settings.s3_endpoint)
    except ValueError as error:
        log.critical("bad settings", why=str(error))
        return BAD_SETTINGS
    try:
        if settings.metrics_port:
            start_http_server(settings.metrics_port, settings.metrics_host, registry=metrics.REGISTRY)
        log.info("starting", lake=settings.lake, format=settings.form, refresh_s=settings.refresh_s, pid=os.getpid())
        uvloop.run(serve(settings, store))
    except Exception as error:
        for reason in _reasons(error):
            log.critical("cannot go on", what=type(reason).__name__, why=str(reason), exc_info=reason)
        return FAILED
    log.info("stopped")
    return 0


def _reasons(error: BaseException) -> list[BaseException]:
    """Return the errors that a group of tasks ended with."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for part in error.exceptions for reason in _reasons(part)]
    return [error]


if __name__ == "__main__":
    code = main()
    # Threads that still wait for the lake are not waited for: what they write is conditional, and looked at again.
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
