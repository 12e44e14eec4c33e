"""What `watchtime forget` says of the client's token: that it is refused now, or why there is none to refuse."""

from __future__ import annotations

import pytest

from deploy.errors import DeployError
from deploy.forget import revoke_token


def test_the_token_is_refused_once(tmp_path, monkeypatch):
    file = tmp_path / "revoked"
    monkeypatch.setenv("GATEWAY_AUTH", "on")
    monkeypatch.setenv("GATEWAY_REVOKED_FILE", str(file))

    assert revoke_token("i-1") == f"token revoked in {file}"
    assert revoke_token("i-1") == f"token was revoked before in {file}"
    assert file.read_text().split() == ["i-1"]


def test_a_gateway_that_demands_tokens_is_not_left_with_a_good_one(monkeypatch):
    monkeypatch.setenv("GATEWAY_AUTH", "on")
    monkeypatch.delenv("GATEWAY_REVOKED_FILE", raising=False)

    with pytest.raises(DeployError, match="i-1's would go on being good: set GATEWAY_REVOKED_FILE"):
        revoke_token("i-1")


def test_that_no_token_was_revoked_is_said(monkeypatch):
    monkeypatch.delenv("GATEWAY_AUTH", raising=False)
    monkeypatch.delenv("GATEWAY_REVOKED_FILE", raising=False)

    assert revoke_token("i-1").startswith("no token revoked: GATEWAY_REVOKED_FILE is not set here")
