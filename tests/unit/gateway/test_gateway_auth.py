"""Tokens, keys, enrolment and what a token's install means."""

from __future__ import annotations

import base64
import datetime
import os
import stat

import pytest

from gateway import keyring
from gateway.addresses import Proxies, client_address
from gateway.keyring import Keyring, KeyringError, new_key
from gateway.lists import entries, revoke
from gateway.settings import Settings
from gateway.tokens import Key, TokenError, sign, verify
from gateway.watched_file import WatchedFile
from streams.contract import topics
from tests.unit.gateway.running import VALID, Gateway

OLD, NEW = Key("old", b"o" * 32), Key("new", b"n" * 32)
BOTH = Keyring([NEW, OLD])


def test_a_token_of_either_live_key_is_taken_until_it_expires():
    for key in (OLD, NEW):
        token = sign(key, "i-1", 1_000)

        assert verify(token, BOTH.secrets, 999.9) == "i-1"
        with pytest.raises(TokenError, match="expired"):
            verify(token, BOTH.secrets, 1_000)


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token.replace(".i-1.", ".i-2."),
        lambda token: token.replace(".1000.", ".9999."),
        lambda token: token.replace(".new.", ".old."),
        lambda token: token.replace(".new.", ".gone."),
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:-43],
        lambda token: token + "\n",
        lambda token: token.replace("wt1", "wt2"),
        lambda _: sign(Key("gone", bytes(32)), "i-1", 1_000),  # what stands in for a missing key is no key
        lambda _: sign(Key("new", bytes(32)), "i-1", 1_000),
        lambda _: "",
        lambda _: "a.b.c.d.e",
        lambda _: "wt1.new.i-\udcff.1000." + "A" * 43,
    ],
)
def test_what_no_key_has_signed_is_refused(forge):
    with pytest.raises(TokenError):
        verify(forge(sign(NEW, "i-1", 1_000)), BOTH.secrets, 0)


def test_a_remembered_token_expires_all_the_same():
    ring = Keyring([NEW, OLD])
    token = f"Bearer {sign(OLD, 'i-1', 1_000)}"

    assert [ring.verifier.install_of(token, now_s) for now_s in (5, 999)] == ["i-1", "i-1"]
    with pytest.raises(TokenError, match="expired"):
        ring.verifier.install_of(token, 1_000)
    with pytest.raises(TokenError):
        ring.verifier.install_of(token + "x", 5)
    with pytest.raises(TokenError):
        Keyring([NEW]).verifier.install_of(token, 5)


def test_a_keyring_file_is_made_and_rotated(tmp_path, capsys):
    path = tmp_path / "keys"

    assert keyring.main([str(path)]) == 0
    first = Keyring.parse(path.read_text())
    token = sign(first.signing, "i-1", 10)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keyring.main([str(path)]) == 0
    second = Keyring.parse(path.read_text())
    assert second.signing != first.signing
    assert verify(token, second.secrets, 0) == "i-1"
    assert keyring.main([str(path)]) == 0
    with pytest.raises(TokenError):
        verify(token, Keyring.parse(path.read_text()).secrets, 0)
    assert base64.b64encode(second.signing.secret).decode() not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "id\n",
        "id short\n",
        "i/d " + "A" * 44,
        BOTH.render() * 2,
        "a !!!!",
        NEW.key_id + " " + "A" * 43,
    ],
)
def test_a_broken_keyring_is_refused_without_telling_secrets(text):
    with pytest.raises(KeyringError) as caught:
        Keyring.parse(text)

    assert "A" * 40 not in str(caught.value)


def test_a_new_key_is_long_and_new():
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    assert len(new_key(now).secret) == 32
    assert new_key(now).secret != new_key(now).secret


def test_revoking_adds_a_line_once(tmp_path):
    path = tmp_path / "folder" / "revoked"

    assert revoke(path, "i-1")
    assert not revoke(path, "i-1")
    assert revoke(path, "i-2")
    assert entries(path.read_text()) == {"i-1", "i-2"}


def test_a_file_counts_when_it_changes_and_the_last_good_one_when_it_is_broken(tmp_path):
    path = tmp_path / "keys"
    path.write_text(Keyring([OLD]).render())
    file = WatchedFile(path, Keyring.parse)

    path.write_text(BOTH.render())
    file.refresh()
    assert file.value.signing == NEW
    path.write_text("nonsense")
    file.refresh()
    assert file.value.signing == NEW
    path.unlink()
    file.refresh()
    assert file.value.signing == NEW


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9", ["1.1.1.1"], "9.9.9.9"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["forged, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["forged", "1.1.1.1 , 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.1.7.7", ["forged, 1.1.1.1"], "1.1.1.1"),
        ("10.2.0.1", ["1.1.1.1"], "10.2.0.1"),
        ("no address", ["1.1.1.1"], "no address"),
    ],
)
def test_only_trusted_proxies_are_believed(peer, forwarded, address):
    assert address == client_address(peer, forwarded, Proxies(["10.0.0.1", "10.0.0.2", "10.1.0.0/16"]))


@pytest.fixture
def files(tmp_path):
    """Settings of a gateway that asks for tokens."""
    (tmp_path / "keys").write_text(BOTH.render())
    (tmp_path / "invites").write_text("welcome\n")
    names = {"keys_file": "keys", "invites_file": "invites", "revoked_file": "revoked"}
    return {"auth": True} | {field: tmp_path / name for field, name in names.items()}


async def enrol(gateway: Gateway, body: object, **headers: str) -> tuple[int, dict]:
    async with gateway.session.post(f"{gateway.url}/enroll", json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_with_a_token_the_client_is_its_install(start_gateway, files):
    gateway = await start_gateway(**files)
    status, given = await enrol(gateway, {"invite": "welcome"})
    assert status == 200
    bearer = {"Authorization": f"Bearer {given['token']}"}
    victim = VALID | {"client_session_id": "victim", "client_id": "victim"}

    status, answer = await gateway.post({"events": [victim, VALID, {"client_session_id": "victim"}]}, **bearer)

    assert (status, answer["accepted"], answer["rejected"]) == (200, 2, 1)
    assert {given["install"].encode()} == {record.key for record in gateway.publisher.records}
    assert [given["install"]] * 2 == [line["client_id"] for line in gateway.lines()]
    assert len(gateway.records(topics.EVENTS)) == 1


async def test_a_renewed_token_keeps_its_install(start_gateway, files):
    gateway = await start_gateway(**files)
    _, first = await enrol(gateway, {"invite": "welcome"})

    status, second = await enrol(gateway, {}, Authorization=f"Bearer {first['token']}")

    assert (status, second["install"]) == (200, first["install"])
    assert (await enrol(gateway, {"invite": "welcome"}))[1]["install"] != first["install"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic eA==", "Bearer " + sign(OLD, "i-1", 1)])
async def test_without_a_good_token_nothing_is_taken(start_gateway, files, header):
    gateway = await start_gateway(**files)
    headers = {} if header is None else {"Authorization": header}

    status, answer = await gateway.post(b"x" * 600_000, Content_Type="text/plain", **headers)

    assert (status, answer["ok"]) == (401, False)
    assert gateway.publisher.records == []
    assert gateway.metric("watchtime_gateway_refusals_total", reason="token") == 1


async def test_a_revoked_install_is_refused_at_once_and_for_enrolment_too(start_gateway, files):
    gateway = await start_gateway(**files)
    bearer = {"Authorization": f"Bearer {sign(NEW, 'i-1', 2**36)}"}
    assert (await gateway.post(VALID, **bearer))[0] == 200

    revoke(files["revoked_file"], "i-1")
    gateway.access.refresh()

    assert (await gateway.post(VALID, **bearer))[0] == 401
    assert (await enrol(gateway, {"invite": "welcome"}, **bearer))[0] == 401


async def test_keys_change_while_the_gateway_runs(start_gateway, files):
    gateway = await start_gateway(**files)
    bearer = {"Authorization": f"Bearer {sign(OLD, 'i-1', 2**36)}"}
    assert (await gateway.post(VALID, **bearer))[0] == 200

    files["keys_file"].write_text(Keyring([NEW]).render())
    os.utime(files["keys_file"], ns=(1, 1))
    gateway.access.refresh()

    assert (await gateway.post(VALID, **bearer))[0] == 401


@pytest.mark.parametrize(
    ("how", "body", "status"),
    [
        ("invite", {"invite": "welcome"}, 200),
        ("invite", {"invite": "Welcome"}, 403),
        ("invite", {"invite": "\u00fc\u2028"}, 403),
        ("invite", {}, 403),
        ("invite", {"invite": 5}, 400),
        ("invite", ["welcome"], 400),
        ("invite", {"invite": "x" * 5_000}, 413),
        ("open", {}, 200),
        ("closed", {"invite": "welcome"}, 403),
    ],
)
async def test_who_may_enrol(start_gateway, files, how, body, status):
    gateway = await start_gateway(**files, enroll=how)

    assert status == (await enrol(gateway, body))[0]


async def test_enrolment_is_limited_per_address(start_gateway, files):
    gateway = await start_gateway(**files, enroll_per_hour=2)

    assert [(await enrol(gateway, {"invite": "guess"}))[0] for _ in range(3)] == [403, 403, 429]


async def test_an_open_gateway_gives_no_tokens(gateway: Gateway):
    assert (await enrol(gateway, {}))[0] == 404


async def test_enrolment_wants_json(start_gateway, files):
    gateway = await start_gateway(**files)

    async with gateway.session.post(f"{gateway.url}/enroll", data=b'{"invite":"welcome"}') as response:
        assert response.status == 415


def test_tokens_allow_a_public_address(files):
    assert Settings(host="0.0.0.0", **files).auth  # noqa: S104 - the point of the test
