"""One path for every call to Vipps: token, headers, deadline, error kinds."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from app.domain.errors import Misconfigured, Unavailable
from app.domain.provider import AccessToken
from app.vipps.errors import from_answer, from_transport, read_complaint

_EARLY = timedelta(seconds=60)  # renew before Vipps' clock says so


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one merchant account identifies itself with; the values never reach a log or an error."""

    msn: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)


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


class _TokenAnswer(BaseModel):
    """Documented as strings, seen as numbers (facts: VIPPS 2.2): pydantic reads both."""

    access_token: str
    expires_in: int


class TokenSource:
    """The account's access token: fetched once for all who wait, kept until shortly before it ends."""

    def __init__(self, client: httpx.AsyncClient, base_url: str, credentials: Credentials, deadline: float) -> None:
        self._client = client
        self._url = base_url + "/accesstoken/get"
        self._credentials = credentials
        self._deadline = deadline
        self._lock = asyncio.Lock()
        self._token: AccessToken | None = None

    async def get(self, now: datetime, *, instead_of: str | None = None) -> AccessToken:
        """The current token, or a new one where there is none, it ends, or it is the one that was just refused."""
        async with self._lock:
            token = self._token
            if token is None or token.expires_at - _EARLY <= now or token.value == instead_of:
                token = self._token = await self._fetch(now)
            return token

    async def renew(self, now: datetime) -> AccessToken:
        async with self._lock:
            self._token = await self._fetch(now)
            return self._token

    async def _fetch(self, now: datetime) -> AccessToken:
        headers = {
            "client_id": self._credentials.client_id,
            "client_secret": self._credentials.client_secret,
            "Ocp-Apim-Subscription-Key": self._credentials.subscription_key,
        }
        try:
            async with asyncio.timeout(self._deadline):
                # Without a token nothing of the real request is sent, so a failure here is never an unknown outcome.
                response = await self._client.post(self._url, headers=headers)
        except (httpx.TransportError, TimeoutError) as error:
            raise from_transport(error, write=False) from error
        if response.status_code in {400, 401, 403}:
            complaint = read_complaint(response.content)
            raise Misconfigured(
                f"Vipps refuses the account's credentials ({response.status_code}: {complaint.message or 'no reason'});"
                " check client id, client secret and subscription key, and that all are for this environment",
                status=response.status_code,
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


class _BearerAuth(httpx.Auth):
    """Adds the token, and on a 401 asks once for another: it may have been revoked before its time."""

    def __init__(self, tokens: TokenSource, now: datetime) -> None:
        self._tokens = tokens
        self._now = now

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await self._tokens.get(self._now)
        request.headers["Authorization"] = f"Bearer {token.value}"
        response = yield request
        if response.status_code == 401:  # noqa: PLR2004
            token = await self._tokens.get(self._now, instead_of=token.value)
            request.headers["Authorization"] = f"Bearer {token.value}"
            yield request


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
        self.tokens = TokenSource(client, self._base, credentials, deadline)
        self._headers = system.headers() | {
            "Ocp-Apim-Subscription-Key": credentials.subscription_key,
            "Merchant-Serial-Number": credentials.msn,
            "Accept": "application/json",
        }

    async def read(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        return await self._send("GET", path, params=params, write=False)

    async def write(self, method: str, path: str, *, key: str | None, body: Mapping[str, Any] | None = None) -> bytes:
        """`key` is the stored idempotency key; the same body gives the same bytes on every repeat."""
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._send(method, path, key=key, content=content, write=True)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        write: bool,
        params: Mapping[str, str] | None = None,
        key: str | None = None,
        content: bytes | None = None,
    ) -> bytes:
        now = self._clock()
        headers = dict(self._headers)
        if key is not None:
            headers["Idempotency-Key"] = key
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._client.request(
                    method,
                    self._base + path,
                    headers=headers,
                    params=params,
                    content=content,
                    auth=_BearerAuth(self.tokens, now),
                )
        except (httpx.TransportError, TimeoutError) as error:
            raise from_transport(error, write=write) from error
        if not response.is_success:
            raise from_answer(response, write=write, now=now)
        return response.content
