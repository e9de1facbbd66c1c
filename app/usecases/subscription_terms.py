"""What the shop may change of a subscription: its lines, its price with notice, where and how it is sent."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from app.domain.account import Caller, Scope
from app.domain.agreement import Agreement, Pricing, check_amount, check_text
from app.domain.charge import LIMIT_FACTOR
from app.domain.errors import Forbidden, IllegalState, InvalidInput, LimitExceeded
from app.domain.money import Money
from app.domain.notice import NoticeKind
from app.domain.subscription import PriceChange, Subscriber, Subscription, SubscriptionLine, VoucherPolicy
from app.usecases.known import check_opaque, find_agreement, refresh_agreement
from app.usecases.ports import Deps
from app.usecases.subscriptions import Decision, Situation, Subscribed, change

ADDRESS_FIELDS = frozenset(
    {
        "firstName",
        "lastName",
        "companyName",
        "streetAddress1",
        "streetAddress2",
        "city",
        "cityArea",
        "postalCode",
        "country",
        "countryArea",
        "phone",
    }
)
_NEEDED = ("streetAddress1", "city", "country")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Line:
    """So many of a variant in each renewal."""

    variant: str
    quantity: int


@dataclass(frozen=True, slots=True)
class NewPrice:
    """Minor units: of the agreement, and per variant for the renewal orders; variants that are left out keep theirs."""

    on: date
    price: int
    unit_prices: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a caller asks to change; what is None stays as it is. Addresses are Saleor's `AddressInput` fields."""

    lines: Sequence[Line] | None = None
    price: NewPrice | None = None
    shipping_method: str | None = None
    voucher_policy: VoucherPolicy | None = None
    billing: Mapping[str, str] | None = field(default=None, repr=False)
    shipping: Mapping[str, str] | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        return self == Terms()


async def change_terms(deps: Deps, caller: Caller, agreement_id: str, terms: Terms) -> Subscribed:
    """All of it in one step, or nothing. A new price is told of now, and holds from its day on."""
    caller.require(Scope.AGREEMENTS_WRITE)
    if caller.own_only:
        raise Forbidden("customers cannot change a subscription's terms; ask the shop")
    check_opaque(terms.shipping_method, "shippingMethodId")
    for address, name in ((terms.billing, "billingAddress"), (terms.shipping, "shippingAddress")):
        if address is not None:
            check_address(address, name)
    if terms.price is not None:
        # What the customer allows at most may have changed in the app.
        row, _ = await refresh_agreement(deps, caller.actor, await find_agreement(deps, caller, agreement_id))
        row.require_active()

    def decide(it: Situation) -> Decision:
        return _decide(it, terms)

    return await change(deps, caller, agreement_id, "changed", decide)


def _decide(it: Situation, terms: Terms) -> Decision:
    after = it.subscription
    if terms.lines is not None:
        after = after.with_lines(tuple(_line(after, it) for it in terms.lines), it.now)
    if terms.shipping_method is not None or terms.voucher_policy is not None:
        method = terms.shipping_method or after.shipping_method
        after = after.with_delivery(method, terms.voucher_policy or after.voucher_policy)
    person, said = _new_addresses(terms)
    if terms.price is None:
        return Decision(after, person=person, said=said)
    new = _price_change(it, terms.price)
    old = it.subscription.price_change
    if old is not None and replace(old, told_at=it.now) == new:
        return Decision(after, person=person, said=said)  # asked for again, and told of before
    if old is not None and any(row.due >= old.on for row in it.renewals):
        if any(row.due < old.on and not row.status.final for row in it.renewals):
            raise IllegalState(
                f"a period from before the last change ({old.on}) is open: change the price again when it is over",
                field="on",
            )
        after = after.repriced(old)  # it is in force: what is renewed before the new one costs that
    after = after.with_price_change(new)
    told: dict[str, str | int | None] = {
        "on": new.on.isoformat(),
        "price": new.price.minor,
        "old_price": it.agreement.price.minor,
        "currency": new.price.currency.value,
    }
    return Decision(after, notice=NoticeKind.PRICE_CHANGE, facts=told, person=person, said=said)


def _line(subscription: Subscription, wanted: Line) -> SubscriptionLine:
    """A variant that is there keeps its name and its price; a new one follows the catalogue."""
    check_opaque(wanted.variant, "variantId")
    for line in subscription.lines:
        if line.variant == wanted.variant:
            return replace(line, quantity=wanted.quantity)
    return SubscriptionLine(wanted.variant, wanted.quantity)


def _price_change(it: Situation, wanted: NewPrice) -> PriceChange:
    price = Money(wanted.price, it.agreement.price.currency)
    check_amount(price, "price")
    earliest = it.today + timedelta(days=max(it.account.price_notice_days, 1))
    if wanted.on < earliest:
        raise InvalidInput(
            f"on is {wanted.on}; customers are told {it.account.price_notice_days} days before, so the earliest day is "
            f"{earliest}",
            field="on",
        )
    limit = price_limit(it.agreement)
    if limit is not None and not price <= limit:
        raise LimitExceeded(
            f"price {price.minor} is above the {limit.minor} that the customer agreed to: it needs a new agreement",
            field="price",
        )
    return PriceChange(wanted.on, price, dict(wanted.unit_prices), it.now)


def price_limit(agreement: Agreement) -> Money | None:
    """The most that the agreement may be changed to cost; None where the customer set no limit."""
    if agreement.max_amount is not None:
        return agreement.max_amount
    return agreement.price.times(LIMIT_FACTOR) if agreement.pricing is Pricing.LEGACY else None


def check_address(address: Mapping[str, str], name: str) -> None:
    """Raises where Saleor could not use it. What it says is never told: it is a person's."""
    if not set(address) <= ADDRESS_FIELDS:
        raise InvalidInput(f"{name} has a field that no address has", field=name)
    for part, text in address.items():
        check_text(text, f"{name}.{part}", _LONGEST, required=False)
    missing = [part for part in _NEEDED if not address.get(part, "").strip()]
    if missing:
        raise InvalidInput(f"{name} needs {', '.join(missing)}", field=name)
    if not _COUNTRY.fullmatch(address["country"]):
        raise InvalidInput(f"{name}.country is a code of two capital letters, for example NO", field=name)


def _new_addresses(terms: Terms) -> tuple[Callable[[Subscriber], Subscriber] | None, str]:
    billing, shipping = terms.billing, terms.shipping
    if billing is None and shipping is None:
        return None, ""

    def person(before: Subscriber) -> Subscriber:
        return replace(
            before,
            billing=before.billing if billing is None else dict(billing),
            shipping=before.shipping if shipping is None else dict(shipping),
        )

    names = [name for name, it in (("billing address", billing), ("shipping address", shipping)) if it is not None]
    return person, f"new {' and '.join(names)}"
