"""Downloads: whole or not there, once even when two want them. The tools are small scripts, the rest is real."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from deploy.local.cache import Cache, kafka_version
from deploy.local.downloads import DownloadError, fetch

MAVEN = """#!/bin/sh
for word in "$@"; do case "$word" in -DoutputDirectory=*) out=${word#*=};; esac; done
echo run >> "$0.runs"
mkdir -p "$out" && touch "$out/kafka_2.13-9.jar"
echo "[INFO] Downloaded from central: https://somewhere/kafka_2.13-9.jar (1 MB)"
"""
GO = """#!/bin/sh
echo run >> "$0.runs"
echo program > "$GOBIN/versitygw"
"""
BROKEN = "#!/bin/sh\necho 'no network today'\nexit 7\n"
#: The quick-start archive needs a real broker; without one, only speed is lost.
JAVA = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"mvn": MAVEN, "go": GO, "java": JAVA}.items():
        put(folder / name, text)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache.from_env({"WATCHTIME_CACHE": str(tmp_path / "cache")})


def test_everything_missing_is_fetched(cache: Cache, tools: Path) -> None:  # noqa: ARG001
    said: list[str] = []
    assert cache.missing() == ["Apache Kafka", "versitygw"]

    fetch(cache, said.append)

    assert cache.missing() == []
    assert cache.kafka_libs.parent.name == kafka_version()
    assert [jar.name for jar in cache.kafka_libs.iterdir()] == ["kafka_2.13-9.jar"]
    assert cache.versitygw.read_text() == "program\n"
    assert any("kafka_2.13-9.jar" in text for text in said)
    assert list(cache.folder.glob("partial-*")) == []


def test_another_version_lies_beside_the_usual_one(cache: Cache, tools: Path) -> None:
    put(tools / "mvn", MAVEN.replace("echo run", 'echo "$@"'))
    fetch(cache, lambda _: None)
    other = Cache.from_env({"WATCHTIME_CACHE": str(cache.folder), "WATCHTIME_KAFKA_VERSION": "3.9.2"})
    assert other.missing() == ["Apache Kafka"]

    fetch(other, lambda _: None)

    assert other.missing() == cache.missing() == []
    assert other.kafka_libs.parent == cache.kafka_libs.parent.with_name("3.9.2")
    asked = (tools / "mvn.runs").read_text().splitlines()
    assert [
        f"-Dkafka.version={version}" in line for version, line in zip((kafka_version(), "3.9.2"), asked, strict=True)
    ]


def test_a_half_finished_earlier_try_is_no_download(cache: Cache, tools: Path) -> None:  # noqa: ARG001
    (cache.folder / "partial-earlier" / "libs").mkdir(parents=True)
    (cache.folder / "partial-earlier" / "libs" / "half.jar").touch()

    fetch(cache, lambda _: None)

    assert [jar.name for jar in cache.kafka_libs.iterdir()] == ["kafka_2.13-9.jar"]
    assert list(cache.folder.glob("partial-*")) == []


def test_a_failure_tells_the_tools_own_words_and_leaves_nothing(cache: Cache, tools: Path) -> None:
    put(tools / "mvn", BROKEN)

    with pytest.raises(DownloadError, match=r"(?s)Apache Kafka .*ended with 7.*no network today"):
        fetch(cache, lambda _: None)

    assert cache.missing() == ["Apache Kafka", "versitygw"]
    put(tools / "mvn", MAVEN)
    fetch(cache, lambda _: None)
    assert cache.missing() == []


def test_a_missing_tool_is_named(cache: Cache, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "mvn").unlink()
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(DownloadError, match="needs mvn, which is not installed: see `watchtime doctor`"):
        fetch(cache, lambda _: None)


def test_two_at_once_fetch_once(cache: Cache, tools: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(cache, lambda _: None)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert cache.missing() == []
    assert (tools / "mvn.runs").read_text() == "run\n"
    assert (tools / "go.runs").read_text() == "run\n"
