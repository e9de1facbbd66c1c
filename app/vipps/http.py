"""One path for every call to Vipps: token, headers, deadline, error kinds."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import httpx
from pydantic import BaseModel, Field, ValidationError

from app.domain.errors import Misconfigured, Unavailable
from app.domain.provider import AccessToken
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


class TokenSource:
    """The account's access token: fetched once for all who wait, kept until shortly before it ends."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, credentials: Credentials, system: SystemNames, deadline: float
    ) -> None:
        self._client = client
        self._url = base_url + "/accesstoken/get"
        self._credentials = credentials
        self._headers = _common_headers(credentials, system) | {
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        self._deadline = deadline
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
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._client.post(self._url, headers=self._headers)
        except _BROKEN as error:
            raise from_transport(error, write=False) from error
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


class VippsHttp:
    """All calls of one merchant account. `deadline` is the longest one call may take, in seconds."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base_url: str,
        credentials: Credentials,
        system: SystemNames,
        *,
        clock: Callable[[], datetime],
        deadline: float = 25.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._base = base_url.rstrip("/")
        self._deadline = deadline
        self._headers = _common_headers(credentials, system)
        self.tokens = TokenSource(client, self._base, credentials, system, deadline)

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        return await self._send(_Call("GET", path, params=params, write=False))

    async def write(self, method: str, path: str, *, key: str | None, body: Mapping[str, Any] | None = None) -> bytes:
        """`key` is the stored idempotency key; the same body gives the same bytes on every repeat."""
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._send(_Call(method, path, key=key, content=content, write=True))

    async def _send(self, call: "_Call") -> bytes:
        now = self._clock()
        token = await self.tokens.get(now)
        response = await self._request(call, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            # A token may be revoked before its time: ask once for another.
            token = await self.tokens.get(now, instead_of=token.value)
            response = await self._request(call, token)
        if not response.is_success:
            raise from_answer(response, write=call.write, now=now)
        return response.content

    async def _request(self, call: "_Call", token: AccessToken) -> httpx.Response:
        headers = self._headers | {"Authorization": f"Bearer {token.value}"}
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        if call.content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(self._deadline):
                return await self._client.request(
                    call.method, self._base + call.path, headers=headers, params=call.params, content=call.content
                )
        except _BROKEN as error:
            raise from_transport(error, write=call.write) from error


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    write: bool
    params: Mapping[str, str] | None = None
    key: str | None = None
    content: bytes | None = None
