"""Runs a stack in a data folder: in this process, or as `python -m deploy.local.serve OPTIONS` in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from prometheus_client import start_http_server

from deploy.errors import DeployError
from deploy.local import control, endpoints, logs, metrics, nightly, tenancy
from deploy.local.cache import Cache
from deploy.local.children import Layout, choose_ports, specs
from deploy.local.config import Options, decide, read_record, write_record
from deploy.local.keeper import Spec
from deploy.local.ports import LOOPBACK, PortClaims
from deploy.local.supervisor import Supervisor

#: Called with descriptions of children as they change, and with {"ready": true} or {"error": …} once.
Say = Callable[[dict[str, Any]], None]
#: Returns the children of a stack.
Plan = Callable[[Layout, Mapping[str, str]], list[Spec]]

log = structlog.get_logger()


def serve(options: Options, environ: Mapping[str, str], say: Say, plan: Plan = specs) -> int:
    """Run a stack until it is told to stop; return the exit code."""
    try:
        with tenancy.held(options.data_dir):
            logs.configure(options.data_dir / "logs" / "supervisor.log")
            try:
                asyncio.run(_serve(options, environ, say, plan))
            except DeployError as error:
                log.error("stack ended", error=str(error))  # noqa: TRY400 - the text says it all
                raise
            except Exception:
                log.exception("stack ended by an error of the supervisor")
                raise
    except DeployError as error:
        say({"error": str(error)})
        return 1
    return 0


async def _serve(options: Options, environ: Mapping[str, str], say: Say, plan: Plan) -> None:
    facts, remembered = read_record(options.data_dir)
    config = decide(options, environ, facts)
    cache = Cache.from_env(environ)
    # Never released: the claims last as long as this process.
    claims = PortClaims(cache.folder / "ports")
    layout = Layout(config, choose_ports(config, remembered, claims), cache)
    write_record(config.data_dir, config.facts, {**remembered, **layout.ports})
    own = {"supervisor": os.getpid()}

    def saved(pids: dict[str, int]) -> None:
        tenancy.note_processes(config.data_dir, own | pids)
        endpoints.write(layout, own | pids)

    supervisor = Supervisor(plan(layout, environ), saved)
    supervisor.listen(say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.request_stop)
    start_http_server(layout.ports["supervisor-metrics"], LOOPBACK, registry=metrics.REGISTRY)
    beside = [asyncio.create_task(logs.keep_small(config.data_dir / "logs"))]

    def ready() -> None:
        say({"ready": True, **endpoints.read(config.data_dir)})
        if config.reconcile_after_s is not None:
            beside.append(asyncio.create_task(nightly.keep(config.data_dir, config.reconcile_after_s, environ)))

    try:
        async with control.serve(config.data_dir, supervisor):
            await supervisor.run(options.stages, ready)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        endpoints.write(layout, {})


def main() -> None:
    """Serve as a process of its own: tell on standard output how the start goes, then close it."""

    def say(message: dict[str, Any]) -> None:
        # Whoever started this may have gone; the stack goes on.
        with contextlib.suppress(ValueError, BrokenPipeError):
            print(json.dumps(message), flush=True)  # noqa: T201 - the starter reads it
            if "ready" in message:
                os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())

    sys.exit(serve(Options.from_json(sys.argv[1]), os.environ, say))


if __name__ == "__main__":
    main()
