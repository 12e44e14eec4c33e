"""ARCHITECTURE.md speaks of what there is: modules by name, limits by number, and a picture drawn from its source."""

from __future__ import annotations

import html
import itertools
import re
from pathlib import Path

import pytest

from streams import dedupe
from streams.contract import days, topics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
STAGES = ("gateway", "streams", "sinks", "athena", "deploy")
MODULES = {path.stem for stage in STAGES for path in (ROOT / stage).glob("*.py")} | set(STAGES)
TOPICS = {topic.name for topic in topics.topics(4, 1, client_table=True)}
#: Words in backticks that are no modules: tables without their prefix, fields, a setting of Faust's, a key, a metric.
OTHER = {"channel_daily", "hour_daily", "ingest_daily", "client_daily", "client_id", "received_at", "exactly_once"}
OTHER |= {"_offset", "watchtime_streams_sequence_numbers_given_up_total"}


def retention_days(name: str) -> int:
    """How long a topic keeps a record."""
    (topic,) = (one for one in topics.topics(4, 1, client_table=True) if one.name == name)
    return int(topic.config["retention.ms"]) // days.DAY_MS


@pytest.mark.parametrize("word", sorted(set(re.findall(r"`([a-z_]+)`", PAGE)) - OTHER))
def test_a_word_in_backticks_is_a_module(word: str) -> None:
    assert word in MODULES


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.\w+)?)`", PAGE))))
def test_a_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(watch\.\w+)`", PAGE))))
def test_a_topic_is_one(name: str) -> None:
    assert name in TOPICS


def test_a_stage_of_the_path_is_a_folder() -> None:
    stages = re.findall(r"^\d\. \*\*(\w+)/\*\*", PAGE, re.MULTILINE)

    assert set(stages) == {"extension", *STAGES}


@pytest.mark.parametrize(
    ("said", "number"),
    [
        (r"counts at most (\d+) days before its delivery", days.MAX_LATE_MS // days.DAY_MS),
        (r"day adds (\d+) hours", days.MAX_TZ_OFFSET_MIN // 60),
        (r"folded at most (\d+) days later", retention_days(topics.EVENTS)),
        (r"So from (\d+) days on", days.TOTALS_DAYS),
        (r"stays in its topic for (\d+)", topics.COMPACTED_RETENTION_DAYS),
        (r"drops a day after (\d+) days of log time", days.FOLD_DAYS),
        (r"sums after (\d+)", days.TOTALS_DAYS),
        (r"files after (\d+)", days.FILE_DAYS),
        (r"last ([\d,]+) event ids", dedupe.RING_SLOTS * dedupe.SLOT_IDS),
        (r"More than ([\d,]+) gaps", dedupe.MAX_INTERVALS),
        (r"more than (\d+) epochs", dedupe.MAX_EPOCHS),
        (r"one of (\d+) slots", dedupe.RING_SLOTS),
        (r"rewrites (\d+) hashes", dedupe.SLOT_IDS),
        (r"a client is new after (\d+) days", topics.COMPACTED_RETENTION_DAYS),
    ],
)
def test_a_limit_is_that_of_the_code(said: str, number: int) -> None:
    (found,) = re.findall(said, " ".join(PAGE.split()))

    assert int(found.replace(",", "")) == number


def test_the_picture_is_drawn_from_its_source() -> None:
    source = (ROOT / "docs" / "path.dot").read_text()
    picture = html.unescape((ROOT / "docs" / "path.svg").read_text()).replace("\xa0", " ")
    drawn = " ".join(re.findall(r">([^<>\n]+)</text>", picture))
    labels = [" ".join(label.replace("\\n", " ").split()) for label in re.findall(r'label="([^"]+)"', source)]
    chains = [chain.split(" -> ") for chain in re.findall(r"\w+(?: -> \w+)+", source)]

    assert len(labels) > 10
    assert [label for label in labels if label not in " ".join(drawn.split())] == []
    assert {f"{a}->{b}" for chain in chains for a, b in itertools.pairwise(chain)} == set(
        re.findall(r"<title>(\w+->\w+)</title>", picture)
    )
