"""A subscription: what is renewed on an agreement, for whom, when next, and what its owner may ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from app.domain.errors import IllegalState, InvalidInput
from app.domain.money import Currency, Money
from app.domain.plan import Plan
from app.domain.schedule import Schedule

MAX_QUANTITY = 1000
MAX_LINES = 50
UNPAID = "UNPAID"  # why a subscription is on hold for a period that stayed unpaid; staff's own words are never this

_MOVED = "it goes on with agreement "


class SubscriptionStatus(StrEnum):
    """ACTIVE is renewed; PAUSED until a day or until resumed; HELD waits for the merchant or a payment; ENDING is not
    renewed any more and stops when the paid period ends; ENDED is final.
    """

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    HELD = "HELD"
    ENDING = "ENDING"
    ENDED = "ENDED"


# What is in force and brings in nothing more as it stands.
RESTING = (SubscriptionStatus.PAUSED, SubscriptionStatus.HELD, SubscriptionStatus.ENDING)


class VoucherPolicy(StrEnum):
    """Whether the first order's voucher also counts for the renewals."""

    FIRST = "FIRST"
    EVERY = "EVERY"


@dataclass(frozen=True, slots=True)
class SubscriptionLine:
    """`variant` is Saleor's id. `unit_price` is minor units that override the catalogue's price; None follows it.

    `since` says, as ISO 8601, when the shop changed what the subscription consists of; None where it is as it was sold,
    or has been priced anew.
    """

    variant: str
    quantity: int
    name: str = ""
    unit_price: int | None = None
    since: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MAX_QUANTITY:
            raise InvalidInput(f"quantity is {self.quantity}; it is 1 to {MAX_QUANTITY}", field="quantity")
        if self.unit_price is not None and self.unit_price < 0:
            raise InvalidInput("a unit price is not negative", field="unitPrice")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Where renewals go: a person's data, stored sealed, never logged. Addresses are Saleor's `AddressInput` fields."""

    email: str | None = field(repr=False)
    billing: Mapping[str, str] | None = field(repr=False)
    shipping: Mapping[str, str] | None = field(repr=False)
    language: str | None = None


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A new price that the customer was told of. Renewals due on `on` or later follow it.

    `price` is the agreement's own at Vipps; `unit_prices` are minor units per variant for the renewal orders.
    """

    on: date
    price: Money
    unit_prices: Mapping[str, int]
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """`id` is its agreement's row id. `next_period` and `next_due` are what the planner takes next; period 0 is what
    the first order paid. `version` grows with each change, so that two changes at once cannot both win.
    `initial_number` is the first order's number, as people know it.
    """

    id: str
    shop: str
    account_id: str
    agreement_id: str
    customer: str | None
    channel: str
    channel_id: str
    currency: Currency
    initial_order: str
    lines: tuple[SubscriptionLine, ...]
    schedule: Schedule
    next_period: int
    next_due: date
    status: SubscriptionStatus
    created_at: datetime
    shipping_method: str | None = None
    voucher: str | None = None
    voucher_policy: VoucherPolicy = VoucherPolicy.FIRST
    paused_until: date | None = None
    ends_on: date | None = None
    price_change: PriceChange | None = None
    reason: str | None = None
    version: int = 0
    initial_number: str | None = None

    @property
    def plan(self) -> Plan:
        return self.schedule.plan

    def _require(self, *statuses: SubscriptionStatus) -> None:
        if self.status not in statuses:
            raise IllegalState(f"the subscription is {self.status}: this cannot be done any more", field="agreementId")

    def _require_alive(self) -> None:
        self._require(SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED, SubscriptionStatus.HELD)

    def planned(self, until: int) -> "Subscription":
        """With the periods before `until` taken by the planner."""
        return replace(self, next_period=until, next_due=self.schedule.due(until))

    def paused(self, until: date | None, today: date) -> "Subscription":
        self._require_alive()
        if until is not None and until <= today:
            raise InvalidInput(f"until is {until}; a pause ends tomorrow at the earliest", field="until")
        return replace(self, status=SubscriptionStatus.PAUSED, paused_until=until, reason=None)

    def resumed(self) -> "Subscription":
        """Active again. The planner gives the periods that fell into the pause their reason."""
        self._require(SubscriptionStatus.PAUSED, SubscriptionStatus.HELD, SubscriptionStatus.ENDING)
        return replace(
            self,
            status=SubscriptionStatus.ACTIVE,
            next_due=self.schedule.due(self.next_period),
            paused_until=None,
            ends_on=None,
            reason=None,
        )

    def held(self, reason: str) -> "Subscription":
        if self.status in {SubscriptionStatus.ENDED, SubscriptionStatus.ENDING}:
            return self
        return replace(self, status=SubscriptionStatus.HELD, reason=reason, paused_until=None)

    def moved(self, day: date, earliest: date) -> "Subscription":
        """The next period is due on another day, and those after it follow from there."""
        self._require_alive()
        if day < earliest:
            raise InvalidInput(f"the date is {day}; the earliest one is {earliest}", field="date")
        latest = self.plan.after(self.next_due, 1)
        if day > latest:
            raise InvalidInput(
                f"the date is {day}; it may be moved by one interval at most, to {latest}: pause it instead",
                field="date",
            )
        return replace(self, schedule=self.schedule.moved(self.next_period, day), next_due=day)

    def skipped(self) -> "Subscription":
        """Without its next period."""
        self.require_active()
        return self.planned(self.next_period + 1)

    def require_active(self) -> None:
        self._require(SubscriptionStatus.ACTIVE)

    def ending(self, on: date | None = None) -> "Subscription":
        """No further renewal; it stops when what is paid for is over: on the next due day, or on that of a period which
        is planned and not charged yet.
        """
        self._require_alive()
        day = min(on or self.next_due, self.next_due)
        # The planner looks at `next_due`, and it is the planner that ends it on that day.
        return replace(self, status=SubscriptionStatus.ENDING, ends_on=day, next_due=day, paused_until=None)

    def ended(self, reason: str) -> "Subscription":
        if self.status is SubscriptionStatus.ENDED:
            return self
        return replace(self, status=SubscriptionStatus.ENDED, reason=reason, paused_until=None, price_change=None)

    def moved_on(self, agreement_id: str) -> "Subscription":
        """Over here, because it goes on with another agreement: none of its periods is missing here."""
        return replace(self.ended(_MOVED + agreement_id), next_period=1)

    @property
    def moved_to(self) -> str | None:
        """The agreement with which it goes on, where it does."""
        reason = self.reason or ""
        moved = self.status is SubscriptionStatus.ENDED and reason.startswith(_MOVED)
        return reason.removeprefix(_MOVED) if moved else None

    @property
    def changed_at(self) -> datetime | None:
        """Since when it consists of something else than what it was sold, or last priced, as."""
        return max((datetime.fromisoformat(it.since) for it in self.lines if it.since), default=None)

    def with_lines(self, lines: tuple[SubscriptionLine, ...], now: datetime) -> "Subscription":
        self._require_alive()
        if not 1 <= len(lines) <= MAX_LINES:
            raise InvalidInput(f"a subscription has 1 to {MAX_LINES} lines", field="lines")
        if len({line.variant for line in lines}) != len(lines):
            raise InvalidInput("a variant stands in one line only; put its quantities together", field="lines")
        if {(it.variant, it.quantity) for it in lines} != {(it.variant, it.quantity) for it in self.lines}:
            lines = tuple(replace(it, since=now.isoformat()) for it in lines)
        return replace(self, lines=lines)

    def with_price_change(self, change: PriceChange) -> "Subscription":
        """With a new price to come, in place of one that was to come before."""
        self._require_alive()
        unknown = sorted(set(change.unit_prices) - {line.variant for line in self.lines})
        if unknown:
            raise InvalidInput(f"{unknown[0]!r:.60} is no variant of this subscription", field="unitPrices")
        if any(price < 0 for price in change.unit_prices.values()):
            raise InvalidInput("a unit price is not negative", field="unitPrices")
        return replace(self, price_change=change)

    def with_delivery(self, shipping_method: str | None, voucher_policy: VoucherPolicy) -> "Subscription":
        self._require_alive()
        return replace(self, shipping_method=shipping_method, voucher_policy=voucher_policy)

    def repriced(self, change: PriceChange) -> "Subscription":
        """With the change in force: the lines cost what it says."""
        lines = tuple(
            replace(line, unit_price=change.unit_prices.get(line.variant, line.unit_price), since=None)
            for line in self.lines
        )
        return replace(self, lines=lines, price_change=None)


@dataclass(frozen=True, slots=True)
class Alike:
    """How many subscriptions are due on the same days and cost the same. The schedule's period 0 is the next one.

    `price` is the agreement's, `change` from which day on it is another one; `lines` stand where it has none.
    """

    count: int
    schedule: Schedule
    next_due: date
    status: SubscriptionStatus
    paused_until: date | None
    price: Money
    change: tuple[date, Money] | None
    lines: tuple[SubscriptionLine, ...]
