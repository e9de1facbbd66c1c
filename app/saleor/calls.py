"""The one way to a shop's API: the app's token, a deadline, a ceiling and the four kinds of failure."""

import asyncio
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import aiohttp
import httpx

from app.domain.account import Installation
from app.domain.errors import InvalidInput, Misconfigured, OutcomeUnknown, Rejected, Unavailable
from app.saleor.documents import document

_MAX_ANSWER = 5_000_000
_LOST_BEHIND_A_GATEWAY = frozenset({502, 504})  # the shop itself may have done it
_DENIED = frozenset({"PermissionDenied", "JWTError", "InvalidTokenError", "ExpiredSignatureError"})

Found = dict[str, Any]
T = TypeVar("T")


class SaleorCalls:
    """`deadline` is the longest one call may take, in seconds."""

    def __init__(self, client: httpx.AsyncClient, *, deadline: float = 20.0) -> None:
        self._client = client
        self._deadline = deadline

    async def _ask(self, installation: Installation, name: str, variables: Mapping[str, Any]) -> Found:
        return await self._query(installation.shop, token_of(installation), name, variables)

    async def _change(
        self,
        installation: Installation,
        name: str,
        field: str,
        variables: Mapping[str, Any],
        done: frozenset[str] = frozenset(),
    ) -> Found:
        """The answer of the one mutation `field` in the document. Raises Rejected with Saleor's code of its error.

        The codes in `done` say that what was asked for is so already.
        """
        data = await self._query(installation.shop, token_of(installation), name, variables, write=True)
        answer = object_of(data.get(field))
        errors = answer.get("errors")
        if not isinstance(errors, list):
            raise Unavailable(f"Saleor's answer to {field} cannot be read")
        codes = [str(error.get("code")) for error in errors if isinstance(error, dict)]
        if codes and not set(codes) <= done:
            raise Rejected(f"Saleor refuses {field}: {texts_of(errors)}", provider_code=codes[0])
        return answer

    async def _query(
        self, shop: str, token: str, name: str, variables: Mapping[str, Any], *, write: bool = False
    ) -> Found:
        body = {"query": document(name), "variables": variables}
        headers = {"Authorization": f"Bearer {token}"}
        content = await self._send("POST", shop, body=body, headers=headers, write=write)
        try:
            # Money comes as JSON numbers; a float must never touch it.
            answer = json.loads(content, parse_float=Decimal)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable("the shop's answer cannot be read")
        errors = answer.get("errors")
        if errors:
            codes = [_code(error) for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
            if not _DENIED.isdisjoint(codes):
                raise Misconfigured(f"Saleor denies the app this: {texts_of(errors)}; install the app again")
            code = codes[0] if codes else None
            raise Unavailable(f"Saleor answered with errors: {texts_of(errors)}", provider_code=code)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def _send(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool = False,
        ceiling: int = _MAX_ANSWER,
    ) -> bytes:
        # A packed answer could unpack to gigabytes: it is not asked for, and not unpacked if it comes.
        plain = {"Accept-Encoding": "identity"} | dict(headers or {})
        try:
            async with asyncio.timeout(self._deadline):
                request = self._client.build_request(method, url, json=body, headers=plain)
                response = await self._client.send(request, stream=True, follow_redirects=False)
                try:
                    content = await _at_most(response, ceiling)
                finally:
                    await response.aclose()
        except (httpx.InvalidURL, ValueError) as error:
            raise Unavailable("the shop's address or token is not one that can be sent") from error
        except (httpx.RequestError, aiohttp.ClientError, TimeoutError, OSError) as error:
            text = f"the shop did not answer ({type(error).__name__})"
            raise (OutcomeUnknown(text) if write else Unavailable(text)) from error
        if response.status_code in {401, 403}:
            raise Misconfigured(f"the shop refuses the app's token ({response.status_code}); install the app again")
        if not response.is_success:
            lost = write and response.status_code in _LOST_BEHIND_A_GATEWAY
            kind = OutcomeUnknown if lost else Unavailable
            raise kind(f"the shop answered {response.status_code}", status=response.status_code)
        return content


async def _at_most(response: httpx.Response, ceiling: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Unavailable("the shop packs its answers although it was asked not to")
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > ceiling:
            raise Unavailable("the shop's answer is too long")
    return bytes(content)


def object_of(value: object) -> Found:
    return value if isinstance(value, dict) else {}


def token_of(installation: Installation) -> str:
    if installation.token is None:
        raise Misconfigured("the app is no longer installed in this shop")
    return installation.token


def _code(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    exception = extensions.get("exception") if isinstance(extensions, dict) else None
    return str(exception.get("code", "")) if isinstance(exception, dict) else ""


def texts_of(errors: object) -> str:
    items = errors if isinstance(errors, list) else []
    return "; ".join(str(it.get("message", ""))[:200] for it in items if isinstance(it, dict)) or "no reason given"


def read(reader: Callable[[Found], T], found: object, what: str) -> T:
    """What `reader` makes of it; an answer of another shape than ours is as good as none."""
    try:
        return reader(object_of(found))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInput) as error:
        raise Unavailable(f"{what} cannot be read") from error
