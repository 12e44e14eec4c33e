"""Metrics of several workers as those of one gateway. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_READY: Final = "watchtime_ready"
#: Of these the smallest counts: since when, and whether all are ready. All others are summed.
_SMALLEST: Final = ("_created", "_start_time_seconds", _READY)
#: What every worker says alike.
_ALIKE: Final = ("python_info",)


def summed(texts: Sequence[str], workers: int) -> str:
    """Return the sums of what workers that answered say, in Prometheus' text format; `workers`: how many there are.

    A worker that does not answer is not ready.
    """
    told: dict[str, list[str]] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            name = family.name + ("_total" if family.type == "counter" else "")
            told.setdefault(name, [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"])
            of_family = values.setdefault(name, {})
            for sample in family.samples:
                key = sample.name, tuple(sample.labels.items())
                before = of_family.get(key)
                of_family[key] = sample.value if before is None else _together(sample.name, before, sample.value)
    told["watchtime_gateway_workers"] = ["# TYPE watchtime_gateway_workers gauge"]
    values["watchtime_gateway_workers"] = {("watchtime_gateway_workers", ()): float(len(texts))}
    if len(texts) < workers:
        told[_READY] = [f"# TYPE {_READY} gauge"]
        values[_READY] = {(_READY, (("stage", "gateway"),)): 0.0}
    lines = []
    for name, head in told.items():
        lines += head
        lines += [f"{sample}{_labels(labels)} {value}" for (sample, labels), value in values[name].items()]
    return "\n".join(lines) + "\n"


def _together(name: str, before: float, value: float) -> float:
    if name.endswith(_SMALLEST):
        return min(before, value)
    return before if name in _ALIKE else before + value


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"
