"""A Saleor order that names an agreement: may it be charged, and if not, why, in words for staff."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.money import Money

AGREEMENT_KEY = "vipps-recurring.agreement"
STATUS_KEY = "vipps-recurring.status"
CHARGE_KEY = "vipps-recurring.charge"
REASON_KEY = "vipps-recurring.reason"
NOT_CHARGED = "NOT_CHARGED"
_DEAD = frozenset({"CANCELED", "EXPIRED", "RETURNED"})
_NOT_YET = frozenset({"DRAFT", "UNCONFIRMED"})
_ON_ITS_WAY = frozenset({ChargeStatus.PENDING.value, ChargeStatus.DUE.value})  # which staff are told in the same words


@dataclass(frozen=True, slots=True)
class Order:
    """An order as Saleor shows it to the app, read anew for each event."""

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

    @property
    def agreement_id(self) -> str | None:
        return self.metadata.get(AGREEMENT_KEY, "").strip() or None

    @property
    def dead(self) -> bool:
        return self.status in _DEAD

    @property
    def paid_elsewhere(self) -> bool:
        """Paid, authorised or about to be, by somebody else: this app writes no payments to Saleor."""
        return self.charge_status != "NONE" or self.authorize_status != "NONE" or self.payment_pending

    @property
    def unwanted(self) -> str | None:
        """Why a charge of this order that is not collected yet is taken back; None where it is wanted."""
        if self.dead:
            return f"the order is {self.status}"
        return "the order was paid in another way" if self.paid_elsewhere else None

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


def refusal(order: Order, agreement: Agreement | None) -> str | None:
    """Why this order is not charged on that agreement, or None where it may be.

    The metadata is writable by storefronts: it selects an agreement, it never authorises (ARCHITECTURE 5.6).
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
    if order.charge_status != "NONE" or order.authorize_status != "NONE":
        return "the order is paid, in part or in full, already"
    if order.payment_pending:
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
