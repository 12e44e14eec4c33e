"""The gate: every verdict by a case, and laws that hold for any JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.body import compact
from gateway.validate import client_key, verdict
from streams.contract.event import BASE_FIELDS, MAX_CODE_POINTS, REQUIRED_BY_TYPE, decode_line
from tests.unit.gateway.cases import VERDICTS, event_of, named

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted({*BASE_FIELDS, *MAX_CODE_POINTS, *(name for names in REQUIRED_BY_TYPE.values() for name in names)})


@st.composite
def nearly_valid(draw):
    """An event of the cases with a few fields made wrong or left out."""
    event = dict(draw(st.sampled_from(list(VERDICTS["base"].values()))))
    event.update(draw(st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=2)))
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=2)):
        event.pop(name, None)
    return event


@pytest.mark.parametrize("case", **named(VERDICTS["cases"]))
def test_case(case):
    event = event_of(case)

    assert case["error"] == verdict(event, len(compact(event)))


def test_every_verdict_has_a_case():
    seen = {case["error"] for case in VERDICTS["cases"]}
    expected = {f"missing {name}" for name in BASE_FIELDS}
    expected |= {f"missing {name} for {kind}" for kind, names in REQUIRED_BY_TYPE.items() for name in names}
    expected |= {f"invalid {name}" for name in ("event_id", "client_session_id", "tab_id", "event_type")}
    expected |= {f"{name} too long" for name in MAX_CODE_POINTS}
    expected |= {
        None,
        "event is not an object",
        "unsupported schema",
        "event_ts must be int (epoch ms)",
        "video_id must be non-empty string",
        "video_session_id must be non-empty string",
        "watch_ms_delta must be int 0..60000",
        "watch_mode must be foreground|background (or omitted)",
        "is_visible must be boolean",
        "event too large",
    }

    assert expected == seen


@given(nearly_valid() | JSON_VALUES)
def test_a_verdict_is_a_known_one_and_what_passes_is_a_valid_line_to_streams(event):
    error = verdict(event, len(compact(event)))

    assert error is None or isinstance(error, str)
    if error is None:
        assert decode_line(compact(event)) is not None


@given(nearly_valid())
def test_a_verdict_does_not_depend_on_the_order_of_fields_and_survives_json(event):
    error = verdict(event, 0)

    assert error == verdict(dict(reversed(event.items())), 0)
    assert error == verdict(json.loads(json.dumps(event)), 0)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"client_session_id": "c"}, "c"),
        ({"client_session_id": " "}, None),
        ({"client_session_id": 5}, None),
        ({"client_session_id": "x" * 129}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_a_rejected_event_is_keyed_by_its_client_where_it_names_one(event, key):
    assert key == client_key(event)
