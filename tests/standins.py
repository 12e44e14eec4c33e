"""A stack of stand-in programs under the real supervisor: `python -m tests.standins OPTIONS`, options as JSON.

Everything is real but the programs: lock, ports, control socket, endpoints, restarts. Starts in well under a second.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local import keeper, serve
from deploy.local.children import Layout, specs
from deploy.local.config import Options
from deploy.local.keeper import Spec
from deploy.local.probes import metrics_ready
from deploy.local.process import Program

PROGRAM = Path(__file__).with_name("standin_program.py")


def plan(layout: Layout, environ: Mapping[str, str]) -> list[Spec]:
    """Return the stack's children, each replaced by a stand-in on the port of the original."""
    return [_standin(layout, spec) for spec in specs(layout, environ)]


def _standin(layout: Layout, spec: Spec) -> Spec:
    port = layout.ports.get(spec.stage) or layout.ports[f"{spec.name}-metrics"]
    command = [sys.executable, "-I", str(PROGRAM), spec.name, spec.stage, str(port), str(layout.config.data_dir)]
    return replace(
        spec,
        program=Program(name=spec.name, command=command, log=spec.program.log),
        ready=partial(metrics_ready, port, spec.stage),
        prepare=keeper._nothing,
        settle=keeper._nothing,
        grace_s=2.0,
    )


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(serve.serve(Options.from_json(sys.argv[1]), os.environ, _say, plan))
