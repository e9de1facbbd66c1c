"""Calls to a shop's API: one path for all, with the app's token, a deadline and the four kinds of failure."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx

from app.domain.account import Installation
from app.domain.errors import InvalidInput, Misconfigured, OutcomeUnknown, Unavailable
from app.domain.money import Money, currency_of
from app.domain.order import AGREEMENT_KEY, Order, OrderReport
from app.domain.records import AppIdentity
from app.saleor.documents import document

_MAX_ANSWER = 5_000_000
_MAX_KEYS_ANSWER, _MAX_KEYS = 65_536, 20
_LONGEST_ID, _LONGEST_VERSION = 256, 60  # what Saleor allows, and what our columns hold
_MAX_PAGES = 100  # of 100 orders each
_DENIED = frozenset({"PermissionDenied", "JWTError", "InvalidTokenError", "ExpiredSignatureError"})


class SaleorClient:
    """The Shop port over Saleor's GraphQL API. `deadline` is the longest one call may take, in seconds."""

    def __init__(self, client: httpx.AsyncClient, *, deadline: float = 20.0) -> None:
        self._client = client
        self._deadline = deadline

    async def identify(self, shop: str, token: str) -> AppIdentity:
        data = await self._query(shop, token, "queries/app", {})
        app = _object(data.get("app"))
        app_id, identifier = app.get("id"), app.get("identifier")
        if not isinstance(app_id, str) or not 0 < len(app_id) <= _LONGEST_ID:
            raise Misconfigured("the shop does not know this token")
        version = _object(data.get("shop")).get("version")
        return AppIdentity(
            app_id,
            identifier if isinstance(identifier, str) else None,
            version[:_LONGEST_VERSION] if isinstance(version, str) else None,
        )

    async def key_set(self, shop: str) -> str:
        parts = urlsplit(shop)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/jwks.json"
        try:
            text = (await self._send("GET", url, ceiling=_MAX_KEYS_ANSWER)).decode()
            keys = json.loads(text)["keys"]
        except (ValueError, KeyError, TypeError, RecursionError):
            keys = None
        if not isinstance(keys, list) or not 0 < len(keys) <= _MAX_KEYS:
            raise Unavailable("the shop shows no keys at /.well-known/jwks.json")
        return text

    async def order(self, installation: Installation, order_id: str) -> Order | None:
        data = await self._query(installation.shop, _token(installation), "queries/order", {"id": order_id})
        found = data.get("order")
        return _order(found) if isinstance(found, dict) else None

    async def orders_with_agreement(self, installation: Installation, since: datetime) -> Sequence[str]:
        """Oldest first; drafts are not among them.

        Saleor filters by the day, in a time zone that is not told: it is asked for a day more, and the time of
        creation decides here. A shop with more than 100 pages is refused rather than read in part: whoever asks goes
        on from what they were told, and would never learn of the rest.
        """
        day = (since.astimezone(UTC) - timedelta(days=1)).date().isoformat()
        found: dict[str, None] = {}
        after: str | None = None
        for _ in range(_MAX_PAGES):
            variables = {"key": AGREEMENT_KEY, "since": day, "after": after}
            name = "queries/orders-with-agreement"
            data = await self._query(installation.shop, _token(installation), name, variables)
            page = _page(data.get("orders"))
            found |= {order_id: None for order_id, created in page.orders if created >= since}
            if page.following is None:
                return list(found)
            after = page.following
        raise Unavailable(f"the shop shows more than {_MAX_PAGES} pages of orders with an agreement since {day}")

    async def report(self, installation: Installation, report: OrderReport) -> None:
        """One request for both, or for the metadata alone where there is no note.

        A repeat adds the note again, so callers look at the metadata first.
        """
        variables = {
            "order": report.order,
            "metadata": [{"key": key, "value": value} for key, value in report.metadata().items()],
            "note": report.note,
            "withNote": bool(report.note),
        }
        name = "mutations/report-charge"
        data = await self._query(installation.shop, _token(installation), name, variables, write=True)
        for mutation in ("updatePrivateMetadata", "orderNoteAdd") if report.note else ("updatePrivateMetadata",):
            errors = _object(data.get(mutation)).get("errors")
            if errors is None or errors:
                raise Misconfigured(f"Saleor refused {mutation}: {_texts(errors)}")

    async def _query(
        self, shop: str, token: str, name: str, variables: Mapping[str, Any], *, write: bool = False
    ) -> dict[str, Any]:
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
            codes = {_code(error) for error in errors if isinstance(error, dict)} if isinstance(errors, list) else set()
            if codes & _DENIED:
                raise Misconfigured(f"Saleor denies the app this: {_texts(errors)}; install the app again")
            raise Unavailable(f"Saleor answered with errors: {_texts(errors)}")
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
            raise Unavailable(f"the shop answered {response.status_code}", status=response.status_code)
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


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _token(installation: Installation) -> str:
    if installation.token is None:
        raise Misconfigured("the app is no longer installed in this shop")
    return installation.token


def _code(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    exception = extensions.get("exception") if isinstance(extensions, dict) else None
    return str(exception.get("code", "")) if isinstance(exception, dict) else ""


def _texts(errors: object) -> str:
    items = errors if isinstance(errors, list) else []
    return "; ".join(str(it.get("message", ""))[:200] for it in items if isinstance(it, dict)) or "no reason given"


def _order(found: Mapping[str, Any]) -> Order:
    gross = found["total"]["gross"]
    total_text = f"{gross['amount']} {gross['currency']}"
    try:
        total: Money | None = Money.from_decimal(gross["amount"], currency_of(gross["currency"]))
    except InvalidInput:
        total = None
    user = found.get("user")
    return Order(
        id=found["id"],
        number=str(found["number"]),
        status=found["status"],
        charge_status=found["chargeStatus"],
        authorize_status=found["authorizeStatus"],
        payment_pending=any(_pending(it) for it in found.get("transactions") or []),
        total=total,
        total_text=total_text,
        customer=user["id"] if user else None,
        channel=found["channel"]["slug"],
        metadata=_pairs(found.get("metadata")),
        private_metadata=_pairs(found.get("privateMetadata")),
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """Ids and times of creation of some orders; `following` is the cursor to ask for the next ones with."""

    orders: Sequence[tuple[str, datetime]]
    following: str | None


def _page(found: object) -> _Page:
    try:
        connection, nodes = _object(found), []
        for edge in connection["edges"]:
            created = datetime.fromisoformat(edge["node"]["created"])
            nodes.append((str(edge["node"]["id"]), created if created.tzinfo else created.replace(tzinfo=UTC)))
        info = connection["pageInfo"]
        following = str(info["endCursor"] or "") if info["hasNextPage"] else None
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("the shop's list of orders cannot be read") from error
    if following == "":
        raise Unavailable("the shop's list of orders does not say how it goes on")
    return _Page(nodes, following)


def _pending(transaction: Mapping[str, Any]) -> bool:
    amounts = (transaction.get(name) or {} for name in ("chargePendingAmount", "authorizePendingAmount"))
    return any(amount.get("amount", 0) > 0 for amount in amounts)


def _pairs(items: object) -> dict[str, str]:
    return {str(it["key"]): str(it["value"]) for it in items} if isinstance(items, list) else {}
