"""`python -m gateway`: serve until SIGTERM or SIGINT, then let requests in flight finish and exit with 0."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from typing import Final

import structlog
import uvloop
from aiohttp import web

from gateway.app import METRICS, app_runner, build_app, site
from gateway.keyring import KeyringError
from gateway.metrics import metrics_app
from gateway.publish import KafkaPublisher
from gateway.settings import Settings
from gateway.tracing import Tracing, tracing_of
from gateway.variables import SettingsError
from streams.brokers import BrokersError
from streams.connect import check
from streams.logs import configure_logs

_BACKLOG: Final = 1024
_LEAST_LEVELS: Final = {
    # The client library repeats itself four times a second while the broker is away; the publisher says it once.
    "aiokafka": logging.CRITICAL,
    # Its one message, for requests that are no HTTP, names the client's address.
    "aiohttp.server": logging.CRITICAL,
}

log = structlog.get_logger(__name__)


async def serve(settings: Settings, tracing: Tracing | None = None) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_many_connections()
    app = build_app(settings, KafkaPublisher(settings.brokers), tracing=tracing)
    runner = app_runner(app)
    metrics_runner = web.AppRunner(metrics_app(app[METRICS]), access_log=None)
    try:
        await runner.setup()
        await metrics_runner.setup()
        await site(runner, settings.host, settings.port, _BACKLOG).start()
        await web.TCPSite(metrics_runner, settings.metrics_host, settings.metrics_port).start()
        _tune_garbage_collector()
        port, metrics_port = _port(runner), _port(metrics_runner)
        log.info("listening", host=settings.host, port=port, metrics_port=metrics_port, pid=os.getpid())
        await stop.wait()
        log.info("stopping")
    finally:
        await runner.cleanup()
        await metrics_runner.cleanup()


def main() -> int:
    """Run the gateway; return the exit code."""
    configure_logs(_LEAST_LEVELS)
    try:
        settings = Settings.from_env(os.environ)
        check(settings.brokers)
        tracing = tracing_of(os.environ)
    except (SettingsError, BrokersError) as error:
        log.critical("bad settings", why=str(error))
        return 2
    try:
        uvloop.run(serve(settings, tracing))
    except OSError as error:
        log.critical("cannot listen, or read a file that the settings name", why=str(error))
        return 1
    except KeyringError as error:
        log.critical("bad keys in GATEWAY_KEYS_FILE", why=str(error))
        return 2
    log.info("stopped")
    return 0


def _port(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])


def _allow_many_connections() -> None:
    """Raise the limit of open files to what the system grants; the usual 1,024 is less than `max_connections`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tune_garbage_collector() -> None:
    """Collect rarely: requests leave few cycles behind, and looking for them takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


if __name__ == "__main__":
    sys.exit(main())
