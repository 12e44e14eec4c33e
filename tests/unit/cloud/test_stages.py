"""The tasks: each runs a stage with variables that the stage reads, and comes up with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import gateway.settings
import sinks.settings
import streams.settings
from deploy.cli import COMMANDS
from gateway.connections import KEEPALIVE_S
from gateway.origins import Origins
from sinks.keys import FORMATS
from streams.contract.days import DAY_RULES
from tests.image_programs import IMAGES, program
from tests.unit.cloud.account import NEEDED, TEMPLATES, Stack, template, whole

SETTINGS: dict[str, Any] = {
    "gateway": gateway.settings.Settings,
    "streams": streams.settings.Settings,
    "sinks": sinks.settings.Settings,
}
IMAGE = IMAGES / "watchtime"
WAYS = [{"Access": "IAM"}, {"Access": "SCRAM"}, {"Access": "IAM", "PastDays": "on"}]


run_image = program("watchtime/run.py")


class Watched(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._variables = variables
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


def container(stage: str, **given: str) -> Any:
    return whole(**given).child("Stages").resource(f"{stage.title()}Task")["ContainerDefinitions"][0]


def environment(found: Any) -> dict[str, str]:
    """Return a container's variables; secrets as ECS puts them in."""
    plain = {one["Name"]: one["Value"] for one in found["Environment"]}
    secret = {one["Name"]: f"[{one['ValueFrom']}]" for one in found.get("Secrets", [])}
    assert not set(plain) & set(secret)
    return plain | secret


@pytest.mark.parametrize("given", WAYS, ids=lambda given: "-".join(given.values()))
@pytest.mark.parametrize("stage", SETTINGS)
def test_each_variable_is_one_that_the_stage_reads_and_takes(stage: str, given: dict[str, str]) -> None:
    environ = Watched(environment(container(stage, **given)))

    settings = SETTINGS[stage].from_env(environ)

    # Every AWS library reads the region by itself.
    assert set(environ) - environ.asked - {"AWS_REGION"} == set()
    assert settings.bootstrap_servers == "b-1.example:9098,b-2.example:9098,b-3.example:9098"
    assert settings.group == "watchtime"
    assert settings.security.protocol == "SASL_SSL"
    assert settings.security.mechanism == ("AWS_MSK_IAM" if given["Access"] == "IAM" else "SCRAM-SHA-512")
    if given["Access"] == "SCRAM":
        assert settings.security.username == f"[<{stage.title()}Secret>:username::]"
        assert settings.security.password == f"[<{stage.title()}Secret>:password::]"


@pytest.mark.parametrize("stage", SETTINGS)
def test_each_container_runs_its_stage_as_the_image_starts_it(stage: str) -> None:
    found = container(stage)

    assert run_image.command(found["Command"]) == ["python", "-P", "-m", stage]
    assert "EntryPoint" not in found
    assert found["Image"] == NEEDED["Image"]
    assert found["ReadonlyRootFilesystem"] is (stage != "streams")
    # A stage needs up to 10 s for a clean stop.
    assert 15 <= found["StopTimeout"] <= 120


def test_the_image_can_ask_for_secrets() -> None:
    files = whole().child("Stages").resource("GatewayTask")["ContainerDefinitions"][1]

    assert files["EntryPoint"] == ["python", "-P", "-m", "deploy.secret_files"]
    # The image leaves out what boto3 knows of services that nobody calls.
    assert "! -name secretsmanager" in (IMAGE / "trim.sh").read_text()


def test_what_must_agree_between_stages_does() -> None:
    given = {"Partitions": "32", "Shards": "4", "DayRule": "local", "ClientTable": "on", "FileFormat": "jsonl"}
    streams_settings = streams.settings.Settings.from_env(environment(container("streams", **given)))
    sinks_settings = sinks.settings.Settings.from_env(environment(container("sinks", **given)))
    operator = environment(container("operator", **given))

    assert (streams_settings.partitions, streams_settings.shards, streams_settings.replication) == (32, 4, 3)
    assert (streams_settings.day_rule, streams_settings.client_table) == ("local", True)
    assert (sinks_settings.form, sinks_settings.client_table) == ("jsonl", True)
    assert sinks_settings.lake == "s3://watchtime-lake-123456789012-eu-west-1"
    # The operator's commands are told what the stages are told.
    assert streams.settings.Settings.from_env(operator).partitions == 32
    assert sinks.settings.Settings.from_env(operator).lake == sinks_settings.lake


@pytest.mark.parametrize("stage", ["streams", "sinks"])
def test_workers_have_no_fixed_names_as_tasks_have_none(stage: str) -> None:
    found = container(stage)
    environ = {**run_image.variables(found["Command"], "ip-10-20-3-4"), **environment(found)}

    assert SETTINGS[stage].from_env(environ).instance == ""


def test_parameters_take_what_the_settings_take() -> None:
    parameters = template("watchtime.yaml")["Parameters"]

    assert set(parameters["DayRule"]["AllowedValues"]) == set(DAY_RULES)
    assert set(parameters["FileFormat"]["AllowedValues"]) == set(FORMATS)
    assert set(parameters["Enroll"]["AllowedValues"]) == set(gateway.settings.ENROLMENTS)


def test_the_gateway_stands_behind_its_balancer_and_nothing_else() -> None:
    stack = whole()
    settings = gateway.settings.Settings.from_env(environment(container("gateway")))
    edge, network = stack.child("Edge"), stack.child("Network")
    target = edge.resource("Gateways")
    service = stack.child("Stages").resource("GatewayService")

    assert settings.auth
    assert not settings.open_bind
    assert settings.trusted_proxies == {"10.20.0.0/16"}
    assert Origins(settings).host_allowed("watch.example.org")
    # The balancer checks by address, which is no name of the gateway: a living one says 403.
    assert not Origins(settings).host_allowed("10.20.3.4:4000")
    assert target["Matcher"]["HttpCode"] == "200,403"
    assert target["Port"] == settings.port == service["LoadBalancers"][0]["ContainerPort"]
    ingress = network.resource("GatewayGroup")["SecurityGroupIngress"]
    assert ingress == [
        {"IpProtocol": "tcp", "FromPort": 4000, "ToPort": 4000, "SourceSecurityGroupId": "<BalancerGroup>"}
    ]
    idle = {one["Key"]: one["Value"] for one in edge.resource("Balancer")["LoadBalancerAttributes"]}
    assert int(idle["idle_timeout.timeout_seconds"]) < KEEPALIVE_S


def test_clients_are_told_to_come_again_and_speak_tls() -> None:
    edge = whole().child("Edge")
    (rate, _) = edge.resource("Acl")["Rules"]
    answer = rate["Action"]["Block"]["CustomResponse"]
    https, http = edge.resource("Https"), edge.resource("Http")

    assert "Acl" not in whole(Firewall="off").child("Edge").of_type("AWS::WAFv2::WebACL")
    assert (answer["ResponseCode"], answer["ResponseHeaders"][0]["Name"]) == (429, "Retry-After")
    assert rate["Statement"]["RateBasedStatement"]["Limit"] == "3000"
    assert https["Protocol"] == "HTTPS"
    assert "TLS13-1-2" in https["SslPolicy"]
    assert http["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"


def test_the_operators_task_runs_a_command_that_there_is() -> None:
    command = container("operator")["Command"]

    assert run_image.command(command) == command
    assert command[0] == "watchtime"
    assert command[1] in COMMANDS


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_parameter_is_described_and_used(name: str) -> None:
    found = template(name)
    text = re.sub(r"(?m)^ *#.*$", "", str(found["Resources"]) + str(found.get("Conditions")) + str(found.get("Rules")))

    for parameter, one in found.get("Parameters", {}).items():
        assert len(one.get("Description", "")) > 5, parameter
        assert re.search(rf"'Ref': '{parameter}'|\$\{{{parameter}\}}", text), parameter


def test_the_stack_gives_each_nested_one_what_it_declares() -> None:
    stack = whole()
    nested = [name for name, one in stack.template["Resources"].items() if "TemplateURL" in one["Properties"]]

    assert len(nested) == 9
    for name in nested:
        child: Stack = stack.child(name)
        given = stack.template["Resources"][name]["Properties"]["Parameters"]
        # Whatever can be chosen is chosen in one place.
        assert set(given) == set(child.template["Parameters"])
        assert [name for name, one in child.template["Parameters"].items() if "Default" in one] == []
        # All of it can be filled in: no reference leads nowhere.
        for logical in child.template["Resources"]:
            if child.exists(logical):
                child.resource(logical)
