"""The gateway's files from a secret: what it may hold, and that a bad one changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from deploy.secret_files import FILES, SecretError, files_of, keep
from gateway.access import Access
from gateway.keyring import Keyring
from gateway.settings import Settings
from tests.unit.cloud.account import whole

KEYS = "k2 " + "B" * 44 + "\nk1 " + "A" * 44 + "\n"


def generated() -> str:
    """The secret as the template makes it: what Secrets Manager puts in are letters and digits."""
    making = whole().child("Edge").resource("GatewayFiles")["GenerateSecretString"]
    assert making["ExcludePunctuation"] is True
    text = ("Ab3" * 100)[: making["PasswordLength"]]
    return json.dumps({**json.loads(making["SecretStringTemplate"]), making["GenerateStringKey"]: text})


def test_the_secret_of_a_new_stack_is_one_that_a_gateway_starts_with(tmp_path: Path) -> None:
    for name, text in files_of(generated()).items():
        (tmp_path / name).write_text(text)
    container = whole().child("Stages").resource("GatewayTask")["ContainerDefinitions"][0]
    environ = {one["Name"]: one["Value"].replace("/run/watchtime", str(tmp_path)) for one in container["Environment"]}

    access = Access(Settings.from_env(environ))

    assert access.keyring.signing.key_id == "first"
    assert not access.invited("")


def test_keys_that_were_put_there_take_the_place_of_the_first() -> None:
    found = files_of(json.dumps({"keys": KEYS, "revoked": "i-1\n", "first_key": "x"}))

    assert set(found) == set(FILES)
    assert list(Keyring.parse(found["keys"]).secrets) == ["k2", "k1"]
    assert found["revoked"] == "i-1\n"
    assert found["viewers"] == ""


@pytest.mark.parametrize(
    "secret",
    ["no json", "[]", '{"keys": 5}', '{"keys": "k1 short"}', "{}", json.dumps({"keys": KEYS, "invites": ["a"]})],
)
def test_a_secret_that_cannot_be_used_is_refused_without_quoting_it(secret: str) -> None:
    with pytest.raises(SecretError) as refusal:
        files_of(secret)

    assert "short" not in str(refusal.value)


async def test_a_change_is_taken_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    with mock_aws():
        client = boto3.Session(region_name="eu-west-1").client("secretsmanager")
        arn = client.create_secret(Name="watchtime/gateway", SecretString=generated())["ARN"]
        stop = asyncio.Event()
        task = asyncio.create_task(keep(client, arn, tmp_path, stop, every_s=0.01))

        async def until(name: str, text: str) -> None:
            while not (tmp_path / name).exists() or (tmp_path / name).read_text() != text:  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)

        await until("viewers", "")
        client.put_secret_value(SecretId=arn, SecretString=json.dumps({"keys": KEYS, "viewers": "ann:secret\n"}))
        await until("viewers", "ann:secret\n")
        client.put_secret_value(SecretId=arn, SecretString=json.dumps({"keys": "bad", "viewers": ""}))
        client.put_secret_value(SecretId=arn, SecretString=json.dumps({"keys": KEYS, "viewers": "bob:secret\n"}))
        await until("viewers", "bob:secret\n")
        stop.set()
        await task

    assert (tmp_path / "keys").read_text() == KEYS
    assert sorted(os.listdir(tmp_path)) == sorted(FILES)  # noqa: PTH208 - pathlib's way is refused in coroutines


def test_without_a_name_of_a_secret_it_says_which_variable(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.secret_files", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})  # noqa: S603 - our own module

    assert done.returncode == 2
    assert "WATCHTIME_GATEWAY_SECRET" in done.stderr
