"""What is written down or asked for beside agreements and charges: webhooks received, the audit, pages of a list."""

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from enum import StrEnum

from app.domain.agreement import AgreementStatus
from app.domain.charge import ChargeStatus
from app.domain.subscription import SubscriptionStatus


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One verified webhook. `event_key` tells deliveries of the same event apart from new events."""

    id: str
    shop: str
    source: str
    event: str
    event_key: str
    body: str
    received_at: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which object, when, from what to what, and why. Holds ids and states, never a person's data."""

    shop: str
    actor: str
    action: str
    object_id: str
    at: datetime
    before: str = ""
    after: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallEntry:
    """One call to Vipps, as support asks for it (facts: VIPPS 15.2): writes, and reads that failed.

    `request` and `answer` are bodies without secrets and personal data; `status` is None where no answer came.
    """

    shop: str
    account_id: str
    operation: str
    method: str
    path: str
    at: datetime
    milliseconds: int
    status: int | None
    agreement_id: str | None = None
    charge_id: str | None = None
    idempotency_key: str | None = None
    context_id: str | None = None
    request: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class VippsEvent:
    """One event of Vipps' webhooks, as far as anything is decided on it: the object is read anew before (VIPPS 12.3).

    `charge_id` is None for events about agreements; `actor` is who stopped one: MERCHANT, USER, ADMIN.
    """

    kind: str
    occurred: str
    agreement_id: str
    charge_id: str | None = None
    actor: str | None = None

    @property
    def key(self) -> str:
        """Vipps gives events no id (facts: VIPPS 12.3): what happened to what and when tells them apart."""
        return f"{self.kind}/{self.charge_id or self.agreement_id}/{self.occurred}"

    def to_text(self) -> str:
        """What of the event is stored: ids and times, nothing of a person."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "VippsEvent":
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Webhook:
    """A registration of ours at Vipps with its secret. `retired_at` is when another took its place."""

    id: str
    shop: str
    account_id: str
    registration_id: str
    url: str
    secret: str = field(repr=False)
    created_at: datetime
    retired_at: datetime | None = None


class FindingKind(StrEnum):
    """How our books and Vipps' can differ."""

    AGREEMENT_UNKNOWN_HERE = "AGREEMENT_UNKNOWN_HERE"
    AGREEMENT_UNKNOWN_THERE = "AGREEMENT_UNKNOWN_THERE"
    AGREEMENT_STATUS = "AGREEMENT_STATUS"
    CHARGE_UNKNOWN_HERE = "CHARGE_UNKNOWN_HERE"
    CHARGE_UNKNOWN_THERE = "CHARGE_UNKNOWN_THERE"
    CHARGE_STATUS = "CHARGE_STATUS"
    CHARGE_AMOUNT = "CHARGE_AMOUNT"
    ORDER_NOT_CHARGED = "ORDER_NOT_CHARGED"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. `ours` and `theirs` are short texts; `repaired` where our row followed Vipps' forward."""

    shop: str
    account_id: str
    kind: str
    agreement_id: str
    ours: str
    theirs: str
    repaired: bool
    found_at: datetime
    charge_id: str | None = None


class Failing(StrEnum):
    """Where work can end up that nobody tries any more."""

    CHARGE = "CHARGE"
    OPERATION = "OPERATION"
    WEBHOOK = "WEBHOOK"
    REPORT = "REPORT"
    RENEWAL = "RENEWAL"
    NOTICE = "NOTICE"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Work that was given up with a reason, until a person asks for another try. `object_id` is what it was about."""

    id: str
    shop: str
    kind: Failing
    what: str
    object_id: str
    reason: str
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Channel:
    """One of the shop's sales channels."""

    slug: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """What somebody looks for; nothing at all leads to no row.

    `name` is any id that leads to an agreement or a charge: its own, its customer's, that of a charge or an order, or a
    renewal order's number. `orders` are looked for themselves; `buyers_of` are orders of people, and `customers` their
    ids: all agreements and charges of theirs are looked for.
    """

    name: str | None = None
    orders: tuple[str, ...] = ()
    buyers_of: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgreementFilter:
    """What is left out does not matter. `renewed` are states of the subscription on it, `unless` those it is not in.
    `approved` leaves out what no customer has ever agreed to.
    """

    statuses: frozenset[AgreementStatus] = frozenset()
    customer: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    account: str | None = None
    sought: Sought | None = None
    renewed: frozenset[SubscriptionStatus] = frozenset()
    unless: frozenset[SubscriptionStatus] = frozenset()
    approved: bool = False


@dataclass(frozen=True, slots=True)
class ChargeFilter:
    """As `AgreementFilter`; both days count."""

    statuses: frozenset[ChargeStatus] = frozenset()
    account: str | None = None
    sought: Sought | None = None
    due_from: date | None = None
    due_to: date | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`object_id` is an agreement, a charge, an account; without one `people` leaves out what the app did by itself."""

    object_id: str | None = None
    people: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list in the order of its times or days: up to `size` rows past `cursor` (a time or day, and an id),
    forwards or back.
    """

    size: int
    cursor: tuple[date, str] | None = None
    backwards: bool = False
    newest_first: bool = True


@dataclass(frozen=True, slots=True)
class AppIdentity:
    app_id: str
    identifier: str | None
    version: str | None
    shop_name: str | None = None
