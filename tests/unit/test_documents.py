"""What documents point at is there: files behind links, and variables that something reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.document_shell import DOCUMENTS, ROOT

READERS = ("gateway/*.py", "streams/*.py", "sinks/*.py", "athena/*.py", "deploy/**/*.py", "tests/**/*.py", ".env")
CODE = "\n".join(path.read_text() for glob in READERS for path in sorted(ROOT.glob(glob)))
#: `GATEWAY_PORT` is the field `port` of gateway/settings.py.
FIELDS = {
    f"{stage}_{field}".upper()
    for stage in ("gateway", "streams", "sinks")
    for field in re.findall(r"^    (\w+): ", (ROOT / stage / "settings.py").read_text(), re.MULTILINE)
}
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"(?<=`)(?:GATEWAY|STREAMS|SINKS|WATCHTIME|KAFKA)_[A-Z0-9_]+(?=[`=])")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_link_leads_to_a_file(document: str) -> None:
    folder = (ROOT / document).parent

    assert [link for link in LINK.findall(DOCUMENTS[document]) if not Path(folder, link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_variable_is_read_by_something(document: str) -> None:
    named = set(VARIABLE.findall(DOCUMENTS[document]))

    assert {name for name in named - FIELDS if not re.search(rf"\b{name}\b", CODE)} == set()


def test_links_and_variables_are_found() -> None:
    assert LINK.findall("[a](docs/x.md#y) ![b](c.svg) [d](https://x.org)") == ["docs/x.md", "c.svg"]
    assert VARIABLE.findall("`GATEWAY_PORT`, `SINKS_FORMAT=jsonl`, GATEWAY_X") == ["GATEWAY_PORT", "SINKS_FORMAT"]
