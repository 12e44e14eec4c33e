"""`make compose-test`: finds or starts a container engine and runs the tests that need one.

First the compose stack, then the integration tests twice: with servers from containers, and with the embedded ones.
Words for pytest (ARGS) leave the latter out, and paths among them stand for the whole, as in
`WATCHTIME_TEST_SERVERS=containers make compose-test ARGS=tests/integration/test_store.py`.
Without an engine the same tests are listed as skipped, with the reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

from deploy.local.cache import Cache
from tests.compose import conftest, tools
from tests.compose.composed import ROOT
from tests.compose.engine import Engine, NoEngineError, running


def main(arguments: list[str]) -> int:
    """Run; return the exit code."""
    cache = Cache.from_env(os.environ)
    with contextlib.ExitStack() as stack:
        environ = dict(os.environ)
        try:
            tools.bring(cache)
            engine: Engine = stack.enter_context(running(cache))
        except NoEngineError as error:
            print(f"containers are left out: {error}", flush=True)
            environ[conftest.REASON_VARIABLE] = str(error)
        else:
            print(f"container engine: {'started for this run' if engine.own else engine.host}", flush=True)
            environ |= {conftest.HOST_VARIABLE: engine.host, "DOCKER_HOST": engine.host}
            if engine.own:
                environ[conftest.OWN_VARIABLE] = "1"
        named = any(argument.startswith("tests/") for argument in arguments)
        codes = [_pytest(environ, *([] if named else ["tests/compose"]), *arguments)]
        if not arguments:
            for servers in ("containers", "embedded"):
                print(f"integration tests with servers: {servers}", flush=True)
                told = environ | {"WATCHTIME_TEST_SERVERS": servers}
                codes.append(_pytest(told, "tests/integration", "-m", "not slow"))
    return max(codes)


def _pytest(environ: dict[str, str], *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-s", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode  # noqa: S603 - our own tests


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
