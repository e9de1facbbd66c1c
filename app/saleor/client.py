"""The Shop port over Saleor's API: who the app is there, its orders, and what it shows on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from app.domain.account import Installation
from app.domain.errors import Misconfigured, Unavailable
from app.domain.order import AGREEMENT_KEY, Order, OrderReport
from app.domain.records import AppIdentity
from app.saleor.assortment import AssortmentCalls
from app.saleor.buyers import BuyerCalls
from app.saleor.calls import object_of, read, texts_of, token_of
from app.saleor.carts import pairs_of
from app.saleor.problems import ProblemCalls
from app.saleor.renewal_orders import RenewalOrderCalls, total_of
from app.saleor.transactions import TransactionCalls, exceeds, transactions_in

_MAX_KEYS_ANSWER, _MAX_KEYS = 65_536, 20
_LONGEST_ID, _LONGEST_VERSION = 256, 60  # what Saleor allows, and what our columns hold
_MAX_PAGES = 100  # of 100 orders each
_LONGEST_NAME = 100
_UNNAMED = "Saleor e-commerce"  # what a shop is called that nobody has given a name


class SaleorClient(TransactionCalls, RenewalOrderCalls, ProblemCalls, AssortmentCalls, BuyerCalls):
    """All that is asked of a shop; each group of calls has a file of its own."""

    async def identify(self, shop: str, token: str) -> AppIdentity:
        data = await self._query(shop, token, "queries/app", {})
        app = object_of(data.get("app"))
        app_id, identifier = app.get("id"), app.get("identifier")
        if not isinstance(app_id, str) or not 0 < len(app_id) <= _LONGEST_ID:
            raise Misconfigured("the shop does not know this token")
        shop_ = object_of(data.get("shop"))
        version = shop_.get("version")
        return AppIdentity(
            app_id,
            identifier if isinstance(identifier, str) else None,
            version[:_LONGEST_VERSION] if isinstance(version, str) else None,
            _name_of(shop_),
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
        data = await self._ask(installation, "queries/order", {"id": order_id})
        found = data.get("order")
        return read(_order, found, "the order") if found else None

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
            data = await self._ask(installation, name, variables)
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
        data = await self._query(installation.shop, token_of(installation), name, variables, write=True)
        for mutation in ("updatePrivateMetadata", "orderNoteAdd") if report.note else ("updatePrivateMetadata",):
            errors = object_of(data.get(mutation)).get("errors")
            if errors is None or errors:
                raise Misconfigured(f"Saleor refused {mutation}: {texts_of(errors)}")


def _order(found: Mapping[str, Any]) -> Order:
    total, total_text = total_of(found["total"]["gross"])
    transactions = found.get("transactions") or []
    user = found.get("user")
    return Order(
        id=found["id"],
        number=str(found["number"]),
        status=found["status"],
        charge_status=found["chargeStatus"],
        authorize_status=found["authorizeStatus"],
        payment_pending=any(_pending(it) for it in transactions),
        total=total,
        total_text=total_text,
        customer=user["id"] if user else None,
        channel=found["channel"]["slug"],
        metadata=pairs_of(found.get("metadata")),
        private_metadata=pairs_of(found.get("privateMetadata")),
        transactions=transactions_in(found),
        unexplained=exceeds(found, "totalCharged", "chargedAmount")
        or exceeds(found, "totalAuthorized", "authorizedAmount"),
    )


def _name_of(shop: Mapping[str, Any]) -> str | None:
    """The company's, which is what a merchant can write in the Dashboard; the site's where there is none."""
    company = object_of(shop.get("companyAddress") or {}).get("companyName")
    for name in (company, shop.get("name")):
        if isinstance(name, str) and name.strip() not in {"", _UNNAMED}:
            return name.strip()[:_LONGEST_NAME]
    return None


@dataclass(frozen=True, slots=True)
class _Page:
    """Ids and times of creation of some orders; `following` is the cursor to ask for the next ones with."""

    orders: Sequence[tuple[str, datetime]]
    following: str | None


def _page(found: object) -> _Page:
    try:
        connection, nodes = object_of(found), []
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
