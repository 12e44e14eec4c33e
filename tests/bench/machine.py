"""What the figures depend on, and how much of the machine a measured run and everybody else used."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from deploy.local.cache import kafka_version

#: Above this share of one core used by others, a run says little.
DISTURBED = 0.15
PACKAGES = ("aiokafka", "faust-streaming", "msgspec", "uvloop", "aiohttp")


def facts() -> dict[str, Any]:
    """Return cores, processor, memory and versions."""
    described = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in described if line.startswith("model name")]
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)  # noqa: S607
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "java": (java.stderr.splitlines() or ["none"])[0],
        "kafka": kafka_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
    }


def sentence(machine: dict[str, Any]) -> str:
    """Return the facts for people."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "kafka", *PACKAGES))
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}; "
        f"{versions}; {machine['java']}"
    )


class Watch:
    """CPU seconds from its making to `others`: the broker's, those of this process and its children, the rest."""

    def __init__(self, *running: int) -> None:
        """Take the start; `running`: the broker, if there is one, and children that live on past the end."""
        self._processes = [psutil.Process(pid) for pid in running]
        self._started = time.monotonic()
        self._before = [cpu_s(process) for process in self._processes]
        self._own, self._busy = _own_s(), _busy_s()

    def broker_s(self) -> float:
        """Return the CPU seconds that the broker has used."""
        return cpu_s(self._processes[0]) - self._before[0]

    def others(self) -> float:
        """Return the share of one core that went to processes that have nothing to do with the run."""
        known = sum(cpu_s(process) - before for process, before in zip(self._processes, self._before, strict=True))
        seconds = time.monotonic() - self._started
        return max(0.0, (_busy_s() - self._busy - known - (_own_s() - self._own)) / seconds)


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def peak_mb(pid: int) -> float:
    """Return the greatest memory that a running process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def _own_s() -> float:
    """Return what this process and its children that have ended used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _busy_s() -> float:
    times = psutil.cpu_times()
    # Without interrupts: nearly all of them are those of the measured programs' own loopback traffic.
    return float(times.user + times.system + times.nice + times.steal)
