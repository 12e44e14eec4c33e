"""Templates as an account would see them: a small evaluator of intrinsic functions, nested stacks and conditions.

Attributes of resources that only AWS knows become texts of their own (`<Stack.Resource.Attribute>`); what templates
make of them can then be compared.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import load

FOLDER = Path(__file__).parents[3] / "deploy" / "cloudformation"
#: The stacks that `watchtime deploy` knows, and the nested ones of the first.
TEMPLATES = sorted(path.name for path in FOLDER.glob("*.yaml"))
#: What must be given.
NEEDED = {
    "Domain": "watch.example.org",
    "CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1",
    "Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/watchtime:1",
}
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "watchtime",
}
#: What AWS would tell, in the form in which it tells it.
ATTRIBUTES = {
    "Cluster.Arn": "arn:aws:kafka:eu-west-1:123456789012:cluster/{Name}/6f1b-7",
    "Key.Arn": "arn:aws:kms:eu-west-1:123456789012:key/1a2b",
    "Bucket.Arn": "arn:aws:s3:::{Name}-lake-123456789012-eu-west-1",
    "Addresses.Servers": "b-1.example:9098,b-2.example:9098,b-3.example:9098",
}
NOTHING = object()


@cache
def template(name: str) -> Any:
    return load(str(FOLDER / name))


class Stack:
    """One stack: resources and outputs with everything filled in that can be known."""

    def __init__(self, name: str, given: Mapping[str, str]) -> None:
        self.template = template(name)
        declared = self.template.get("Parameters", {})
        assert set(given) <= set(declared), f"{name} has no parameters {set(given) - set(declared)}"
        self.parameters: dict[str, Any] = {}
        for parameter, one in declared.items():
            value = given.get(parameter, one.get("Default"))
            assert value is not None, f"{name} needs {parameter}"
            value = str(value)
            assert "AllowedValues" not in one or value in map(str, one["AllowedValues"]), (parameter, value)
            assert "AllowedPattern" not in one or re.fullmatch(one["AllowedPattern"], value), (parameter, value)
            is_list = one["Type"] == "CommaDelimitedList" or one["Type"].startswith("List<")
            self.parameters[parameter] = value.split(",") if is_list else value
        self.children: dict[str, Stack] = {}
        self._resources: dict[str, Any] = {}

    def condition(self, name: str) -> bool:
        return bool(self.value(self.template["Conditions"][name]))

    def exists(self, logical: str) -> bool:
        condition = self.template["Resources"][logical].get("Condition")
        return condition is None or self.condition(condition)

    def resource(self, logical: str) -> Any:
        """Return a resource's properties."""
        if logical not in self._resources:
            self._resources[logical] = self.value(self.template["Resources"][logical].get("Properties", {}))
        return self._resources[logical]

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the properties of all resources of a type that exist."""
        return {
            logical: self.resource(logical)
            for logical, one in self.template["Resources"].items()
            if one["Type"] == kind and self.exists(logical)
        }

    def output(self, name: str) -> Any:
        return self.value(self.template["Outputs"][name]["Value"])

    def child(self, logical: str) -> Stack:
        """Return a nested stack, given what its parent gives it."""
        if logical not in self.children:
            properties = self.template["Resources"][logical]["Properties"]
            given = {name: self.value(one) for name, one in properties["Parameters"].items()}
            texts = {name: ",".join(one) if isinstance(one, list) else str(one) for name, one in given.items()}
            self.children[logical] = Stack(Path(properties["TemplateURL"]).name, texts)
        return self.children[logical]

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [one for one in map(self.value, node) if one is not NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") and isinstance(argument, str):
                return self.condition(argument) if name == "Condition" else self._ref(argument)
            if name.startswith("Fn::"):
                return getattr(self, "_" + name.removeprefix("Fn::").lower())(argument)
        found = {key: self.value(one) for key, one in node.items()}
        return {key: one for key, one in found.items() if one is not NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        properties = self.template["Resources"][name].get("Properties", {})
        for named in ("BucketName", "LogGroupName", "ClusterName"):
            if named in properties:
                return self.value(properties[named])
        return f"<{name}>"

    def _getatt(self, argument: Any) -> Any:
        logical, _, attribute = argument.partition(".") if isinstance(argument, str) else (argument[0], 0, argument[1])
        if attribute.startswith("Outputs."):
            return self.child(logical).output(attribute.removeprefix("Outputs."))
        assert logical in self.template["Resources"], logical
        text = ATTRIBUTES.get(f"{logical}.{attribute}", f"<{logical}.{attribute}>")
        if attribute == "Name" and logical.endswith("Service"):
            return self.resource(logical)["ServiceName"]
        return text.format(Name=self.parameters.get("Name", ""))

    def _sub(self, argument: Any) -> str:
        assert isinstance(argument, str)
        return re.sub(r"\$\{([^}]+)\}", lambda m: self._named(m[1]), argument)

    def _named(self, name: str) -> str:
        return str(self._ref(name) if "." not in name else self._getatt(name.split(".", 1)))

    def _join(self, argument: Any) -> str:
        return str(argument[0]).join(map(str, self.value(argument[1])))

    def _select(self, argument: Any) -> Any:
        return self.value(argument[1])[int(argument[0])]

    def _split(self, argument: Any) -> list[str]:
        return str(self.value(argument[1])).split(argument[0])

    def _getazs(self, _: Any) -> list[str]:
        return [PSEUDO["AWS::Region"] + zone for zone in "abc"]

    def _cidr(self, argument: Any) -> list[str]:
        block, count, bits = (self.value(one) for one in argument)
        parts = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(next(parts)) for _ in range(int(count))]

    def _if(self, argument: Any) -> Any:
        return self.value(argument[1 if self.condition(argument[0]) else 2])

    def _equals(self, argument: Any) -> bool:
        left, right = map(self.value, argument)
        return str(left) == str(right)

    def _not(self, argument: Any) -> bool:
        return not self.value(argument[0])

    def _and(self, argument: Any) -> bool:
        return all(self.value(one) for one in argument)


@cache
def whole(**given: str) -> Stack:
    """Return the root stack with the parameters that must be given, and others."""
    return Stack("watchtime.yaml", {**NEEDED, **given})
