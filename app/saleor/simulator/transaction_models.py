"""What a shop knows of payments: transactions, their events, and how each was paid."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from app.saleor.simulator.base import Numbered, Record
from app.saleor.simulator.models import App, Payable, User


@dataclass(frozen=True)
class Sums:
    """What the events of a transaction add up to."""

    authorized: Decimal = Decimal(0)
    authorize_pending: Decimal = Decimal(0)
    charged: Decimal = Decimal(0)
    charge_pending: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    refund_pending: Decimal = Decimal(0)
    canceled: Decimal = Decimal(0)
    cancel_pending: Decimal = Decimal(0)


@dataclass(frozen=True)
class CardPaymentMethodDetails:
    name: str
    brand: str | None = None
    first_digits: str | None = None
    last_digits: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True)
class OtherPaymentMethodDetails:
    name: str


@dataclass(frozen=True)
class GiftCardPaymentMethodDetails:
    name: str
    brand: str | None = None
    last_chars: str | None = None


PaymentMethodDetails = CardPaymentMethodDetails | OtherPaymentMethodDetails | GiftCardPaymentMethodDetails


@dataclass(eq=False, kw_only=True)
class TransactionEvent(Numbered):
    """`counts` is false for what only tells a story: the request of a session, a delivery that failed."""

    transaction: "TransactionItem"
    type: str
    amount: Decimal
    at: datetime
    psp_reference: str | None = None
    message: str = ""
    external_url: str = ""
    idempotency_key: str | None = None
    counts: bool = True
    by: App | User | None = None


@dataclass(eq=False, kw_only=True)
class TransactionItem(Record):
    """Belongs to whoever made it: to a user, or to an app and every later app with the same identifier."""

    source: Payable
    created_at: datetime
    modified_at: datetime
    name: str = ""
    message: str = ""
    psp_reference: str | None = None
    external_url: str = ""
    actions: list[str] = field(default_factory=list)
    app: App | None = None
    app_identifier: str | None = None
    user: User | None = None
    method: PaymentMethodDetails | None = None
    reason: str | None = None
    idempotency_key: str | None = None
    events: list[TransactionEvent] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)
    token: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def key(self) -> object:
        return self.token

    @property
    def currency(self) -> str:
        return self.source.channel.currency

    @property
    def newest_first(self) -> list[TransactionEvent]:
        return sorted(self.events, key=lambda event: (event.at, event.number), reverse=True)
