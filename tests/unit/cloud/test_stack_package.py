"""The templates as they are uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from cfnlint.api import lint_file

from deploy.errors import DeployError
from deploy.stack_package import FOLDER, package


def test_a_package_names_nested_templates_by_what_they_hold(tmp_path: Path) -> None:
    found = package("stack", "templates", "eu-west-1")
    (first, root), *nested = found.objects.items()

    assert found.url == f"https://templates.s3.eu-west-1.amazonaws.com/{first}"
    assert len(nested) == root.count("TemplateURL:") == 9
    for key, text in nested:
        assert f"TemplateURL: https://templates.s3.eu-west-1.amazonaws.com/{key}\n" in root
        assert text == (FOLDER / f"{Path(key).name.rsplit('-', 1)[0]}.yaml").read_text()
    assert len(found.nested) == 9
    assert found.nested["Lake"]["Bucket"] == "AWS::S3::Bucket"
    assert found.nested["Broker"]["Disks"] == "AWS::ApplicationAutoScaling::ScalableTarget  if Standard"
    (tmp_path / "root.yaml").write_text(root)
    assert [str(match) for match in lint_file(tmp_path / "root.yaml")] == []


def test_another_text_gets_another_name(tmp_path: Path) -> None:
    for path in FOLDER.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    before = package("stack", "templates", "eu-west-1", tmp_path)
    (tmp_path / "lake.yaml").write_text((tmp_path / "lake.yaml").read_text() + "\n# new\n")
    after = package("stack", "templates", "eu-west-1", tmp_path)

    differing = set(before.objects) ^ set(after.objects)
    assert {Path(key).name.rsplit("-", 1)[0] for key in differing} == {"watchtime", "lake"}


def test_an_installation_without_templates_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="the templates are in the project's folder"):
        package("stack", "templates", "eu-west-1", tmp_path)
