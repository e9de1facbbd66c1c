"""What will be renewed, by day: computed from the schedules, those that are alike at once; and what was, as a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.account import Caller, Scope
from app.domain.charge import Charge
from app.domain.errors import Forbidden, InvalidInput
from app.domain.money import Currency, Money
from app.domain.renewal import Renewal, RenewalFilter, RenewalStatus
from app.domain.subscription import Alike, Subscription, SubscriptionLine, SubscriptionStatus
from app.usecases.ports import Deps

MOST_DAYS = 400
_PAGE = 2000
_OPEN = frozenset({RenewalStatus.PLANNED, RenewalStatus.WAITING, RenewalStatus.CHARGING})


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
    counts: Counter[tuple[date, Currency]] = Counter()
    totals: Counter[tuple[date, Currency]] = Counter()
    async with deps.store.begin() as unit:
        groups = await unit.subscriptions.alike(caller.shop)
    for alike in groups:
        for day in _due_days(alike, since, until):
            amount = _cost(alike, day)
            counts[day, amount.currency] += alike.count
            totals[day, amount.currency] += alike.count * amount.minor
    await _add_planned(deps, caller.shop, RenewalFilter(_OPEN, due_from=since, due_to=until), counts, totals)
    most = Counter[Currency]()
    for (_, of), number in counts.items():
        most[of] += number
    mine = currency or next((of for of, _ in most.most_common(1)), Currency.NOK)
    days = [Day(day, number, Money(totals[day, of], of)) for (day, of), number in sorted(counts.items()) if of is mine]
    return Forecast(mine, days, sorted(most))


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
    return _amount(alike.price, alike.lines)


def _amount(price: Money, lines: Sequence[SubscriptionLine]) -> Money:
    """The agreement's price; where it has none of its own, what the lines cost as far as that is fixed."""
    return price if price.minor else Money(sum((it.unit_price or 0) * it.quantity for it in lines), price.currency)


async def _add_planned(
    deps: Deps,
    shop: str,
    wanted: RenewalFilter,
    counts: Counter[tuple[date, Currency]],
    totals: Counter[tuple[date, Currency]],
) -> None:
    """Periods that are renewals already and not collected yet; their subscriptions are scheduled after them."""
    place: tuple[date, str] | None = None
    while True:
        async with deps.store.begin() as unit:
            rows = await unit.renewals.page(shop, wanted, place, _PAGE)
            names = [it.agreement_id for it in rows]
            agreements = await unit.agreements.many(shop, names)
            subscriptions = await unit.subscriptions.by_agreements(shop, names)
        for it in rows:
            amount = it.amount or _amount(agreements[it.agreement_id].price, subscriptions[it.agreement_id].lines)
            counts[it.due, amount.currency] += 1
            totals[it.due, amount.currency] += amount.minor
        if len(rows) < _PAGE:
            return
        place = (rows[-1].due, rows[-1].id)


async def list_renewals(
    deps: Deps, caller: Caller, wanted: RenewalFilter, after: tuple[date, str] | None, limit: int
) -> tuple[Sequence[Renewal], int]:
    """A page of the shop's periods, the latest due first, and the number of all that match."""
    _require_shop(caller)
    async with deps.store.begin() as unit:
        rows = await unit.renewals.page(caller.shop, wanted, after, limit)
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
