"""What a shop's renewals do: what became of those of each day, what the coming days bring, what the nights found.

Our own books only. A day is the day on which a period is due. Days to come count what the schedules say, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from app.domain.account import Account, Caller
from app.domain.figures import Outcome
from app.domain.money import Currency, Money
from app.domain.records import AuditFilter, Finding
from app.domain.renewal import RenewalReason, RenewalStatus
from app.usecases.forecast import by_currency, to_renew
from app.usecases.looking import require_shop
from app.usecases.ports import Deps, Unit
from app.usecases.reconciliation import RECONCILED
from app.usecases.spans import zone_of

PAST, AHEAD = timedelta(days=14), timedelta(days=7)
_DAY = timedelta(days=1)
_PAID = frozenset({RenewalStatus.PAID, RenewalStatus.COLLECTED})
_ENTRIES = 20  # of an account's newest, among which its last comparison is


@dataclass(frozen=True, slots=True)
class Part:
    """Periods of one day that are in one state for one reason; `sums` of those that have an order."""

    status: RenewalStatus
    reason: RenewalReason | None
    count: int
    sums: Sequence[Money]


@dataclass(frozen=True, slots=True)
class RunDay:
    """`count` periods are due; `sums` are what was collected of them, or what is expected on a day to come."""

    date: date
    count: int
    sums: Sequence[Money]
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Night:
    """When an account's books were compared with Vipps' the last time, and what was said of it; None if never."""

    account: Account
    at: datetime | None = None
    told: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Runs:
    """`past` has the newest day first, and ends today; `coming` begins tomorrow. Days without periods are left out."""

    today: date
    past: Sequence[RunDay]
    coming: Sequence[RunDay]
    nights: Sequence[Night]
    findings: Sequence[Finding]


async def runs(deps: Deps, caller: Caller) -> Runs:
    require_shop(caller)
    shop = caller.shop
    async with deps.store.begin() as unit:
        accounts = await unit.accounts.of_shop(shop)
        today = deps.clock().astimezone(zone_of(accounts)).date()
        last = today + AHEAD
        found = await unit.figures.outcomes(shop, today - PAST + _DAY, last)
        groups = await unit.subscriptions.alike(shop)
        expected = by_currency(await to_renew(unit, shop, groups, today + _DAY, last))
        nights = [await _night(unit, it) for it in accounts]
        findings = [it for it in await unit.findings.of_shop(shop) if not it.repaired]
    parts = {day: _parts(list(those)) for day, those in groupby(found, lambda it: it.day)}
    past = [_past(day, parts[day]) for day in sorted(parts, reverse=True) if day <= today]
    coming: dict[date, list[tuple[int, Money]]] = {}
    for days in expected.values():
        for it in days:
            coming.setdefault(it.date, []).append((it.count, it.total))
    ahead = [
        RunDay(day, sum(count for count, _ in coming[day]), [sum_ for _, sum_ in coming[day]], parts.get(day, []))
        for day in sorted(coming)
    ]
    return Runs(today, past, ahead, nights, findings)


def _parts(outcomes: Sequence[Outcome]) -> Sequence[Part]:
    """One for each status and reason, in the order in which a period goes through them."""
    found: dict[tuple[RenewalStatus, RenewalReason | None], tuple[int, Mapping[Currency, int]]] = {}
    for it in outcomes:
        count, sums = found.get((it.status, it.reason), (0, {}))
        more = {it.sum.currency: sums.get(it.sum.currency, 0) + it.sum.minor} if it.sum else {}
        found[it.status, it.reason] = (count + it.count, {**sums, **more})
    order = list(RenewalStatus)
    named = sorted(found.items(), key=lambda it: (order.index(it[0][0]), it[0][1] or ""))
    return [
        Part(status, reason, count, [Money(minor, of) for of, minor in sorted(sums.items())])
        for (status, reason), (count, sums) in named
    ]


def _past(day: date, parts: Sequence[Part]) -> RunDay:
    collected: dict[Currency, int] = {}
    for part in parts:
        for sum_ in part.sums if part.status in _PAID else ():
            collected[sum_.currency] = collected.get(sum_.currency, 0) + sum_.minor
    sums = [Money(minor, of) for of, minor in sorted(collected.items())]
    return RunDay(day, sum(part.count for part in parts), sums, parts)


async def _night(unit: Unit, account: Account) -> Night:
    rows = await unit.audit.page(account.shop, AuditFilter(account.id), None, _ENTRIES)
    last = next((entry for _, entry in rows if entry.action == RECONCILED), None)
    return Night(account, last.at, last.after, last.reason) if last else Night(account)
