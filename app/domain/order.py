"""A Saleor order that names an agreement: may it be charged, and if not, why, in words for staff."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.checkout import CartLine
from app.domain.money import Currency, Money
from app.domain.subscription import Subscriber, SubscriptionLine
from app.domain.transaction import charge_reference

AGREEMENT_KEY = "vipps-recurring.agreement"
STATUS_KEY = "vipps-recurring.status"
CHARGE_KEY = "vipps-recurring.charge"
REASON_KEY = "vipps-recurring.reason"
NOT_CHARGED = "NOT_CHARGED"
_DEAD = frozenset({"CANCELED", "EXPIRED", "RETURNED"})
_NOT_YET = frozenset({"DRAFT", "UNCONFIRMED"})
_ON_ITS_WAY = frozenset({ChargeStatus.PENDING.value, ChargeStatus.DUE.value})  # which staff are told in the same words


@dataclass(frozen=True, slots=True)
class OrderTransaction:
    """A transaction of an order as Saleor shows it; `money` is true where anything of it is, or is about to be, paid,
    `charged` where something of it is.

    `actor_app` is the id of the app that made it.
    """

    id: str
    psp_reference: str
    money: bool
    actor_app: str | None = None
    charged: bool = False

    def named(self, own: Collection[str]) -> bool:
        return self.id in own or self.psp_reference in own


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """The order that a subscription begins with, as far as its renewals are made of it."""

    id: str
    number: str
    status: str
    channel: str
    channel_id: str
    customer: str | None
    lines: tuple[CartLine, ...]
    subscriber: Subscriber = field(repr=False)
    shipping_method: str | None
    voucher: str | None
    created_at: datetime
    transactions: tuple[OrderTransaction, ...] = ()

    @property
    def dead(self) -> bool:
        return self.status in _DEAD


@dataclass(frozen=True, slots=True)
class RenewalOrder:
    """A renewal's order, draft or completed. `problems` are Saleor's codes of what stands in the way of completing it.

    `total` is None where it is not an amount that Vipps can charge (`total_text` says it).
    `unexplained` is as in `Order`.
    """

    id: str
    number: str
    status: str
    total: Money | None
    total_text: str
    charge_status: str
    problems: tuple[tuple[str, str], ...] = ()
    transactions: tuple[OrderTransaction, ...] = ()
    unexplained: bool = False

    @property
    def draft(self) -> bool:
        return self.status == "DRAFT"

    @property
    def dead(self) -> bool:
        return self.status in _DEAD

    def paid_elsewhere(self, own: Collection[str]) -> bool:
        """In full, and not by the transactions that are named so."""
        theirs = self.unexplained or any(it.charged and not it.named(own) for it in self.transactions)
        ours = any(it.charged and it.named(own) for it in self.transactions)
        return theirs and not self.dead and self.charge_status in ({"OVERCHARGED"} if ours else {"FULL", "OVERCHARGED"})


@dataclass(frozen=True, slots=True)
class DraftOrder:
    """What a renewal's draft order is made of; Saleor computes price, tax, promotions and shipping itself."""

    reference: str
    channel_id: str
    customer: str | None
    subscriber: Subscriber = field(repr=False)
    lines: tuple[SubscriptionLine, ...]
    currency: Currency
    shipping_method: str | None
    voucher: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """An order as Saleor shows it to the app, read anew for each event.

    `unexplained` is true where more of it is paid than its transactions say: a payment of the old kind, or one that
    staff wrote down by hand. What tells our own transactions from others' is `own`, see `own_names`.
    """

    id: str
    number: str
    status: str
    charge_status: str
    authorize_status: str
    payment_pending: bool
    total: Money | None
    total_text: str
    customer: str | None
    channel: str
    metadata: Mapping[str, str] = field(repr=False)
    private_metadata: Mapping[str, str] = field(repr=False)
    transactions: tuple[OrderTransaction, ...] = ()
    unexplained: bool = False

    @property
    def agreement_id(self) -> str | None:
        return self.metadata.get(AGREEMENT_KEY, "").strip() or None

    @property
    def dead(self) -> bool:
        return self.status in _DEAD

    @property
    def paid(self) -> bool:
        """In part or in full, by whomever; what is only under way does not count here."""
        return self.charge_status != "NONE" or self.authorize_status != "NONE"

    def shows_own(self, own: Collection[str]) -> bool:
        return any(it.named(own) for it in self.transactions)

    def paid_elsewhere(self, own: Collection[str]) -> bool:
        """Paid, authorised or about to be, by somebody else than us."""
        if self.unexplained or any(it.money and not it.named(own) for it in self.transactions):
            return True
        ours = any(it.money for it in self.transactions)
        return (self.paid or self.payment_pending) and not ours

    def unwanted(self, own: Collection[str]) -> str | None:
        """Why a charge of this order that is not collected yet is taken back; None where it is wanted."""
        if self.dead:
            return f"the order is {self.status}"
        return "the order was paid in another way" if self.paid_elsewhere(own) else None

    @property
    def names_a_charge(self) -> bool:
        """Only this app writes private metadata: whatever we know, a charge was made for this order."""
        return bool(self.private_metadata.get(CHARGE_KEY))

    @property
    def waits(self) -> bool:
        """Not an order yet: a later event will tell, and nobody has to be told now."""
        return self.status in _NOT_YET


_ORDER_IDS = uuid.UUID("0a1d7f5e-9a44-5c8e-8f1b-6f4b8f0c2d31")


def order_id_for(shop: str, order: str) -> str:
    """The order id under which Vipps knows an order's charge: always the same, and Vipps takes it once.

    So not even a database restored from a backup, which knows nothing of the charge, has the order charged again.
    """
    return f"vr-{uuid.uuid5(_ORDER_IDS, f'{shop} {order}')}"


def own_names(shop: str, order: str, agreement_id: str | None, transaction: str | None = None) -> frozenset[str]:
    """By what an order's own transaction is told: its id, or the reference that it has by our rules.

    The reference is always the same, so that a database restored from a backup knows it, too.
    """
    reference = charge_reference(agreement_id or "", order_id_for(shop, order))
    return frozenset({reference} | ({transaction} if transaction else set()))


@dataclass(frozen=True, slots=True)
class OrderReport:
    """What staff shall see on the order: private metadata for machines and filters, a note for people.

    Without a `note` the order has these words already.
    """

    order: str
    status: str
    note: str
    charge_id: str = ""
    reason: str = ""

    def metadata(self) -> dict[str, str]:
        return {STATUS_KEY: self.status, CHARGE_KEY: self.charge_id, REASON_KEY: self.reason}

    def stands_on(self, order: Order) -> bool:
        """True where the order says so already; this is what ends the loop of our own ORDER_METADATA_UPDATED."""
        return all(order.private_metadata.get(key, "") == value for key, value in self.metadata().items())

    def without_repeating(self, order: Order) -> "OrderReport":
        """The same, without its note where the order was given the same words with an earlier status."""
        shown = order.private_metadata.get(STATUS_KEY, "")
        same_words = {shown, self.status} <= _ON_ITS_WAY and replace(self, status=shown).stands_on(order)
        return replace(self, note="") if same_words else self


def refusal(order: Order, agreement: Agreement | None, own: Collection[str] = ()) -> str | None:
    """Why this order is not charged on that agreement, or None where it may be.

    The metadata is writable by storefronts: it selects an agreement, it never authorises (ARCHITECTURE 5.6). Asked
    where we know of no charge: what is paid is paid, then, even by a transaction of our own.
    """
    if order.dead:
        return f"the order is {order.status}"
    if agreement is None:
        return (
            f"this shop has no agreement {order.agreement_id:.60}"
            if order.agreement_id
            else "the order names no agreement"
        )
    if order.customer is None or agreement.customer is None or order.customer != agreement.customer:
        return f"agreement {agreement.agreement_id} does not belong to the customer of this order"
    if order.paid:
        return "the order is paid, in part or in full, already"
    if order.paid_elsewhere(own):
        return "another payment of this order is under way"
    if order.total is None:
        return f"the total {order.total_text} is not an amount that Vipps can charge"
    if order.total.minor <= 0:
        return "there is nothing to pay on this order"
    if order.total.currency is not agreement.price.currency:
        return f"the order is in {order.total.currency} and the agreement in {agreement.price.currency}"
    if agreement.status is not AgreementStatus.ACTIVE:
        return f"agreement {agreement.agreement_id} is {agreement.status}; only an ACTIVE one can be charged"
    return None
