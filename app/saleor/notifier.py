"""The shop's own endpoint for notices: a signed POST, which its e-mail app turns into words for the customer."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime

import aiohttp
import httpx

from app.domain.account import Account
from app.domain.errors import (
    Forbidden,
    InvalidInput,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Rejected,
    Unavailable,
)
from app.domain.notice import Notice
from app.saleor.network import check_endpoint

SIGNATURE_HEADER = "Vipps-Recurring-Signature"

_FOR_NOW = frozenset({408, 425, 429})
_CLIENT_ERRORS = range(400, 500)


class WebhookNotifier:
    """A notice may arrive twice, after a lost answer: the endpoint tells repeats by its id."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: Callable[[], datetime],
        *,
        allow_private: bool = False,
        deadline: float = 10.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._allow_private = allow_private
        self._deadline = deadline

    async def send(self, account: Account, notice: Notice) -> None:
        url, secret = self._endpoint(account)
        body = body_of(notice)
        headers = {
            "Content-Type": "application/json",
            SIGNATURE_HEADER: signature(secret, int(self._clock().timestamp()), body),
        }
        try:
            async with asyncio.timeout(self._deadline):
                request = self._client.build_request("POST", url, content=body, headers=headers)
                # What it says is of no interest, and could be endless: only its status is read.
                response = await self._client.send(request, stream=True, follow_redirects=False)
                await response.aclose()
        except (httpx.InvalidURL, ValueError) as error:
            raise Misconfigured("the endpoint for notices is no address that can be called") from error
        except (httpx.RequestError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OutcomeUnknown(f"the endpoint for notices did not answer ({type(error).__name__})") from error
        if not response.is_success:
            raise _failure(response.status_code)

    def _endpoint(self, account: Account) -> tuple[str, str]:
        if account.notify_url is None or not account.notify_secret:
            raise Misconfigured("the merchant account has no endpoint for notices, or no secret to sign them with")
        try:
            check_endpoint(account.notify_url, allow_private=self._allow_private)
        except (InvalidInput, Forbidden) as error:
            raise Misconfigured(f"the endpoint for notices is not called: {error.message}") from error
        return account.notify_url, account.notify_secret


def body_of(notice: Notice) -> bytes:
    """What is signed and sent; the data are ids, amounts and links."""
    data = dict(notice.data)
    content = {
        "id": notice.id,
        "kind": notice.kind.value,
        "subscription": notice.subscription_id,
        "agreement": data.pop("agreement", None),
        "data": data,
        "createdAt": notice.created_at.isoformat(),
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, at: int, body: bytes) -> str:
    """Over the time as well, so that the endpoint can turn away what is old."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _failure(status: int) -> ProviderError:
    text = f"the endpoint for notices answered {status}"
    if status in _CLIENT_ERRORS and status not in _FOR_NOW:
        return Rejected(text, status=status)
    return Unavailable(text, status=status)
