"""The order that a subscription comes from, and the draft orders that its renewals are made of (facts: SALEOR 6.2)."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.account import Installation
from app.domain.errors import Duplicate, InvalidInput, Rejected, Unavailable
from app.domain.money import Money, currency_of
from app.domain.order import DraftOrder, RenewalOrder, SourceOrder
from app.domain.subscription import Subscriber, SubscriptionLine
from app.saleor.calls import Found, SaleorCalls, object_of, read
from app.saleor.carts import lines_of
from app.saleor.transactions import exceeds, transactions_in

_ADDRESS = (
    "firstName",
    "lastName",
    "companyName",
    "streetAddress1",
    "streetAddress2",
    "city",
    "cityArea",
    "postalCode",
    "countryArea",
    "phone",
)
_TAKEN = "UNIQUE"
_NOT_UNDERSTOOD = 400
_NO_DRAFT_ANY_MORE = frozenset({"NOT_FOUND", "INVALID"})
_HAS_TRANSACTIONS = "ProtectedError"
_CANNOT_CANCEL = "CANNOT_CANCEL_ORDER"


class RenewalOrderCalls(SaleorCalls):
    """The part of the Shop port that is about the orders of subscriptions."""

    async def source_order(self, installation: Installation, order: str) -> SourceOrder | None:
        data = await self._ask(installation, "queries/source-order", {"id": order})
        found = data.get("order")
        return read(_source_order, found, "the order") if found else None

    async def order_by_reference(self, installation: Installation, reference: str) -> RenewalOrder | None:
        data = await self._ask(installation, "queries/order-by-reference", {"reference": reference})
        return _renewal_order_in(data)

    async def renewal_order(self, installation: Installation, order: str) -> RenewalOrder | None:
        return _renewal_order_in(await self._ask(installation, "queries/renewal-order", {"id": order}))

    async def create_draft(self, installation: Installation, draft: DraftOrder) -> RenewalOrder:
        variables = {"input": _draft_input(draft)}
        try:
            answer = await self._change(installation, "mutations/create-draft", "draftOrderCreate", variables)
        except Rejected as error:
            if error.provider_code != _TAKEN:
                raise
            raise Duplicate(f"the shop has an order {draft.reference} already", field="externalReference") from error
        except Unavailable as error:
            # The variables do not fit Saleor's schema: an address or a language that it does not know.
            if error.status != _NOT_UNDERSTOOD:
                raise
            raise Rejected("Saleor cannot read this draft", provider_code="GRAPHQL_ERROR") from error
        return read(_renewal_order, answer.get("order"), "the draft")

    async def complete_draft(self, installation: Installation, order: str) -> RenewalOrder:
        answer = await self._change(installation, "mutations/complete-draft", "draftOrderComplete", {"id": order})
        return read(_renewal_order, answer.get("order"), "the completed order")

    async def delete_draft(self, installation: Installation, order: str) -> None:
        """A draft that has a transaction is never deleted: Saleor's database refuses it."""
        name = "mutations/delete-draft"
        try:
            await self._change(installation, name, "draftOrderDelete", {"id": order}, done=_NO_DRAFT_ANY_MORE)
        except Unavailable as error:
            if error.provider_code != _HAS_TRANSACTIONS:
                raise
            text = "Saleor does not delete a draft that has transactions"
            raise Rejected(text, provider_code=error.provider_code) from error

    async def cancel_order(self, installation: Installation, order: str) -> None:
        """Saleor refuses to cancel what is cancelled: only then is the order looked at."""
        try:
            await self._change(installation, "mutations/cancel-order", "orderCancel", {"id": order})
        except Rejected as error:
            if error.provider_code != _CANNOT_CANCEL:
                raise
            found = await self.renewal_order(installation, order)
            if found is None or not found.dead:
                raise

    async def add_note(self, installation: Installation, order: str, note: str) -> None:
        await self._change(installation, "mutations/add-note", "orderNoteAdd", {"id": order, "note": note})


def total_of(gross: Mapping[str, Any]) -> tuple[Money | None, str]:
    """As money where Vipps can charge it, and as text."""
    text = f"{gross['amount']} {gross['currency']}"
    try:
        return Money.from_decimal(gross["amount"], currency_of(gross["currency"])), text
    except InvalidInput:
        return None, text


def _renewal_order_in(data: Found) -> RenewalOrder | None:
    found = data.get("order")
    return read(_renewal_order, found, "the order") if found else None


def _renewal_order(found: Found) -> RenewalOrder:
    total, total_text = total_of(found["total"]["gross"])
    return RenewalOrder(
        id=str(found["id"]),
        number=str(found["number"]),
        status=str(found["status"]),
        total=total,
        total_text=total_text,
        charge_status=str(found["chargeStatus"]),
        problems=tuple((str(it["code"]), str(it.get("message") or "")) for it in found.get("errors") or []),
        transactions=transactions_in(found),
        unexplained=exceeds(found, "totalCharged", "chargedAmount"),
    )


def _source_order(found: Found) -> SourceOrder:
    user = object_of(found.get("user"))
    created = datetime.fromisoformat(found["created"])
    return SourceOrder(
        id=str(found["id"]),
        number=str(found["number"]),
        status=str(found["status"]),
        channel=str(found["channel"]["slug"]),
        channel_id=str(found["channel"]["id"]),
        customer=user.get("id"),
        lines=lines_of(found["lines"]),
        subscriber=Subscriber(
            email=found.get("userEmail") or None,
            billing=_address(found.get("billingAddress")),
            shipping=_address(found.get("shippingAddress")),
            language=found.get("languageCodeEnum"),
        ),
        shipping_method=_own_method(object_of(found.get("deliveryMethod")).get("id")),
        voucher=found.get("voucherCode") or None,
        created_at=created if created.tzinfo else created.replace(tzinfo=UTC),
        transactions=transactions_in(found),
    )


def _address(found: object) -> Mapping[str, str] | None:
    """As the fields of AddressInput; what is empty is left out."""
    if not isinstance(found, dict):
        return None
    fields = {name: str(found[name]) for name in _ADDRESS if found.get(name)}
    return fields | {"country": str(found["country"]["code"])}


def _own_method(method: object) -> str | None:
    """Drafts can only be sent by Saleor's own methods, not by those that apps bring along or collection points."""
    try:
        kind = base64.b64decode(str(method or ""), validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        return None
    return str(method) if kind == b"ShippingMethod" else None


def _draft_input(draft: DraftOrder) -> dict[str, Any]:
    """As DraftOrderCreateInput. With an e-mail address Saleor would not look at the user, so only one is sent."""
    subscriber = draft.subscriber
    optional = {
        "user": draft.customer,
        "userEmail": None if draft.customer else subscriber.email,
        "billingAddress": subscriber.billing,
        "shippingAddress": subscriber.shipping,
        "languageCode": subscriber.language,
        "shippingMethod": draft.shipping_method,
        "voucherCode": draft.voucher,
    }
    given = {name: value if isinstance(value, str) else dict(value) for name, value in optional.items() if value}
    return given | {
        "externalReference": draft.reference,
        "channelId": draft.channel_id,
        "metadata": [{"key": key, "value": value} for key, value in draft.metadata.items()],
        "lines": [_line(line, draft) for line in draft.lines],
    }


def _line(line: SubscriptionLine, draft: DraftOrder) -> dict[str, Any]:
    wanted: dict[str, Any] = {"variantId": line.variant, "quantity": line.quantity}
    if line.unit_price is not None:
        wanted["price"] = str(Money(line.unit_price, draft.currency).to_decimal())
    return wanted
