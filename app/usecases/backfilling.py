"""Periods that nobody planned in time, planned after all because a person says so: each of them is charged."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from app.domain.account import Caller, Scope
from app.domain.errors import Forbidden
from app.domain.records import AuditEntry, Page
from app.domain.renewal import Renewal, RenewalFilter, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.planning import hand_over, planned_anew, planned_row
from app.usecases.ports import Deps, Unit

MOST = 100_000
_PAGE = 500


def missed_since(since: date) -> RenewalFilter:
    return RenewalFilter(frozenset({RenewalStatus.SKIPPED}), RenewalReason.MISSED, due_from=since)


async def count_missed(deps: Deps, caller: Caller, since: date) -> int:
    """Those without a row among them: whoever is shown a number is never charged for more."""
    _require(caller)
    async with deps.store.begin() as unit:
        count = await unit.renewals.count(caller.shop, missed_since(since))
        for shop, subscription_id, _ in await unit.renewals.gaps(MOST):
            if shop == caller.shop:
                count += len(await _without_row(deps, unit, shop, subscription_id, since))
    return count


def _require(caller: Caller) -> None:
    caller.require(Scope.CHARGES_WRITE)
    if caller.own_only:
        raise Forbidden("only the shop has missed periods of its customers charged")


async def backfill(deps: Deps, caller: Caller, since: date, most: int = MOST) -> int:
    """Plan the periods due since that day that were missed or have no row, the oldest first and about `most` of them;
    how many.

    Each is charged for itself, as far as the amount that the customer agreed to for an interval allows: what goes
    beyond it waits. What was skipped for another reason stays skipped.
    """
    _require(caller)
    filled: list[Renewal] = []
    page = Page(_PAGE, newest_first=False)
    while len(filled) < most:
        async with deps.store.begin() as unit:
            missed = await unit.renewals.page(caller.shop, missed_since(since), page)
        for renewal in missed:
            filled += await _revive(deps, caller, renewal)
        if len(missed) < page.size:
            break
        page = replace(page, cursor=(missed[-1].due, missed[-1].id))
    async with deps.store.begin() as unit:
        missing = [it for it in await unit.renewals.gaps(MOST) if it[0] == caller.shop]
    for _, subscription_id, _ in missing[: max(most - len(filled), 0)]:
        filled += await _fill(deps, caller, subscription_id, since)
    await hand_over(deps, filled)
    return len(filled)


async def _revive(deps: Deps, caller: Caller, renewal: Renewal) -> Sequence[Renewal]:
    now = deps.clock()
    async with deps.store.begin() as unit:
        found = await _active(unit, renewal.shop, renewal.subscription_id)
        taken = await unit.renewals.take(renewal, now, now) if found else None
        if found is None or taken is None:
            return []
        again = replace(planned_anew(taken, found.agreement_id, now), lease_until=None)
        await unit.renewals.save(again)
        await _note(deps, unit, caller, [again], f" {renewal.status}")
    return [again]


async def _fill(deps: Deps, caller: Caller, subscription_id: str, since: date) -> Sequence[Renewal]:
    async with deps.store.begin() as unit:
        rows = await _without_row(deps, unit, caller.shop, subscription_id, since)
        await unit.renewals.add_all(rows)
        await _note(deps, unit, caller, rows, " without a row")
    return rows


async def _without_row(deps: Deps, unit: Unit, shop: str, subscription_id: str, since: date) -> Sequence[Renewal]:
    found = await _active(unit, shop, subscription_id)
    if found is None:
        return []
    known = {it.period for it in await unit.renewals.of_subscription(shop, subscription_id, 10_000)}
    missing = [period for period in range(1, found.next_period) if period not in known]
    rows = [planned_row(found, period, found.schedule.due(period), deps.clock()) for period in missing]
    return [row for row in rows if row.due >= since]


async def _active(unit: Unit, shop: str, subscription_id: str) -> Subscription | None:
    found = await unit.subscriptions.get(shop, subscription_id)
    return found if found is not None and found.status is SubscriptionStatus.ACTIVE else None


async def _note(deps: Deps, unit: Unit, caller: Caller, rows: Sequence[Renewal], before: str) -> None:
    entries = [
        AuditEntry(
            it.shop,
            caller.actor,
            "renewal.backfilled",
            it.agreement_id,
            deps.clock(),
            before=f"period {it.period}{before}",
            after=f"period {it.period} {it.status}",
        )
        for it in rows
    ]
    await unit.audit.add(entries)
