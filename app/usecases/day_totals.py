"""What days that are over came to: added up every night, so that a page does not add up a year of charges.

A charge that changes such a day takes its total away (`forget_days`), and who looks adds that day up itself. The night
adds up all days anew: what was changed at the very moment of adding up is wrong until then at most, and so is a number
of agreements of which one was heard late that it had ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from app.domain.charge import Charge
from app.domain.figures import Bucket, DayTotal, Sums, changed_days
from app.domain.money import Currency
from app.domain.plan import add_months
from app.usecases.ports import Deps, Unit
from app.usecases.spans import days_between, zone_of

_MONTHS = 13
_DAY = timedelta(days=1)
# A day is added up when it has been over for so long: what changes a moment that is less old changes no total.
_OVER_FOR = timedelta(hours=1)
_AT_ONCE = 31  # days in a statement


async def day_sums(
    unit: Unit, shop: str, zone: ZoneInfo, first: date, last: date
) -> tuple[Mapping[Currency, int] | None, Sequence[Sums]]:
    """The agreements alive when the first day began, None where nobody counted them; and the sums of each day."""
    totals = await unit.figures.day_totals(shop, zone.key, first - _DAY, last)
    before = next((it.alive for it in totals if it.day < first), None)
    known = {it.day for it in totals}
    found = [of for it in totals if it.day >= first for of in it.sums]
    for days in _runs([it for it in days_between(first, last, zone) if it.day not in known]):
        found += await _added_up(unit, shop, days)
    return before, found


async def forget_days(unit: Unit, before: Charge | None, after: Charge, now: datetime) -> None:
    old = [at for at in changed_days(before, after) if at < now - _OVER_FOR]
    if old:
        await unit.figures.forget_day_totals(after.shop, old)


async def total_days(deps: Deps) -> None:
    """Every shop's days of thirteen months up to yesterday's; a transaction for each month."""
    now = deps.clock()
    async with deps.store.begin() as unit:
        accounts = sorted(await unit.accounts.everywhere(), key=lambda it: it.shop)
    for shop, theirs in groupby(accounts, key=lambda it: it.shop):
        zone = zone_of(list(theirs))
        today = (now - _OVER_FOR).astimezone(zone).date()
        for back in range(1 - _MONTHS, 1):
            month = add_months(today.replace(day=1), back)
            last = min(add_months(month, 1), today) - _DAY
            async with deps.store.begin() as unit:
                await _total(unit, shop, zone, days_between(month, last, zone))


async def _total(unit: Unit, shop: str, zone: ZoneInfo, days: Sequence[Bucket]) -> None:
    """The agreements are counted at the end of the last day only: periods that somebody looks at begin with a month."""
    if not days:
        return
    sums = await _added_up(unit, shop, days)
    alive = await unit.figures.alive(shop, days[-1].until)
    totals = [DayTotal(it.day, [of for of in sums if of.day == it.day]) for it in days]
    await unit.figures.put_day_totals(shop, zone.key, [*totals[:-1], replace(totals[-1], alive=alive)])


async def _added_up(unit: Unit, shop: str, days: Sequence[Bucket]) -> Sequence[Sums]:
    """One for each day and currency on which anything happened."""
    found: dict[tuple[date, Currency], Sums] = {}
    for it in [*await unit.figures.settled(shop, days), *await unit.figures.refunded(shop, days)]:
        found[it.day, it.currency] = found.get((it.day, it.currency), Sums(it.day, it.currency)) + it
    return list(found.values())


def _runs(days: Sequence[Bucket]) -> Iterable[Sequence[Bucket]]:
    """Days that follow each other, as many as one statement takes."""
    run: list[Bucket] = []
    for it in days:
        if run and (len(run) == _AT_ONCE or run[-1].until != it.since):
            yield run
            run = []
        run.append(it)
    if run:
        yield run
