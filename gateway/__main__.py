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
from gateway.variables import SettingsError
from streams.brokers import BrokersError
from streams.connect import check

_BACKLOG: Final = 1024

log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until a signal asks to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_many_connections()
    app = build_app(settings, KafkaPublisher(settings.brokers))
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
    _configure_logs()
    try:
        settings = Settings.from_env(os.environ)
        check(settings.brokers)
    except (SettingsError, BrokersError) as error:
        log.critical("bad settings", why=str(error))
        return 2
    try:
        uvloop.run(serve(settings))
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


def _configure_logs() -> None:
    """Log JSON lines to stderr, libraries included."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # The client library repeats itself four times a second while the broker is away; the publisher says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    # Its one message, for requests that are no HTTP, names the client's address.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
