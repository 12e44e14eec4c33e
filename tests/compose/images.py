"""Images for tests where no image registry is within reach: the base made by debootstrap, the rest built on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import docker
import docker.errors

from deploy.local.cache import Cache
from tests.compose.engine import NoEngineError

BASE: Final = "debian:bookworm-slim"
_SUITES: Final = """\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
#: What the published slim image leaves out, too.
_LEFT_OUT: Final = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)
_AUTHORITIES: Final = Path("/usr/local/share/ca-certificates")
_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def provide_base(client: docker.DockerClient, cache: Cache) -> str:
    """Have the base image; return where it came from."""
    try:
        client.images.get(BASE)
    except docker.errors.ImageNotFound:
        pass
    else:
        return "kept"
    try:
        client.images.pull(*BASE.split(":"))
    except (docker.errors.APIError, OSError):
        pass
    else:
        return "pulled"
    archive = cache.folder / "images" / "debian-bookworm-slim.tar"
    if not archive.exists():
        _bootstrap(archive)
    changes = []
    if _own_authorities():
        # This machine's network is seen through an authority of its own: pip and others must believe it, too.
        changes = [f"ENV SSL_CERT_FILE={_BUNDLE} PIP_CERT={_BUNDLE}"]
    repository, tag = BASE.split(":")
    client.api.import_image(src=str(archive), repository=repository, tag=tag, changes=changes)
    return "made by debootstrap"


def _own_authorities() -> list[Path]:
    return sorted(_AUTHORITIES.glob("*.crt"))


def _bootstrap(archive: Path) -> None:
    """Make a minimal Debian and pack it: a minute or two."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise NoEngineError(f"{BASE} cannot be pulled, and only root with debootstrap can make it")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=archive.parent) as name:
        root = Path(name) / "root"
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed
        if done.returncode:
            raise NoEngineError(f"debootstrap failed: {(done.stdout + done.stderr).splitlines()[-1]}")
        for folder in _LEFT_OUT:
            for entry in (root / folder).iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        (root / "etc/apt/sources.list").write_text(_SUITES)
        for authority in _own_authorities():
            shutil.copy(authority, root / str(_AUTHORITIES).lstrip("/"))
        subprocess.run(["chroot", str(root), "update-ca-certificates"], capture_output=True, check=True)  # noqa: S603, S607
        packed = Path(name) / "base.tar"
        with tarfile.open(packed, "w") as tar:
            tar.add(root, arcname=".")
        packed.replace(archive)
