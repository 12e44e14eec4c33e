"""A stack as it is handed to CloudFormation: templates under names that tell their content, and parameters. Pure."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.errors import DeployError

FOLDER: Final = Path(__file__).with_name("cloudformation")
#: What can be put up: template, usual name of the stack, what it is.
TARGETS: Final = {
    "stack": ("watchtime.yaml", "watchtime", "everything: network, broker, stages, lake, alarms"),
    "image": ("image.yaml", "watchtime-image", "the repository of the image, before the rest"),
    "quicksight": ("quicksight.yaml", "watchtime-quicksight", "the dashboard, after `watchtime athena apply`"),
}
#: What the data depend on. CloudFormation would change them without a word, and the stages would refuse to start.
FIXED: Final = ("Name", "Group", "Partitions", "Shards", "DayRule", "ClientTable", "FileFormat")
_NESTED: Final = re.compile(r"^(\s+TemplateURL: )\./([\w-]+\.yaml)$", re.MULTILINE)
_STACK: Final = re.compile(
    r"^  (\w+):\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: \./([\w-]+\.yaml)$",
    re.MULTILINE,
)


class _Loader(yaml.SafeLoader):
    """Reads the sections that hold no short forms; of the others only that they are there."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@dataclass(frozen=True, kw_only=True)
class Package:
    """The templates of one target."""

    #: Key in the bucket -> text; the first is the one that is put up.
    objects: dict[str, str]
    url: str
    #: Nested stack -> logical id of each resource in it -> type, and the condition under which it is made.
    nested: dict[str, dict[str, str]]
    #: Declared parameters, as the template declares them.
    parameters: dict[str, dict[str, Any]]


def package(target: str, bucket: str, region: str, folder: Path = FOLDER) -> Package:
    """Return a target's templates with the addresses that nested ones will have."""
    file = TARGETS[target][0]
    if not (folder / file).exists():
        raise DeployError(
            f"{folder} has no {file}: the templates are in the project's folder, not in what is installed"
        )
    below: dict[str, str] = {}
    inside: dict[str, dict[str, str]] = {}

    def address(match: re.Match[str]) -> str:
        nested = (folder / match[2]).read_text()
        key = _key(match[2], nested)
        below[key] = nested
        inside[match[2]] = _resources(nested)
        return f"{match[1]}{_url(bucket, region, key)}"

    text = _NESTED.sub(address, (folder / file).read_text())
    key = _key(file, text)
    return Package(
        objects={key: text, **below},
        url=_url(bucket, region, key),
        nested={match[1]: inside[match[2]] for match in _STACK.finditer((folder / file).read_text())},
        parameters=yaml.load(text, _Loader)["Parameters"],  # noqa: S506 - a safe loader that skips short forms
    )


def _resources(text: str) -> dict[str, str]:
    found = yaml.load(text, _Loader)["Resources"]  # noqa: S506 - as above
    return {
        name: one["Type"] + (f"  if {one['Condition']}" if "Condition" in one else "") for name, one in found.items()
    }


def _key(file: str, text: str) -> str:
    # A change set must not find another text than was packaged: what changes gets another name.
    return f"watchtime/{Path(file).stem}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"


def _url(bucket: str, region: str, key: str) -> str:
    return f"https://{bucket}.s3.{region}.amazonaws.com/{key}"


def chosen(words: list[str]) -> dict[str, str]:
    """Return parameters from KEY=VALUE words."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DeployError(f"{word!r} is no parameter: write KEY=VALUE, as in --set Domain=watch.example.org")
        found[name] = value
    return found


def parameters(
    declared: Mapping[str, dict[str, Any]], given: Mapping[str, str], before: Mapping[str, str] | None
) -> list[dict[str, Any]]:
    """Return the parameters of a change set; `before`: those of the stack as it stands, None when there is none."""
    if unknown := sorted(set(given) - set(declared)):
        near = difflib.get_close_matches(unknown[0], declared, n=1)
        raise DeployError(
            f"there is no parameter {', '.join(unknown)}" + (f"; did you mean {near[0]}?" if near else "")
        )
    kept = before or {}
    if missing := [name for name, one in declared.items() if name not in {**given, **kept} and "Default" not in one]:
        lines = "".join(f"\n  --set {name}=…  {declared[name]['Description']}" for name in missing)
        raise DeployError(f"these parameters have no value yet:{lines}")
    for name in FIXED:
        if name in given and name in kept and given[name] != kept[name]:
            raise DeployError(
                f"{name} is {kept[name]} and cannot become {given[name]}: the data were made under it. Put up a second "
                "stack under another --stack-name and Name, and bring older days over by `watchtime rebuild --from`"
            )
    defaults = {name: str(one["Default"]) for name, one in declared.items() if "Default" in one}
    values = {**defaults, **kept, **given}
    _check(values)
    return [
        {"ParameterKey": name, "UsePreviousValue": True}
        if name in kept and name not in given
        else {"ParameterKey": name, "ParameterValue": values[name]}
        for name in declared
        if name in given or name in kept or before is None or "Default" not in declared[name]
    ]


def _check(values: Mapping[str, str]) -> None:
    """Refuse numbers that CloudFormation takes but that do not go together."""
    if "Partitions" not in values:
        return
    number = {name: int(text) for name, text in values.items() if text.isdecimal()}
    for stage, most in (("Gateway", None), ("Streams", "Partitions"), ("Sinks", "Partitions")):
        if number[f"{stage}Min"] > number[f"{stage}Max"]:
            raise DeployError(f"{stage}Min={number[f'{stage}Min']} is more than {stage}Max={number[f'{stage}Max']}")
        if most and number[f"{stage}Max"] > number[most]:
            raise DeployError(
                f"{stage}Max={number[f'{stage}Max']} is more than {most}={number[most]}: a partition has one worker, "
                "the others would wait and cost"
            )
    if number["Brokers"] % 3:
        raise DeployError(f"Brokers={number['Brokers']} is no multiple of three, the number of zones")
