"""Who may import whom: the stages are a star around the contract, and rules know no network."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGES = ("gateway", "streams", "sinks", "athena", "deploy")
IO_LIBRARIES = frozenset(
    ["aiohttp", "aiokafka", "asyncio", "boto3", "botocore", "faust", "mode", "prometheus_client", "structlog"]
)
#: Modules of streams/ that hold rules and state only.
PURE = (
    "aggregates",
    "brokers",
    "clients",
    "contributions",
    "dedupe",
    "fold_settings",
    "partition_state",
    "rejects",
    "settings",
    "state_records",
    "totals",
    "variables",
)


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, by its full name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def modules_of(stage: str) -> list[Path]:
    return sorted((ROOT / stage).rglob("*.py"))


def loaded_by(statement: str) -> set[str]:
    """Modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.split())


def test_the_gateway_never_loads_faust():
    loaded = loaded_by("import gateway.app, gateway.publish")

    assert "streams.contract.event" in loaded
    assert not {name for name in loaded if name.split(".")[0] in {"faust", "mode", "boto3", "pyarrow"}}


def test_the_contract_loads_neither_faust_nor_a_client_of_kafka():
    modules = ", ".join(f"streams.contract.{path.stem}" for path in modules_of("streams/contract"))

    loaded = loaded_by(f"import {modules}".replace(".__init__", ""))
    assert not {name for name in loaded if name.split(".")[0] in IO_LIBRARIES}


@pytest.mark.parametrize("package", ["streams", "streams/contract", "gateway", "sinks"])
def test_packages_hold_a_docstring_only(package):
    body = ast.parse((ROOT / package / "__init__.py").read_text()).body

    assert [type(node) for node in body] in ([], [ast.Expr])


@pytest.mark.parametrize("path", modules_of("streams/contract"), ids=lambda path: path.stem)
def test_the_contract_knows_nothing_but_itself(path):
    roots = {name.split(".")[0] for name in imports_of(path)}

    assert roots <= {*sys.stdlib_module_names, "msgspec", "orjson", "streams"} - IO_LIBRARIES
    assert all(name.startswith("streams.contract") for name in imports_of(path) if name.startswith("streams"))


@pytest.mark.parametrize("module", PURE)
def test_rules_import_no_io(module):
    path = ROOT / "streams" / f"{module}.py"
    own = {name.split(".")[1] for name in imports_of(path) if name.startswith("streams.") and name.count(".") == 1}

    assert not {name.split(".")[0] for name in imports_of(path)} & {*IO_LIBRARIES, "os", "time", "socket"}
    assert own <= {*PURE, "contract"}


#: How any stage gets to the brokers: no rule of streams, and nothing that loads Faust.
ACCESS = ("streams.brokers", "streams.connect", "streams.ending", "streams.variables")
#: How a worker of streams or sinks is a member of its groups.
MEMBERSHIP = "streams.membership"
#: What a stage may import of the others beside the contract.
ALLOWED = {
    "gateway": (*ACCESS, "streams.logs"),  # how every stage logs; knows no stage
    "streams": (),
    "sinks": (*ACCESS, MEMBERSHIP, "streams.topic_id", "streams.failpoints", "streams.logs"),
    "athena": ("sinks",),  # reads the lake that sinks write
}


@pytest.mark.parametrize("module", [*ACCESS, MEMBERSHIP])
def test_access_to_brokers_knows_no_stage(module):
    names = imports_of(ROOT / f"{module.replace('.', '/')}.py")

    assert {name for name in names if name.split(".")[0] in STAGES and name.count(".") == 1} <= {*ACCESS}


@pytest.mark.parametrize("stage", ALLOWED)
def test_data_flows_one_way(stage):
    foreign = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules_of(stage)
        for name in imports_of(path)
        if name.split(".")[0] in STAGES
        and name.split(".")[0] != stage
        and not name.startswith(("streams.contract", *ALLOWED[stage]))
        and name != "streams"
    }

    assert not foreign


#: What `make test` does not run: whoever changes what it needs must hear of it here.
ELSEWHERE = sorted(
    path for folder in ("bench", "brokers", "compose") for path in (ROOT / "tests" / folder).glob("*.py")
)


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_other_commands_run_finds_what_it_imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in {*STAGES, "tests"}:
            found = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(found, name.name) or importlib.import_module(f"{node.module}.{name.name}")
