"""One period of a subscription: its order, its charges, and how it ended or why nothing was charged."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from app.domain.money import Money

_RENEWALS = uuid.UUID("c9f7e1a4-6c5d-5b7a-8f0e-3a2d9c41b7e6")
RENEWAL_KEY = "vipps-recurring.renewal"  # metadata of a renewal order: `<agreement>:<period>`
RENEWAL_SLOT = "renewal/"


class RenewalStatus(StrEnum):
    """PLANNED waits for its order and charge; CHARGING has both; COLLECTED is paid, and its order is not complete yet;
    WAITING could not be ordered or charged and is tried again; PAID, SKIPPED and FAILED are final.
    """

    PLANNED = "PLANNED"
    CHARGING = "CHARGING"
    COLLECTED = "COLLECTED"
    WAITING = "WAITING"
    PAID = "PAID"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        return self in {RenewalStatus.PAID, RenewalStatus.SKIPPED, RenewalStatus.FAILED}


class RenewalReason(StrEnum):
    """Why a period has no charge, or not yet: a name for machines; the row's `reason_text` is for people."""

    PAUSED = "PAUSED"
    SKIPPED = "SKIPPED"
    ENDED = "ENDED"
    HELD = "HELD"
    MISSED = "MISSED"  # nobody planned it in time: the app was not running
    OUT_OF_STOCK = "OUT_OF_STOCK"
    UNAVAILABLE = "UNAVAILABLE"  # not published, not for sale, not in the channel
    ADDRESS_MISSING = "ADDRESS_MISSING"
    SHIPPING = "SHIPPING"
    PRICE_ABOVE_LIMIT = "PRICE_ABOVE_LIMIT"
    COSTS_MORE = "COSTS_MORE"  # by now than the charge of it that failed: nobody was shown that sum
    ORDER_REFUSED = "ORDER_REFUSED"  # anything else that Saleor says no to
    ORDER_GONE = "ORDER_GONE"  # staff deleted or cancelled the order
    AGREEMENT_NOT_ACTIVE = "AGREEMENT_NOT_ACTIVE"
    CHARGE_FAILED = "CHARGE_FAILED"
    CHARGE_REJECTED = "CHARGE_REJECTED"
    CHARGE_CANCELLED = "CHARGE_CANCELLED"
    NOTHING_TO_PAY = "NOTHING_TO_PAY"


@dataclass(frozen=True, slots=True)
class Renewal:
    """`attempt` counts the charges that were made for it, `attempts` the looks at the row, `failures` how many of the
    latest of them came to nothing, one after another.

    `failed_on` is the day of the first failed charge, from which the dunning policy counts; `hindered_on` the day since
    which something stands in the way of its next one. `amount` is what its last charge was of, and `agreed`, in the
    same currency's minor units, the most that staff have agreed to for its next one.
    """

    id: str
    shop: str
    account_id: str
    subscription_id: str
    agreement_id: str
    period: int
    due: date
    status: RenewalStatus
    created_at: datetime
    reason: RenewalReason | None = None
    reason_text: str | None = None
    order: str | None = None
    order_number: str | None = None
    amount: Money | None = None
    charge_row: str | None = None
    attempt: int = 0
    agreed: int | None = None
    failed_on: date | None = None
    hindered_on: date | None = None
    attempts: int = 0
    failures: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    dead: str | None = None

    @property
    def reference(self) -> str:
        """The order's `externalReference`, which Saleor takes once (facts: SALEOR 6.2)."""
        return f"vipps-recurring:{self.agreement_id}:{self.period}"


@dataclass(frozen=True, slots=True)
class RenewalFilter:
    """Which periods are asked for; what is left out does not matter. Both days count."""

    statuses: frozenset[RenewalStatus] = frozenset()
    reason: RenewalReason | None = None
    due_from: date | None = None
    due_to: date | None = None


def renewal_id(shop: str, subscription_id: str, period: int) -> str:
    """Always the same for a period, so that two planners make one row."""
    return str(uuid.uuid5(_RENEWALS, f"{shop} {subscription_id} {period}"))


def renewal_of(slot: str | None) -> str | None:
    """The id of the period that a charge with this slot was made for, whatever became of either since."""
    beginning, _, rest = (slot or "").partition("/")
    return rest.rpartition("/")[0] or None if f"{beginning}/" == RENEWAL_SLOT else None


def attempt_of(slot: str | None) -> int:
    """Which of its period's charges has this slot; 1 is the first."""
    return int((slot or "").rpartition("/")[2])


def renewal_order_id(shop: str, agreement_id: str, period: int, attempt: int) -> str:
    """The order id at Vipps of the period's charge: always the same, and Vipps takes it once.

    So not even a database restored from a backup has a period charged again.
    """
    return f"vr-{uuid.uuid5(_RENEWALS, f'{shop} {agreement_id} {period} {attempt}')}"
