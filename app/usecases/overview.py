"""What a shop's subscriptions bring in, and what somebody has to look at: its own books only, nobody is asked anything.

Each figure is of one currency. Days and months are those of the clock of the shop's default account.

- Collected: what was captured, on the day when it came.
- Failed: charges that Vipps gave up, on that day. What Vipps never made a charge of is not among them.
- Refunded: what went back, on the day of the charge's last refund.
- Due: what is to be collected from today on for thirty days, the thirtieth included: periods to be renewed and other
  charges on their way, at the price that is known now.
- Monthly recurring revenue: the prices of all ACTIVE subscriptions, each made a month's and rounded half up. PAUSED,
  HELD and ENDING ones bring in nothing more as they stand, and are left out.
- Active agreements: those that are ACTIVE at Vipps now, with a subscription or without, except for those whose
  subscription is PAUSED, HELD or ENDING: they are told beside them.
- Churn: agreements that ended in the period, of those that were alive when it began. One that a pay link replaced has
  not ended.
- Recovery: of the periods whose first charge failed in the period, those that are paid by now, by a new attempt or by
  the pay link.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.domain.account import Caller, Scope
from app.domain.errors import Forbidden
from app.domain.figures import Population, Recovered, Sums, price_of
from app.domain.money import Currency, Money
from app.domain.subscription import Alike, SubscriptionStatus
from app.usecases.day_totals import day_sums
from app.usecases.forecast import Day, by_currency, to_renew
from app.usecases.ports import Deps
from app.usecases.spans import Period, Span, period_of, zone_of

AHEAD = timedelta(days=30)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one currency. `sums` has each day or month of the period, `due` only days on which something is due."""

    currency: Currency
    sums: Sequence[Sums]
    due: Sequence[Day]
    recurring: Money
    population: Population
    recovered: Recovered

    @property
    def total(self) -> Sums:
        return sum(self.sums[1:], self.sums[0])

    @property
    def due_total(self) -> Money:
        return Money(sum(it.total.minor for it in self.due), self.currency)

    @property
    def due_count(self) -> int:
        return sum(it.count for it in self.due)


@dataclass(frozen=True, slots=True)
class Overview:
    """`figures` are those of each currency that there is something of, the one with most agreements first."""

    period: Period
    figures: Sequence[Figures]


def require_shop(caller: Caller) -> None:
    caller.require(Scope.AGREEMENTS_READ)
    caller.require(Scope.CHARGES_READ)
    if caller.own_only:
        raise Forbidden("only the shop sees what all its customers pay")


async def overview(deps: Deps, caller: Caller, span: Span) -> Overview:
    require_shop(caller)
    shop = caller.shop
    async with deps.store.begin() as unit:
        accounts = await unit.accounts.of_shop(shop)
        zone = zone_of(accounts)
        period = period_of(span, deps.clock(), zone)
        since, until = period.buckets[0].since, period.buckets[-1].until
        before, sums = await day_sums(unit, shop, zone, period.first, period.end)
        last = period.today + AHEAD - _DAY
        alike = await unit.subscriptions.alike(shop)
        coming = [
            *await to_renew(unit, shop, alike, period.today, last),
            *await unit.figures.charges_to_come(shop, period.today, last),
        ]
        active, resting = await unit.figures.active(shop), await unit.figures.resting(shop)
        ended = await unit.figures.ended(shop, since, until)
        alive = await unit.figures.alive(shop, since) if before is None else before
        recovered = {it.currency: it for it in await unit.figures.recovered(shop, period.first, period.last)}
    due, recurring = by_currency(coming), recurring_revenue(alike)
    currencies = {it.currency for it in sums} | set(due) | set(recurring) | set(active) | set(alive) | set(recovered)
    figures = [
        Figures(
            of,
            _filled(period, of, sums),
            due.get(of, []),
            Money(recurring.get(of, 0), of),
            _population(active.get(of, 0), resting.get(of, {}), alive.get(of, 0), ended.get(of, 0)),
            recovered.get(of, Recovered(of, 0, 0)),
        )
        for of in currencies
    ]
    return Overview(period, sorted(figures, key=lambda it: (-it.population.active, it.currency)))


def recurring_revenue(groups: Sequence[Alike]) -> Mapping[Currency, int]:
    """Minor units a month; each subscription is rounded for itself, so that a sum is the sum of what one sees."""
    found: dict[Currency, int] = {}
    for it in groups:
        if it.status is SubscriptionStatus.ACTIVE:
            price = price_of(it.price, it.lines)
            found[price.currency] = found.get(price.currency, 0) + it.count * it.schedule.plan.per_month(price.minor)
    return found


def _population(active: int, resting: Mapping[SubscriptionStatus, int], alive: int, ended: int) -> Population:
    return Population(active - sum(resting.values()), resting, alive, ended)


def _filled(period: Period, currency: Currency, sums: Sequence[Sums]) -> Sequence[Sums]:
    """One for each bucket, also where nothing happened."""
    found = {bucket.day: Sums(bucket.day, currency) for bucket in period.buckets}
    for it in sums:
        if it.currency is currency:
            found[it.day.replace(day=1) if period.span is Span.YEAR else it.day] += it
    return [found[bucket.day] for bucket in period.buckets]
