"""The schemas against the gate itself, against real rows, and against what was released before."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from gateway import schemas
from gateway.validate import verdict
from streams.contract import topics
from streams.contract.rows import TABLE_BY_TOPIC, TABLES, encode_row, row_of
from streams.rejects import Rejects
from tests.unit.gateway.cases import FOLDER, VERDICTS, event_of
from tests.unit.gateway.running import VALID, Gateway

DOCS = Path(__file__).parents[3] / "docs/schemas"
RELEASED = json.loads((FOLDER / "released_schemas.json").read_text())
#: Verdicts that a schema cannot give: it does not see bytes, and Python's white space is its own.
UNSEEN = {"event too large"}


def validator(schema: schemas.Schema) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def breaks(old: schemas.Schema, new: schemas.Schema, *, written_by_clients: bool) -> list[str]:
    """Return what a new schema would break for those who wrote (else: read) by the old one; none if it only adds."""
    before, after = old.get("properties", {}), new.get("properties", {})
    found = [f"{name} is gone" for name in before if name not in after]
    found += [f"{name} is another one" for name in before if name in after and before[name] != after[name]]
    was, required = set(old.get("required", ())), set(new.get("required", ()))
    if written_by_clients:
        return found + [f"{name} is demanded now" for name in sorted(required - was)]
    return found + [f"{name} may be missing now" for name in sorted(was - required)]


@pytest.mark.parametrize("name", schemas.files())
def test_the_files_are_those_of_the_code(name):
    assert schemas.files()[name] == (DOCS / name).read_text(), "run: python -m gateway.schemas docs/schemas"


@pytest.mark.parametrize("case", VERDICTS["cases"], ids=lambda case: case["name"])
def test_the_event_schema_agrees_with_the_gate(case):
    event = event_of(case)
    error = verdict(event, len(json.dumps(event)))
    if error in UNSEEN or "space" in case["name"] or "1.0" in case["name"]:
        return

    assert (error is None) is validator(schemas.event()).is_valid(event)


async def test_what_the_gateway_publishes_is_as_its_schemas_say(gateway: Gateway):
    await gateway.post({"events": [VALID, VALID | {"client_id": 5}, 5, VALID | {"schema": 2}]})

    for line in gateway.lines():
        validator(schemas.published_event()).validate(line)
    for record in gateway.records(topics.REJECTED):
        validator(schemas.rejected()).validate(json.loads(record.value))


def test_what_streams_could_not_read_is_as_the_schema_says():
    rejects = Rejects(3)
    rejects.add(b"{}\n[]\n", 1, 7, 1_760_000_000_000)
    [value] = [json.loads(taken) for taken in rejects.take()]

    validator(schemas.rejected()).validate(value)
    assert set(schemas.rejected()["properties"]) == set(value)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_as_their_schemas_say(table):
    counters = [1] * len(table.counters)
    value = json.loads(encode_row(row_of(table, "2026-01-02", "7", counters, None), 5))

    check = validator(schemas.row(table))
    check.validate(value)
    assert list(value) == list(schemas.row(table)["properties"])
    for name in value:
        assert not check.is_valid({key: kept for key, kept in value.items() if key != name})
        assert not check.is_valid(value | {name: -1.5})


def test_every_public_topic_is_documented():
    document = schemas.asyncapi()
    public = {topics.EVENTS, topics.REJECTED, *TABLE_BY_TOPIC}

    assert public == set(document["channels"])
    for channel in document["channels"].values():
        reference = channel["messages"]["value"]["payload"]["$ref"]
        assert (DOCS / reference).exists()


@pytest.mark.parametrize("name", RELEASED)
def test_released_schemas_only_grow(name):
    """A failure here breaks programs of other people; a new field goes into tests/cases/released_schemas.json."""
    now = schemas.all_schemas()[name]

    assert breaks(RELEASED[name], now, written_by_clients=name == "event") == []


def test_what_breaks_is_found():
    old = schemas.event()
    less, other, more = copy.deepcopy(old), copy.deepcopy(old), copy.deepcopy(old)
    del less["properties"]["url"]
    other["properties"]["event_ts"] = {"type": "string"}
    more["properties"]["new"] = {"type": "string"}

    assert breaks(old, less, written_by_clients=True) == ["url is gone"]
    assert breaks(old, other, written_by_clients=True) == ["event_ts is another one"]
    assert breaks(old, more, written_by_clients=True) == []
    more["required"].append("new")
    assert breaks(old, more, written_by_clients=True) == ["new is demanded now"]
    assert breaks(more, old, written_by_clients=False) == ["new is gone", "new may be missing now"]
