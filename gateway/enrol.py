"""POST /enroll: a token for one install, or a fresh one for an install that already has a good one."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from typing import Final

import orjson
from aiohttp import web

from gateway.access import Access
from gateway.answers import JsonAnswer, Refusal
from gateway.buckets import Buckets
from gateway.ingest import demand_json
from gateway.settings import Settings
from gateway.tokens import sign

MAX_BODY_BYTES: Final = 4_096
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


class Enrolment:
    """The handler of POST /enroll."""

    def __init__(self, settings: Settings, access: Access) -> None:
        self._how = settings.enroll
        self._access = access
        self._life_s = settings.token_days * _DAY_S
        self._body_timeout_s = settings.body_timeout_s
        self._buckets = Buckets(settings.enroll_per_hour / _HOUR_S, settings.enroll_per_hour)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; a Refusal is raised, its answer made elsewhere."""
        if not self._access.auth:
            raise Refusal(404, "This gateway is open: it takes events without a token", "open")
        # Who holds a good token needs no invitation: the install stays the same.
        install = self._access.install_of(request) if "Authorization" in request.headers else None
        demand_json(request)
        if wait_s := self._buckets.take(self._access.address_of(request), time.monotonic()):
            after = {"Retry-After": str(math.ceil(wait_s))}
            raise Refusal(429, "Too many enrolments from this address; come back later", "rate_enrol", after)
        invite = _invite(await self._read(request))
        if install is None:
            self._admit(invite)
            install = f"i-{secrets.token_urlsafe(16)}"
        expires_s = int(time.time()) + self._life_s
        token = sign(self._access.keyring.signing, install, expires_s)
        answer = {"ok": True, "install": install, "token": token, "expires_ts": expires_s * 1_000}
        return JsonAnswer(200, orjson.dumps(answer), {"Cache-Control": "no-store"})

    def _admit(self, invite: str) -> None:
        if self._how == "closed":
            raise Refusal(403, "This gateway enrols nobody at present", "enrol")
        if self._how == "invite" and not self._access.invited(invite):
            raise Refusal(403, "The invite code is missing or not known", "enrol")

    async def _read(self, request: web.Request) -> bytes:
        body = b""
        try:
            async with asyncio.timeout(self._body_timeout_s):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise Refusal(413, f"Body too large: at most {MAX_BODY_BYTES} bytes", "body_bytes")
        except TimeoutError as error:
            raise Refusal(408, "The body did not arrive in time", "body_time") from error
        return body


def _invite(body: bytes) -> str:
    try:
        wish = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "Invalid JSON", "json") from error
    if not isinstance(wish, dict) or not isinstance(wish.get("invite", ""), str):
        raise Refusal(400, 'The body must be an object, such as {"invite": "code"}', "json")
    return str(wish.get("invite", ""))
