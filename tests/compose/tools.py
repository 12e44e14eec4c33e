"""What `make compose-test` runs on, brought where it is missing: Docker's daemon by apt, Compose by Go."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from deploy.local.cache import Cache
from tests.compose.engine import SYSTEM_SOCKET, NoEngineError, answers

#: The newest version that `go install` takes: later ones replace modules.
COMPOSE: Final = "github.com/docker/compose/v2/cmd@v2.32.4"
_PACKAGES: Final = {"dockerd": "docker.io", "debootstrap": "debootstrap"}


def bring(cache: Cache) -> None:
    """Install what is missing and can be had; what then still lacks shows when it is used."""
    hosts = filter(None, [os.environ.get("DOCKER_HOST"), f"unix://{SYSTEM_SOCKET}"])
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if missing and not any(answers(host) for host in hosts) and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' and '.join(missing)}", flush=True)
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-qq", *arguments], env=environ, stdout=subprocess.DEVNULL, check=False)  # noqa: S603, S607
    compose(cache)


def compose(cache: Cache) -> Path:
    """Return Docker Compose as a program of its own, built by Go when it is neither installed nor in the cache."""
    kept = cache.folder / "bin" / "docker-compose"
    for found in (
        kept,
        Path("/usr/libexec/docker/cli-plugins/docker-compose"),
        Path("/usr/lib/docker/cli-plugins/docker-compose"),
    ):
        if found.exists():
            return found
    if shutil.which("go") is None:
        raise NoEngineError("there is no Docker Compose, and no Go to build it")
    print("building Docker Compose (some minutes, once)", flush=True)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=cache.folder) as name:
        done = subprocess.run(  # noqa: S603
            ["go", "install", COMPOSE],  # noqa: S607
            env={**os.environ, "GOBIN": name, "GOFLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NoEngineError(f"Docker Compose was not built: {done.stderr.splitlines()[-1]}")
        (Path(name) / "cmd").replace(kept)
    return kept
