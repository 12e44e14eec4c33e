"""`endpoints.json`: where the parts of a running stack are, for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.children import Layout
from deploy.local.config import StackError, replace_json
from deploy.local.ports import LOOPBACK


def describe(layout: Layout, pids: Mapping[str, int]) -> dict[str, Any]:
    """Return the content of the file; `pids` by child, the supervisor included."""
    config, ports = layout.config, layout.ports
    keys = layout.s3.keys if config.runs_s3 else None
    return {
        "gateway": f"http://{LOOPBACK}:{ports['gateway']}",
        "metrics": f"http://{LOOPBACK}:{ports['gateway-metrics']}/metrics",
        "stage_metrics": {
            name.removesuffix("-metrics"): f"http://{LOOPBACK}:{port}/metrics"
            for name, port in ports.items()
            if name.endswith("-metrics") and name != "gateway-metrics"
        },
        "bootstrap_servers": layout.broker.bootstrap_servers,
        "s3_endpoint": layout.s3_endpoint,
        "bucket": config.bucket,
        "access_key": keys.access_key if keys else "",
        "secret_key": keys.secret_key if keys else "",
        "lake": config.facts.lake,
        "refresh_s": config.refresh_s,
        "group": config.group,
        "client_table": config.client_table == "on",
        "pids": dict(pids),
    }


def write(layout: Layout, pids: Mapping[str, int]) -> None:
    """Write the file, atomically."""
    replace_json(layout.config.data_dir / "endpoints.json", describe(layout, pids))


def read(data_dir: Path) -> dict[str, Any]:
    """Return the endpoints of a stack; StackError when there never was one in this folder."""
    file = data_dir / "endpoints.json"
    try:
        content: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise StackError(f"{file} does not exist: no stack was started there; run `watchtime up`") from None
    return content
