"""Several gateway processes on one port: the parent starts them, keeps them alive, stops them and sums their metrics.

The parent makes a socket for each worker, all on the same port (SO_REUSEPORT: the system deals connections out), and
keeps a copy. So while a worker is started anew its connections wait instead of being refused. It takes no requests
itself, and a worker whose parent is gone stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
import structlog
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.settings import Settings
from gateway.summed_metrics import summed

#: Tells a worker its sockets: numbers of open files for requests, metrics, and the parent's sign of life.
FILES_VARIABLE: Final = "GATEWAY_WORKER_FILES"
BAD_SETTINGS: Final = 2
_BACKLOG: Final = 1024
#: A worker's own stop takes less.
_STOP_S: Final = 10.0
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 10.0
#: A worker that lived so long was well; it is started again at once.
_WELL_S: Final = 30.0
_METRICS_TIMEOUT_S: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WorkerFiles:
    """What a worker is given by its parent."""

    requests: socket.socket
    metrics: socket.socket
    #: Ends when the parent does.
    lifeline: int

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> WorkerFiles | None:
        """Return a worker's files, None in a process that is no worker."""
        text = environ.get(FILES_VARIABLE, "")
        if not text:
            return None
        requests, metrics, lifeline = map(int, text.split(","))
        return cls(socket.socket(fileno=requests), socket.socket(fileno=metrics), lifeline)


class Workers:
    """The parent."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._running: set[asyncio.subprocess.Process] = set()

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT; return the exit code. OSError when the port cannot be had."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        settings, count = self._settings, self._settings.workers
        lifeline, held = os.pipe()
        with contextlib.closing(os.fdopen(held, "wb")), contextlib.ExitStack() as sockets:
            requests = [sockets.enter_context(one) for one in _same_port(settings.host, settings.port, count)]
            metrics = [sockets.enter_context(_listening("127.0.0.1", 0)) for _ in range(count)]
            runner = web.AppRunner(self._metrics_app([one.getsockname()[1] for one in metrics]), access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, settings.metrics_host, settings.metrics_port).start()
                port, metrics_port = requests[0].getsockname()[1], runner.addresses[0][1]
                log.info("listening", host=settings.host, port=port, metrics_port=metrics_port, workers=count)
                files = [(a.fileno(), b.fileno(), lifeline) for a, b in zip(requests, metrics, strict=True)]
                keepers = [asyncio.create_task(self._keep(number, one)) for number, one in enumerate(files)]
                await self._stop.wait()
                log.info("stopping")
                for one in requests:
                    one.close()  # or connections would be taken that nobody answers
                self._signal_all(signal.SIGTERM)
                await self._ended(keepers)
            finally:
                await runner.cleanup()
                os.close(lifeline)
        return self._exit_code

    async def _keep(self, number: int, files: tuple[int, int, int]) -> None:
        """Run a worker, again and again, until the parent stops."""
        loop, wait_s = asyncio.get_running_loop(), _FIRST_WAIT_S
        while not self._stop.is_set():
            environ = {**self._environ, FILES_VARIABLE: ",".join(map(str, files))}
            command = [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "gateway"]
            try:
                process = await asyncio.create_subprocess_exec(*command, env=environ, pass_fds=files)
            except OSError as error:  # no memory or no process left for now: its connections wait
                log.error("a worker cannot be started", worker=number, why=repr(error))  # noqa: TRY400 - the sentence says it all
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                await self._pause(wait_s)
                continue
            self._running.add(process)
            if self._stop.is_set():
                process.send_signal(signal.SIGTERM)
            started_s = loop.time()
            code = await process.wait()
            self._running.discard(process)
            if self._stop.is_set():
                self._exit_code = self._exit_code or max(code, 0)
                return
            log.error("a worker ended", worker=number, code=code)
            if code == BAD_SETTINGS:  # it will not get better by itself
                self._exit_code = code
                self._stop.set()
                return
            wait_s = _FIRST_WAIT_S if loop.time() - started_s > _WELL_S else min(wait_s * 2, _LONGEST_WAIT_S)
            await self._pause(wait_s)

    async def _pause(self, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), wait_s)

    async def _ended(self, keepers: Sequence[asyncio.Task[None]]) -> None:
        _, late = await asyncio.wait(keepers, timeout=_STOP_S)
        if late:
            log.error("workers do not stop and are killed", count=len(late))
            self._exit_code = 1
            self._signal_all(signal.SIGKILL)
        await asyncio.gather(*keepers)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def _metrics_app(self, ports: Sequence[int]) -> web.Application:
        async def show(_: web.Request) -> web.Response:
            timeout = aiohttp.ClientTimeout(total=_METRICS_TIMEOUT_S)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                texts = await asyncio.gather(*(_metrics_of(session, port) for port in ports))
            body = summed([text for text in texts if text is not None], len(ports))
            return web.Response(body=body.encode(), headers={"Content-Type": CONTENT_TYPE_LATEST})

        app = web.Application()
        app.router.add_get("/metrics", show)
        return app


async def _metrics_of(session: aiohttp.ClientSession, port: int) -> str | None:
    """Return what a worker counts, None when it does not answer."""
    try:
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            return await response.text()
    except (aiohttp.ClientError, TimeoutError):
        return None


def _same_port(host: str, port: int, count: int) -> Iterator[socket.socket]:
    """Yield listening sockets on one port; port 0: on one that is free."""
    for _ in range(count):
        one = _listening(host, port)
        port = one.getsockname()[1]
        yield one


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG, reuse_port=True)
