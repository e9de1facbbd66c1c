"""What will be renewed, by day: computed from the schedules, those that are alike at once; and what was, as a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.account import Caller, Scope
from app.domain.charge import Charge
from app.domain.errors import Forbidden, InvalidInput
from app.domain.figures import Expected, price_of
from app.domain.money import Currency, Money
from app.domain.records import Page
from app.domain.renewal import Renewal, RenewalFilter
from app.domain.subscription import Alike, Subscription, SubscriptionStatus
from app.usecases.ports import Deps, Unit

MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    count: int
    total: Money


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one currency; `currencies` are all that there are something to be renewed in."""

    currency: Currency
    days: Sequence[Day]
    currencies: Sequence[Currency]

    @property
    def count(self) -> int:
        return sum(day.count for day in self.days)

    @property
    def total(self) -> Money:
        return Money(sum(day.total.minor for day in self.days), self.currency)


def _require_shop(caller: Caller) -> None:
    caller.require(Scope.AGREEMENTS_READ)
    if caller.own_only:
        raise Forbidden("only the shop sees the renewals of all its customers")


async def forecast(deps: Deps, caller: Caller, since: date, until: date, currency: Currency | None = None) -> Forecast:
    """Both days count. Without a currency it is the one in which most is renewed."""
    _require_shop(caller)
    if not since <= until <= since + timedelta(days=MOST_DAYS):
        raise InvalidInput(f"from and to span 0 to {MOST_DAYS} days", field="to")
    async with deps.store.begin() as unit:
        groups = await unit.subscriptions.alike(caller.shop)
        found = by_currency(await to_renew(unit, caller.shop, groups, since, until))
    most = Counter({of: sum(day.count for day in days) for of, days in found.items()})
    mine = currency or next((of for of, _ in most.most_common(1)), Currency.NOK)
    return Forecast(mine, found.get(mine, []), sorted(most))


async def to_renew(unit: Unit, shop: str, groups: Sequence[Alike], since: date, until: date) -> Sequence[Expected]:
    """Periods that are renewals already and not collected yet, and those that the schedules say after them."""
    planned = await unit.figures.renewals_to_come(shop, since, until)
    return [
        *planned,
        *(Expected(day, it.count, _cost(it, day)) for it in groups for day in _due_days(it, since, until)),
    ]


def by_currency(expected: Sequence[Expected]) -> Mapping[Currency, Sequence[Day]]:
    counts: Counter[tuple[Currency, date]] = Counter()
    totals: Counter[tuple[Currency, date]] = Counter()
    for it in expected:
        price = price_of(it.price, it.lines)
        counts[price.currency, it.day] += it.count
        totals[price.currency, it.day] += it.count * price.minor
    found: dict[Currency, list[Day]] = {}
    for (of, day), count in sorted(counts.items()):
        found.setdefault(of, []).append(Day(day, count, Money(totals[of, day], of)))
    return found


def _due_days(alike: Alike, since: date, until: date) -> Sequence[date]:
    if alike.status is SubscriptionStatus.PAUSED and alike.paused_until is None:
        return ()  # a pause without an end says of no day that anything is renewed on it
    period = alike.schedule.first_from(max(since, alike.next_due, alike.paused_until or since), 0)
    days: list[date] = []
    while (day := alike.schedule.due(period)) <= until:
        days.append(day)
        period += 1
    return days


def _cost(alike: Alike, day: date) -> Money:
    if alike.change is not None and day >= alike.change[0]:
        return alike.change[1]
    return price_of(alike.price, alike.lines)


async def list_renewals(
    deps: Deps, caller: Caller, wanted: RenewalFilter, after: tuple[date, str] | None, limit: int
) -> tuple[Sequence[Renewal], int]:
    """A page of the shop's periods, the latest due first, and the number of all that match."""
    _require_shop(caller)
    async with deps.store.begin() as unit:
        rows = await unit.renewals.page(caller.shop, wanted, Page(limit, after))
        return rows, await unit.renewals.count(caller.shop, wanted)


async def subscriptions_of(deps: Deps, shop: str, agreement_ids: Sequence[str]) -> Mapping[str, Subscription]:
    """The subscriptions of agreements that the caller was shown, by agreement id."""
    async with deps.store.begin() as unit:
        return await unit.subscriptions.by_agreements(shop, agreement_ids)


async def renewals_of(
    deps: Deps, shop: str, subscription_ids: Sequence[str], limit: int
) -> Mapping[str, Sequence[Renewal]]:
    """The newest periods of subscriptions that the caller was shown, by subscription id, newest first."""
    async with deps.store.begin() as unit:
        found = await unit.renewals.of_subscriptions(shop, subscription_ids, limit)
    return {name: list(reversed(rows)) for name, rows in found.items()}


async def charges_of(deps: Deps, caller: Caller, charge_rows: Sequence[str]) -> Mapping[str, Charge]:
    """The charges of periods that the caller was shown, by row id."""
    caller.require(Scope.CHARGES_READ)
    async with deps.store.begin() as unit:
        return await unit.charges.many(caller.shop, charge_rows)
