"""Ids of requests: given by a proxy or made here, in answers and in what is logged."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import structlog

from gateway.request_ids import HEADER
from streams.logs import configure_logs
from tests.unit.gateway.running import VALID, Gateway

OURS = re.compile(r"[0-9a-f]{12}-[0-9]+")


async def id_of(gateway: Gateway, given: str | None, path: str = "/health") -> str:
    async with gateway.session.get(f"{gateway.url}{path}", headers={HEADER: given} if given else {}) as response:
        return response.headers[HEADER]


async def test_every_answer_has_one(gateway: Gateway):
    found = [
        await id_of(gateway, None, path) for path in ("/health", "/nowhere", "/api/daily?limit=x", "/page/live.js")
    ]

    assert all(OURS.fullmatch(one) for one in found)
    assert len(set(found)) == 4
    gateway.reader.caught_up.set()
    async with gateway.session.get(f"{gateway.url}/live", headers={HEADER: "a-viewer"}) as response:
        assert response.headers[HEADER] == "a-viewer"


async def test_a_good_one_is_kept(gateway: Gateway):
    assert await id_of(gateway, "01HV-a.b_c") == "01HV-a.b_c"
    assert await id_of(gateway, "x" * 64) == "x" * 64


@pytest.mark.parametrize("given", ["x" * 65, "a b", "a\tb", "anna@example.org", "é", '"', "{}", "a/b"])
async def test_any_other_is_not(gateway: Gateway, given):
    assert OURS.fullmatch(await id_of(gateway, given))


async def test_lines_of_a_request_carry_it(start_gateway, capfd, monkeypatch):
    """Lines of the gateway and of libraries, also from a request that fails in an unexpected way."""
    structlog.reset_defaults()
    configure_logs({})
    try:
        gateway = await start_gateway(access_log=True)

        async def fail(_: object) -> None:
            structlog.get_logger("gateway").warning("within")
            raise RuntimeError("of the test")

        monkeypatch.setattr(gateway.publisher, "publish", fail)
        assert (await gateway.post(VALID, X_Request_Id="first"))[0] == 500
        assert (await gateway.post(VALID | {"schema": 2}, X_Request_Id="second"))[0] == 500
        await id_of(gateway, "third", "/secret-path?secret-query")
        async with gateway.session.request("PROPFIND", f"{gateway.url}/health", headers={HEADER: "fourth"}):
            pass
    finally:
        structlog.reset_defaults()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["event"], line["request_id"]) for line in lines] == [
        *((event, number) for number in ("first", "second") for event in ("within", "unexpected error", "request")),
        ("request", "third"),
        ("request", "fourth"),
    ]
    assert {name: lines[2][name] for name in ("method", "route", "status")} == {
        "method": "POST",
        "route": "/ingest",
        "status": 500,
    }
    assert [(line["method"], line["route"], line["status"]) for line in lines[-2:]] == [
        ("GET", "none", 404),
        ("other", "none", 405),
    ]
    assert "secret" not in str(lines).lower()


def test_the_contexts_of_two_requests_do_not_mix():
    """A line that is logged outside of any request carries none."""
    code = (
        "from streams.logs import configure_logs; configure_logs({}); import structlog, contextvars;"
        "from gateway.request_ids import RequestIds;"
        "contextvars.copy_context().run(RequestIds().begin, 'one'); structlog.get_logger('x').info('outside')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert "request_id" not in json.loads(done.stderr)
