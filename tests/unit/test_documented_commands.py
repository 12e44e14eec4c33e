"""Every command that a document shows is run by a test or by CI, or says why not; and every option exists.

`tests/shown_commands.py` reads the documents; the table below says who runs what. A command that is in no row fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
from dataclasses import dataclass

import pytest

from deploy import cli
from tests.document_shell import DOCUMENTS, ROOT
from tests.shown_commands import Shown, hidden, shown

COMMANDS = [(name, one) for name, text in DOCUMENTS.items() for one in shown(text)]
MAKEFILE, CI = (ROOT / "Makefile").read_text(), (ROOT / ".ci" / "run").read_text()
DAY = "2026-03-10"


@dataclass(frozen=True)
class Row:
    """Who runs a command: a test file that holds the words, or nobody, for a reason."""

    #: What the command begins with; "" in a document whose blocks are all run as they stand.
    begins: str
    #: A file of tests, or a folder of them, or "" when it is not run.
    by: str
    #: Words that the file, or one of the folder, holds; or the reason.
    words: str
    #: The row is about the blocks of this document only.
    document: str = ""


ACCOUNT = "an AWS account is needed"
FIGURES = "measures, and fails nothing"
REPAIR = "tests/integration/test_repair_stack.py"
SWITCHING = "tests/unit/athena"
TABLE = (
    # Documents whose blocks are run as they stand.
    Row("", "tests/integration/test_runbook.py", "for block in BLOCKS", "deploy/RUNBOOK.md"),
    Row("", "tests/integration/test_scaling.py", "for block in blocks_of(GUIDE)", "deploy/SCALING.md"),
    Row("watchtime", "tests/integration/test_readme.py", 'blocks_of("README.md")', "README.md"),
    Row("curl", "tests/integration/test_readme.py", 'blocks_of("README.md")', "README.md"),
    Row("watchtime query", "tests/integration/test_readme.py", '"athena/README.md"', "athena/README.md"),
    Row("watchtime athena picture", "tests/integration/test_readme.py", '"athena/QUICKSIGHT.md"'),
    Row("python -m gateway", "tests/integration/test_gateway_document.py", "blocks_of(", "docs/gateway.md"),
    Row("kcat", "tests/integration/test_live_consumers.py", 'example("sh")', "docs/live-topics.md"),
    # The `watchtime` command.
    Row("watchtime up", "tests/stacks.py", 'self.watchtime("up", "--detach", *arguments'),
    Row("watchtime up", "tests/integration/test_end_to_end.py", '"SINKS_FORMAT": "jsonl"', "deploy/MIGRATION.md"),
    Row("watchtime down", "tests/stacks.py", 'self.watchtime("down", *stages'),
    Row("watchtime status", "tests/stacks.py", 'self.watchtime("status"'),
    Row("watchtime demo", ".ci/run", "make demo"),
    Row("watchtime doctor", "Makefile", "watchtime doctor --fix --fetch"),
    Row("watchtime load", "tests/proof.py", 'watchtime("load"'),
    Row("watchtime query", "tests/unit/query", '"--ask"'),
    Row("watchtime query", SWITCHING, '"query", "--data-dir"', "deploy/MIGRATION.md"),
    Row("watchtime reconcile", "tests/proof.py", '"reconcile", "--dt"'),
    Row("watchtime reconcile --from", "tests/integration/test_runbook.py", "for block in BLOCKS"),
    Row("watchtime rebuild", SWITCHING, '"rebuild", "--data-dir"'),
    Row("watchtime refold", "tests/faults/test_named_stack.py", 'watchtime("refold", "--yes")'),
    Row("watchtime refold --stopped", "tests/integration/test_refold.py", '"refold", "--stopped", "--yes"'),
    Row("watchtime rejected", REPAIR, 'watchtime("rejected", "list"'),
    Row("watchtime forget", REPAIR, 'watchtime("forget", "--client"'),
    Row("watchtime partials", SWITCHING, '"partials", "--data-dir"'),
    Row("watchtime topics", "tests/integration/test_security.py", 'watchtime("topics")'),
    Row("watchtime acls", "tests/unit/deploy/test_acls.py", 'main(["acls", "sinks"'),
    Row("watchtime acls --apply", "tests/integration/test_security.py", 'main(["acls", "--apply"])'),
    Row("watchtime athena plan", "tests/unit/athena", '["athena", "plan", "--lake"'),
    Row("watchtime athena apply", "tests/unit/athena", "def test_everything_is_made_at_once"),
    Row("watchtime athena query", "tests/unit/athena", "def test_rows_of_all_pages_are_typed"),
    Row("watchtime deploy", "tests/unit/cloud", 'call(aws, "--set=StreamsMax=16", "--yes")'),
    Row("watchtime deploy image", "tests/unit/cloud", 'call(aws, "image", "--dry-run")'),
    Row("watchtime deploy quicksight", "tests/unit/cloud", '("stack", "image", "quicksight")'),
    # Containers, by `make compose-test`.
    Row("docker compose up -d", "tests/compose/composed.py", 'self.run("up", "--detach"'),
    Row("docker compose up -d --scale", "tests/compose/test_stack.py", '"--scale", "streams=3"'),
    Row("docker compose --profile query", "tests/compose/test_stack.py", '"--profile", "query", "up"'),
    Row("docker compose --profile metrics", "", "Grafana's image comes from an image registry only"),
    Row("docker compose exec sinks watchtime", "tests/compose/composed.py", '"exec", "-T", "sinks", "watchtime"'),
    Row("docker compose down", "tests/compose/composed.py", '"down", "--remove-orphans"'),
    Row("docker build", "docker-compose.yml", "dockerfile: deploy/images/watchtime/Dockerfile"),
    Row("docker push", "", ACCOUNT),
    # Modules.
    Row("python -m gateway", "tests/integration/test_gateway_workers.py", '"-m", "gateway"'),
    Row("python -m gateway.keyring", "tests/unit/gateway/test_gateway_auth.py", "keyring.main([str(path)])"),
    Row("python -m streams", "tests/pipeline.py", '"streams"'),
    Row("python -m sinks", "tests/pipeline.py", '"sinks"'),
    Row("python -m deploy.cost", "tests/unit/cloud/test_cost.py", 'main(["--price", "m7g_large_hour=1"'),
    Row("python -m tests.athena.scan", "", FIGURES),
    Row("python -m tests.bench.live", "", FIGURES),
    Row("python -m tests.brokers.cost", "", FIGURES),
    Row("pytest", "Makefile", "$(BIN)/pytest tests/unit"),
    # Tools of others.
    Row("aws", "", ACCOUNT),
)
#: Targets of make that CI neither runs nor lists among the long ones.
OTHER_TARGETS = {
    "install": "each target that CI runs begins with it",
    "unit": "a part of `make test`",
    "lock": "writes the versions that are installed into the project",
    "bench-batch": "a part of `make bench`",
    "bench-streams": "a part of `make bench`",
    "bench-gateway": FIGURES,
}


def rows_for(document: str, one: Shown) -> list[Row]:
    """Return the rows that a command falls under, the best first: of its document, then the longest."""
    fitting = [
        row
        for row in TABLE
        if ((one.whole and row.document == document) or not row.document)
        and (not row.begins or f"{one.text} ".startswith(f"{row.begins} "))
    ]
    return sorted(fitting, key=lambda row: (not row.document, -len(row.begins)))


def each(program: str) -> list[object]:
    """Every command of a program, as parameters of a test."""
    return [
        pytest.param(one, id=f"{document}:{one.line}: {one.text[:60]}")
        for document, one in COMMANDS
        if one.words[0] == program
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_stand_in_blocks_for_the_shell(document: str) -> None:
    """A reader, and this test, see what is to be typed: a block of another kind shows no command."""
    assert hidden(DOCUMENTS[document]) == []


@pytest.mark.parametrize(
    ("document", "one"), COMMANDS, ids=[f"{name}:{one.line}: {one.text[:60]}" for name, one in COMMANDS]
)
def test_somebody_runs_it(document: str, one: Shown) -> None:
    if one.words[0] == "make":
        return  # the next test's
    assert rows_for(document, one), f"{document}:{one.line}: no test runs `{one.text}`: write one, and a row for it"


@pytest.mark.parametrize("one", each("make"))
def test_ci_runs_or_lists_a_target_of_make(one: Shown) -> None:
    for target in (word for word in one.words[1:] if "=" not in word and not word.startswith("-")):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"there is no target {target}"
        assert target in OTHER_TARGETS or re.search(rf"(?:^\s*make |, ){target}\b", CI, re.MULTILINE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.document}:{row.begins}")
def test_a_row_is_true_and_needed(row: Row) -> None:
    assert row.words
    if row.by:
        place = ROOT / row.by
        files = sorted(place.glob("*.py")) if place.is_dir() else [place]
        assert any(row.words in file.read_text() for file in files)
    assert any(rows_for(document, one)[:1] == [row] for document, one in COMMANDS), "no document shows it any more"


@pytest.mark.parametrize("one", each("watchtime"))
def test_the_command_line_is_one_that_watchtime_takes(one: Shown) -> None:
    if one.whole:
        given = [DAY if word.startswith("$") else word for word in one.words[1:] if not word.startswith("<<")]

        assert cli._parser(given).parse_args(given).command == given[0]
        return
    # A sentence may leave out what the command demands: then command, second word and options have to exist.
    words = [word.strip("[]") for word in one.words[1:]]
    assert words[0] in cli.COMMANDS
    parser, options = _below(cli._parser(words[:1]), words[0]), {word for word in words if word.startswith("--")}
    subcommands = _subcommands(parser)
    for name in words[1].split("|") if subcommands and len(words) > 1 and words[1][0] != "-" else []:
        options -= _options(_below(parser, name))
    assert options - _options(parser) == set()


@pytest.mark.parametrize("one", each("python"))
def test_the_module_exists(one: Shown) -> None:
    assert one.words[1] == "-m"
    assert importlib.util.find_spec(one.words[2])


def _options(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions for name in action.option_strings}


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0]) if found else {}


def _below(parser: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    return _subcommands(parser)[name]


def test_what_a_document_shows_is_read() -> None:
    text = """Type `watchtime status`, or `make
unit ARGS='-k x'`; `topic` is no command.

1. A list:

   ```sh
   DAY=$(date -u +%F)   # today's
   A=1 watchtime query --json "SELECT 1
   FROM x" | tail
   until [ "$DAY" = x ]; do
     watchtime rebuild \\
       --dt "$DAY"
   done
   ! .venv/bin/watchtime up - <<'END'
   watchtime nothing
   END
   curl "$(grep -o '[^"]*' file)"
   ```

```text
watchtime up: it is refused
```
"""
    read = [(one.line, one.text, one.whole) for one in shown(text)]

    assert read == [
        (8, "watchtime query --json SELECT 1\nFROM x | tail", True),
        (11, "watchtime rebuild --dt $DAY", True),
        (14, "watchtime up - <<END", True),
        (17, "curl $_", True),
        (1, "watchtime status", False),
        (1, "make unit ARGS=-k x", False),
    ]
    assert hidden(text) == []


@pytest.mark.parametrize("line", ["watchtime up --detach", "$ ls", "A=1 make test", "aws s3 ls"])
def test_a_command_in_another_block_is_found(line: str) -> None:
    assert hidden(f"Text\n\n    {line}\n") == [f"    {line}"]
    assert hidden(f"Text\n\n```text\n{line}\n```\n") == [line]
    assert hidden(f"Text\n\n```sh\n{line}\n```\n") == []


def test_a_command_that_nobody_runs_is_told() -> None:
    assert rows_for("deploy/AWS.md", Shown(line=1, words=("watchtime", "fly"), whole=True)) == []
    assert rows_for("README.md", Shown(line=1, words=("watchtimes", "up"), whole=True)) == []
