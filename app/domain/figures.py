"""What a shop's books add up to: sums and counts, never single agreements or people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from app.domain.charge import Charge, ChargeStatus
from app.domain.money import Currency, Money
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import SubscriptionLine, SubscriptionStatus


@dataclass(frozen=True, slots=True)
class Bucket:
    """A day or a month where the merchant is, named by its first day: the moments from `since` to before `until`."""

    day: date
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Sums:
    """Minor units and numbers of charges, of one currency in one bucket."""

    day: date
    currency: Currency
    collected: int = 0
    collections: int = 0
    failed: int = 0
    failures: int = 0
    refunded: int = 0
    refunds: int = 0

    def __add__(self, more: "Sums") -> "Sums":
        """All of this one's day and currency."""
        return replace(self, **{name: getattr(self, name) + getattr(more, name) for name in SUMS})


SUMS = ("collected", "collections", "failed", "failures", "refunded", "refunds")
MONEY_SUMS = frozenset({"collected", "failed", "refunded"})  # the others are numbers of charges


@dataclass(frozen=True, slots=True)
class Expected:
    """How many payments come due on a day at the same price; `lines` stand where that is 0."""

    day: date
    count: int
    price: Money
    lines: tuple[SubscriptionLine, ...] = ()


@dataclass(frozen=True, slots=True)
class DayTotal:
    """What a day that is over came to in a merchant's time zone, by currency; `alive` are the agreements at its end."""

    day: date
    sums: Sequence[Sums]
    alive: Mapping[Currency, int] | None = None


def changed_days(before: Charge | None, after: Charge) -> Sequence[datetime]:
    """Moments of days that a change of a charge makes come to something else; `before` is none where it was unmade."""
    both = [after] if before is None else [before, after]
    came = [(it.settled_at, it.captured, it.status is ChargeStatus.FAILED) for it in both]
    went = [(it.refunded_at, it.refunded) for it in both]
    moments = [at for states in (came, went) if before is None or states[0] != states[1] for at, *_ in states]
    return [at for at in moments if at is not None]


@dataclass(frozen=True, slots=True)
class Population:
    """Agreements: `active` now, `alive` when a period began, and those of them that `ended` in it.

    `resting` are those that are ACTIVE at Vipps and not renewed as they stand, by why not; `active` is without them.
    """

    active: int
    resting: Mapping[SubscriptionStatus, int]
    alive: int
    ended: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """Periods of one currency whose first charge failed, and how many of them are paid by now."""

    currency: Currency
    failed: int
    paid: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many periods wait for one reason."""

    reason: RenewalReason
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many periods that are due on a day are where, and why; `sum` is what those with an order cost so far."""

    day: date
    status: RenewalStatus
    reason: RenewalReason | None
    count: int
    sum: Money | None


def price_of(price: Money, lines: Sequence[SubscriptionLine]) -> Money:
    """The agreement's price; where it has none of its own, what the lines cost as far as that is fixed."""
    return price if price.minor else Money(sum((it.unit_price or 0) * it.quantity for it in lines), price.currency)
