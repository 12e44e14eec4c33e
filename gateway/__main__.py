"""`python -m gateway [--workers N]`: serve until SIGTERM or SIGINT, then finish what is in flight and exit with 0."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
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
from gateway.workers import BAD_SETTINGS, WorkerFiles, Workers
from streams.connect import check
from streams.logs import configure_logs
from streams.variables import SettingsError

_BACKLOG: Final = 1024
_LEAST_LEVELS: Final = {
    # The client library repeats itself four times a second while the broker is away; the publisher says it once.
    "aiokafka": logging.CRITICAL,
    # Its one message, for requests that are no HTTP, names the client's address.
    "aiohttp.server": logging.CRITICAL,
}

log = structlog.get_logger(__name__)


async def serve(settings: Settings, tracing: Tracing | None, files: WorkerFiles | None) -> int:
    """Serve until a signal asks to stop, or the parent of this worker is gone; return the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def orphaned(lifeline: int) -> None:
        loop.remove_reader(lifeline)
        stop.set()

    _allow_many_connections()
    app = build_app(settings, KafkaPublisher(settings.brokers), tracing=tracing)
    runner = app_runner(app)
    metrics_runner = web.AppRunner(metrics_app(app[METRICS]), access_log=None)
    try:
        await runner.setup()
        await metrics_runner.setup()
        if files is None:
            await site(runner, settings.host, settings.port, _BACKLOG).start()
            await web.TCPSite(metrics_runner, settings.metrics_host, settings.metrics_port).start()
        else:
            loop.add_reader(files.lifeline, orphaned, files.lifeline)
            await site(runner, settings.host, settings.port, _BACKLOG, files.requests).start()
            await web.SockSite(metrics_runner, files.metrics).start()
        _tune_garbage_collector()
        port, metrics_port = _port(runner), _port(metrics_runner)
        said = "listening" if files is None else "worker listening"
        log.info(said, host=settings.host, port=port, metrics_port=metrics_port, pid=os.getpid())
        await stop.wait()
        log.info("stopping")
    finally:
        if files is not None:
            loop.remove_reader(files.lifeline)
        await runner.cleanup()
        await metrics_runner.cleanup()
    return 0


def main() -> int:
    """Run the gateway; return the exit code."""
    configure_logs(_LEAST_LEVELS)
    try:
        settings = Settings.from_env(_environ(sys.argv[1:]))
        check(settings.brokers)
        tracing = tracing_of(os.environ)
    except SettingsError as error:
        log.critical("bad settings", why=str(error))
        return BAD_SETTINGS
    files = WorkerFiles.from_env(os.environ)
    try:
        if settings.workers > 1 and files is None:
            code = uvloop.run(Workers(settings, os.environ).run())
        else:
            code = uvloop.run(serve(settings, tracing, files))
    except OSError as error:
        log.critical("cannot listen, or read a file that the settings name", why=str(error))
        return 1
    except KeyringError as error:
        log.critical("bad keys in GATEWAY_KEYS_FILE", why=str(error))
        return BAD_SETTINGS
    log.info("stopped")
    return code


def _environ(arguments: list[str]) -> Mapping[str, str]:
    """Return the variables, with what the command line says instead of them."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway", description="Take events over HTTP; see docs/gateway.md."
    )
    parser.add_argument("--workers", metavar="N", help="processes that share the port (GATEWAY_WORKERS, 1)")
    given = parser.parse_args(arguments)
    return os.environ if given.workers is None else {**os.environ, "GATEWAY_WORKERS": given.workers}


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
