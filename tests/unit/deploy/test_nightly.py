"""When the nightly reconciliation runs, over which days, and what it remembers. Time is an argument."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from deploy.local.config import Options, StackError, decide, replace_json
from deploy.local.nightly import RETRY_S, TRIES, Night, after, due, first_night, read

GRACE_S = 1_800.0


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text + "+00:00").timestamp()


def right(through: str) -> Night:
    return Night(right_through=through, ran_to=through)


def found(**drift: int | None) -> dict[str, list[dict[str, object]]]:
    """What the command says; days as d21=0 (drift), d22=None (cannot be told)."""
    days = [(f"2026-11-{name[1:]}", rows) for name, rows in drift.items()]
    return {"days": [{"dt": dt, "error": "a hole"} if rows is None else {"dt": dt, "drift": rows} for dt, rows in days]}


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-23T00:29:59", None),
        ("2026-11-23T00:30:00", ("2026-11-22", "2026-11-22")),
        ("2026-11-23T23:59:59", ("2026-11-22", "2026-11-22")),
        # The machine was off.
        ("2026-11-25T09:00:00", ("2026-11-22", "2026-11-24")),
        ("2027-03-01T09:00:00", ("2027-02-19", "2027-02-28")),
    ],
)
def test_a_day_is_due_once_it_is_over_and_settled(now: str, expected: tuple[str, str] | None) -> None:
    assert due(right("2026-11-21"), at(now), GRACE_S) == expected


def test_a_new_stack_has_nothing_to_look_at_before_its_first_day_is_over() -> None:
    night = first_night(at("2026-11-23T10:00:00"), GRACE_S)

    assert due(night, at("2026-11-23T23:59:59"), GRACE_S) is None
    assert due(night, at("2026-11-24T00:30:00"), GRACE_S) == ("2026-11-23", "2026-11-23")


def test_a_day_that_was_right_is_not_looked_at_again() -> None:
    now = at("2026-11-23T00:31:00")
    night = after(right("2026-11-21"), "2026-11-22", 0, found(d22=0), now)

    assert night.drift == {"2026-11-22": 0}
    assert due(night, at("2026-11-23T23:00:00"), GRACE_S) is None
    assert due(night, at("2026-11-24T00:30:00"), GRACE_S) == ("2026-11-23", "2026-11-23")


def test_a_day_that_drifts_is_looked_at_each_night_until_it_is_right_or_too_old() -> None:
    night = after(right("2026-11-20"), "2026-11-22", 1, found(d21=0, d22=3), at("2026-11-23T00:31:00"))

    assert due(night, at("2026-11-23T12:00:00"), GRACE_S) is None
    assert due(night, at("2026-11-24T00:30:00"), GRACE_S) == ("2026-11-22", "2026-11-23")
    assert due(night, at("2026-12-20T00:30:00"), GRACE_S) == ("2026-12-10", "2026-12-19")
    night = after(night, "2026-11-23", 0, found(d22=0, d23=0), at("2026-11-24T00:31:00"))
    assert night.right_through == "2026-11-23"


@pytest.mark.parametrize("said", [{}, found(d22=None)])
def test_what_cannot_be_told_is_tried_again_a_few_times(said: dict[str, object]) -> None:
    now, night = at("2026-11-23T00:31:00"), right("2026-11-21")
    for tries in range(1, TRIES):
        night = after(night, "2026-11-22", 2, said, now)
        assert night.tries == tries
        assert night.drift == {"2026-11-22": None}
        assert due(night, now + RETRY_S - 1, GRACE_S) is None
        now += RETRY_S
        assert due(night, now, GRACE_S) == ("2026-11-22", "2026-11-22")

    night = after(night, "2026-11-22", 2, said, now)
    assert due(night, at("2026-11-23T23:59:00"), GRACE_S) is None
    assert due(night, at("2026-11-24T00:30:00"), GRACE_S) == ("2026-11-22", "2026-11-23")


def test_what_was_found_is_read_back(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    night = after(right("2026-11-21"), "2026-11-22", 1, found(d22=3), 7.5)

    replace_json(tmp_path / "reconcile.json", {**night.__dict__, "of a newer release": 1})

    assert read(tmp_path) == night


@pytest.mark.parametrize(("text", "seconds"), [("", 1_800.0), ("04:15", 15_300.0), ("00:00", 0.0), ("off", None)])
def test_the_time_is_a_setting(text: str, seconds: float | None) -> None:
    config = decide(Options(data_dir=Path("/data")), {"WATCHTIME_RECONCILE_AT": text}, None)

    assert config.reconcile_after_s == seconds


@pytest.mark.parametrize("text", ["24:00", "4:15", "00:60", "never"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StackError, match="WATCHTIME_RECONCILE_AT is"):
        decide(Options(data_dir=Path("/data")), {"WATCHTIME_RECONCILE_AT": text}, None)
