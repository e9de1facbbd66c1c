"""One path for every call to Vipps: token, headers, deadline, error kinds, and the log."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import httpx
from pydantic import BaseModel, Field, ValidationError

from app.domain.errors import Misconfigured, Unavailable
from app.domain.provider import AccessToken
from app.vipps.calls import CallLog, Request, describe, no_log
from app.vipps.errors import from_answer, from_transport, read_complaint

# What a call may end with instead of an answer; the transport does not translate all of its own errors.
_BROKEN = (httpx.RequestError, aiohttp.ClientError, TimeoutError)
_EARLY = timedelta(seconds=60)  # renew before Vipps' clock says so


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one merchant account identifies itself with; the values never reach a log or an error."""

    msn: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)

    def require_sendable(self) -> None:
        """HTTP headers carry printable ASCII; whatever else was pasted would fail with the secret in the error."""
        for name in ("msn", "client_id", "client_secret", "subscription_key"):
            value = getattr(self, name)
            if not value or not value.isascii() or not value.isprintable() or " " in value:
                raise Misconfigured(
                    f"the account's {name.replace('_', ' ')} holds characters that no key has; set it again"
                )


@dataclass(frozen=True, slots=True)
class SystemNames:
    """The four Vipps-System headers, each at most 30 characters (facts: VIPPS 3)."""

    name: str = "saleor"
    version: str = "3"
    plugin_name: str = "vipps-recurring-saleor"
    plugin_version: str = "0"

    def headers(self) -> dict[str, str]:
        return {
            "Vipps-System-Name": self.name[:30],
            "Vipps-System-Version": self.version[:30],
            "Vipps-System-Plugin-Name": self.plugin_name[:30],
            "Vipps-System-Plugin-Version": self.plugin_version[:30],
        }


def _common_headers(credentials: Credentials, system: SystemNames) -> dict[str, str]:
    """Sent with every call, that for the token included (facts: VIPPS 3, 15.3)."""
    return system.headers() | {
        "Ocp-Apim-Subscription-Key": credentials.subscription_key,
        "Merchant-Serial-Number": credentials.msn,
        "Accept": "application/json",
    }


class _TokenAnswer(BaseModel):
    """Documented as strings, seen as numbers (facts: VIPPS 2.2): pydantic reads both."""

    access_token: str = Field(min_length=1)
    expires_in: int = Field(ge=0, le=10_000_000)


class _Line:
    """The connection itself: the deadline, what a missing answer means, and the log of calls."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        *,
        clock: Callable[[], datetime],
        deadline: float,
        log: CallLog,
    ) -> None:
        self._client = client
        self._base = base
        self._clock = clock
        self._deadline = deadline
        self._log = log

    async def send(self, request: Request, headers: Mapping[str, str]) -> httpx.Response:
        at, began = self._clock(), time.perf_counter()
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._client.request(
                    request.method,
                    self._base + request.path,
                    headers=headers,
                    params=request.params,
                    content=request.content,
                )
        except _BROKEN as error:
            raise from_transport(error, write=request.write) from error
        finally:
            # Also where the caller was called off: what was sent may have been heard.
            if request.write or response is None or not response.is_success:
                milliseconds = round((time.perf_counter() - began) * 1000)
                self._log(describe(request, at, milliseconds, response))
        return response


class TokenSource:
    """The account's access token: fetched once for all who wait, kept until shortly before it ends."""

    def __init__(self, line: _Line, credentials: Credentials, system: SystemNames) -> None:
        self._line = line
        self._credentials = credentials
        self._headers = _common_headers(credentials, system) | {
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        self._token: AccessToken | None = None
        self._fetching: asyncio.Future[AccessToken] | None = None

    async def get(self, now: datetime, *, instead_of: str | None = None) -> AccessToken:
        """The current token, or a new one where there is none, it ends, or it is the one that was just refused."""
        token = self._token
        if token is not None and token.expires_at - _EARLY > now and token.value != instead_of:
            return token
        return await self.renew(now)

    async def renew(self, now: datetime) -> AccessToken:
        """Whoever comes while a token is being fetched shares what becomes of it, be it a failure."""
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch(now))
            self._fetching.add_done_callback(self._fetched)
        return await asyncio.shield(self._fetching)

    def _fetched(self, future: asyncio.Future[AccessToken]) -> None:
        self._fetching = None
        if not future.cancelled() and future.exception() is None:
            self._token = future.result()

    async def _fetch(self, now: datetime) -> AccessToken:
        """Nothing of the real request is sent before there is a token, so no failure here leaves an outcome open."""
        self._credentials.require_sendable()
        response = await self._line.send(_TOKEN_REQUEST, self._headers)
        status = response.status_code
        if 400 <= status < 500 and status not in {408, 429}:  # noqa: PLR2004
            complaint = read_complaint(response.content)
            raise Misconfigured(
                f"Vipps refuses the account's credentials ({status}: {complaint.message or 'no reason given'}); check "
                "client id, client secret and subscription key, and that all are for this environment",
                status=status,
                provider_code=complaint.code,
                context_id=complaint.context_id,
            )
        if not response.is_success:
            raise from_answer(response, write=False, now=now)
        try:
            answer = _TokenAnswer.model_validate_json(response.content)
        except ValidationError:
            raise Unavailable("Vipps' token answer cannot be read") from None
        return AccessToken(answer.access_token, now + timedelta(seconds=answer.expires_in))


# Not a write: it changes nothing, and whatever becomes of it is shown without its bodies.
_TOKEN_REQUEST = Request("getAccessToken", "POST", "/accesstoken/get", write=False, bodies=False)


class VippsHttp:
    """All calls of one merchant account. `deadline` is the longest one call may take, in seconds.

    `log` hears of every write and of each read that failed, once per exchange. It must be quick and must not raise.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        credentials: Credentials,
        system: SystemNames,
        *,
        clock: Callable[[], datetime],
        deadline: float = 25.0,
        log: CallLog = no_log,
    ) -> None:
        self._clock = clock
        self._headers = _common_headers(credentials, system)
        self._line = _Line(client, base_url.rstrip("/"), clock=clock, deadline=deadline, log=log)
        self.tokens = TokenSource(self._line, credentials, system)

    async def read(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        operation: str,
        agreement_id: str | None = None,
        charge_id: str | None = None,
    ) -> bytes:
        request = Request(operation, "GET", path, params=params, agreement_id=agreement_id, charge_id=charge_id)
        return (await self._send(request)).content

    async def write(
        self,
        method: str,
        path: str,
        *,
        operation: str,
        key: str | None,
        body: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        agreement_id: str | None = None,
        charge_id: str | None = None,
        summary: str | None = None,
    ) -> httpx.Response:
        """`key` is the stored idempotency key; the same body gives the same bytes on every repeat.

        `summary` takes the body's place in the log where that would be long. Only a success is answered.
        """
        request = Request(
            operation,
            method,
            path,
            write=True,
            key=key,
            content=None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            agreement_id=agreement_id,
            charge_id=charge_id,
            summary=summary,
        )
        return await self._send(request)

    async def _send(self, request: Request) -> httpx.Response:
        now = self._clock()
        token = await self.tokens.get(now)
        response = await self._line.send(request, self._headers_of(request, token))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            # A token may be revoked before its time: ask once for another.
            token = await self.tokens.get(now, instead_of=token.value)
            response = await self._line.send(request, self._headers_of(request, token))
        if not response.is_success:
            raise from_answer(response, write=request.write, now=now)
        return response

    def _headers_of(self, request: Request, token: AccessToken) -> dict[str, str]:
        headers = self._headers | {"Authorization": f"Bearer {token.value}"}
        if request.key is not None:
            headers["Idempotency-Key"] = request.key
        if request.content is not None:
            headers["Content-Type"] = "application/json"
        return headers
