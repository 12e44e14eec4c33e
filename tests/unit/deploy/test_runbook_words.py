"""The runbook speaks of what there is: alarms and the words of log lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "deploy" / "RUNBOOK.md").read_text()
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())["groups"][0]["rules"]
STAGES = ("gateway", "streams", "sinks")
CODE = "".join(path.read_text() for stage in (*STAGES, "deploy/local") for path in sorted((ROOT / stage).glob("*.py")))
#: The words of a log line that the table quotes, and the name of its error.
LINES = re.findall(r"^\| `([^`|]+)`.*?(?:\((\w+)\))? \|", RUNBOOK, flags=re.MULTILINE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alarm_has_a_section(rule: dict[str, str]):
    assert f"### {rule['alert']}\n" in RUNBOOK


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_alarm_says_what_to_type(rule: dict[str, str]):
    section = RUNBOOK.partition(f"### {rule['alert']}\n")[2].partition("\n##")[0]

    assert "```sh\n" in section


def test_each_section_of_an_alarm_has_its_rule():
    sections = re.findall(r"^### (\w+)$", RUNBOOK, flags=re.MULTILINE)

    assert sections == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize(("words", "error"), LINES)
def test_each_log_line_is_one_that_the_code_writes(words: str, error: str):
    parts = [part.strip(" ,") for part in words.split("…")]
    text = re.sub(r'"\s*\n\s*f?"', "", CODE)
    assert all(part in text for part in parts if part), words
    assert not error or f"class {error}(" in CODE


def test_each_error_that_ends_a_worker_is_in_the_table():
    ends = {"StateLostError", "RawGapError", "SettingsChangedError", "NewerStateError", "LowerTotalError"}
    ends |= {"ReplacedError", "ProvisionError", "LakeMismatchError", "ShrinkError", "ArchiveGapError", "LayoutError"}

    assert {error for error in ends if f"({error})" not in RUNBOOK} == set()
