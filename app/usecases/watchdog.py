"""The watchdog: every night each subscription has the renewal that its schedule says, or people hear of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from app.domain.account import Account
from app.domain.errors import NotFound, ProviderError
from app.domain.notice import NoticeKind
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.dunning import end_long_held
from app.usecases.ending import end_stopped
from app.usecases.following import all_of
from app.usecases.installations import installed
from app.usecases.notices import note, soon
from app.usecases.planning import hand_over, local_day, planned_row
from app.usecases.ports import Deps

PROBLEM_KEY = "vipps-recurring-watchdog:"
_PAGE = 500
_MOST = 1000  # gaps that are told one by one; where there are more, these are enough to look at
_DAY = timedelta(days=1)
# How long after a charge's last day its outcome may take to be known.
_SLACK = timedelta(days=3)


class GapKind(StrEnum):
    NOT_PLANNED = "NOT_PLANNED"  # its next period is over and nobody planned it
    NO_RENEWAL = "NO_RENEWAL"  # a period has no row at all
    STUCK = "STUCK"  # a renewal that should be final is not, and names no reason
    NO_ORDER = "NO_ORDER"  # approved at Vipps, and no order came of it


_WORDS: Mapping[GapKind, str] = {
    GapKind.NOT_PLANNED: "subscriptions are past their due day and not planned: is a worker running?",
    GapKind.NO_RENEWAL: "subscriptions have periods without a renewal: vipps-recurring renewals backfill",
    GapKind.STUCK: "renewals do not come to an end: vipps-recurring failures list",
    GapKind.NO_ORDER: "agreements were approved a day ago or earlier, and no order came of them",
}


@dataclass(frozen=True, slots=True)
class Gap:
    """What is not as the schedule says: ids only."""

    kind: GapKind
    shop: str
    agreement_id: str
    text: str


async def watch(deps: Deps) -> Sequence[Gap]:
    """Put right what can be put right, and find what cannot; each shop's staff are told in Saleor."""
    async with deps.store.begin() as unit:
        accounts = {it.id: it for it in await unit.accounts.everywhere()}
    shops = sorted({it.shop for it in accounts.values()})
    await all_of(deps, [end_long_held(deps, shop) for shop in shops])
    await all_of(deps, [_follow_agreements(deps, shop) for shop in shops])
    await all_of(deps, [_wake_paused(deps, shop, accounts) for shop in shops])
    gaps = await find_gaps(deps, accounts)
    await all_of(deps, [_tell(deps, shop, [it for it in gaps if it.shop == shop]) for shop in shops])
    return gaps


async def find_gaps(deps: Deps, accounts: Mapping[str, Account]) -> Sequence[Gap]:
    days = {it.id: local_day(deps, it) for it in accounts.values()}
    yesterday = (deps.clock() - _DAY).date()
    async with deps.store.begin() as unit:
        overdue = await unit.subscriptions.overdue(days, _MOST)
        missing = await unit.renewals.gaps(_MOST)
        stale = await unit.renewals.stale(yesterday, _MOST)
        without = await unit.subscriptions.without(None, _MOST)
    gaps = [Gap(GapKind.NOT_PLANNED, it.shop, it.agreement_id, f"next due {it.next_due}") for it in overdue]
    for shop, subscription_id, count in missing:
        async with deps.store.begin() as unit:
            found = await unit.subscriptions.get(shop, subscription_id)
        if found is not None:
            gaps.append(Gap(GapKind.NO_RENEWAL, shop, found.agreement_id, f"{count} periods have no renewal"))
    for renewal in stale:
        why = await _stuck(deps, renewal, yesterday)
        if why is not None:
            gaps.append(Gap(GapKind.STUCK, renewal.shop, renewal.agreement_id, f"period {renewal.period}: {why}"))
    for session in without:
        if session.created_at < deps.clock() - _DAY:
            async with deps.store.begin() as unit:
                agreement = await unit.agreements.by_row(session.shop, session.agreement_row)
            name = (agreement.agreement_id if agreement else None) or session.agreement_row
            gaps.append(Gap(GapKind.NO_ORDER, session.shop, name, f"transaction {session.id} has no order"))
    return gaps


async def _stuck(deps: Deps, renewal: Renewal, yesterday: date) -> str | None:
    """Why a renewal past its due day is a gap; None where it is under way or names its own reason."""
    if renewal.dead is not None:
        return renewal.dead
    if renewal.status is RenewalStatus.WAITING and renewal.reason is not None:
        return None
    if renewal.status is not RenewalStatus.CHARGING:
        # A backfilled one is due long ago, and was taken up a moment ago.
        taken_up = renewal.next_attempt_at is not None and renewal.next_attempt_at > deps.clock() - _DAY
        return None if taken_up or renewal.reason is not None else f"{renewal.status} since {renewal.due}"
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(renewal.shop, renewal.charge_row or "")
    if charge is None:
        return "its charge is unknown"
    if charge.dead is not None:
        return charge.dead
    last = charge.due + timedelta(days=charge.retry_days) + _SLACK
    return f"its charge of {charge.due} is {charge.status}" if last < yesterday else None


async def _follow_agreements(deps: Deps, shop: str) -> None:
    """A stopped agreement has no live subscription, whoever told us and whoever did not."""
    after = ""
    live = [it for it in SubscriptionStatus if it is not SubscriptionStatus.ENDED]
    while True:
        async with deps.store.begin() as unit:
            page = await unit.subscriptions.page_after(shop, after, live, _PAGE)
            agreements = await unit.agreements.many(shop, [it.agreement_id for it in page])
        if not page:
            return
        after = page[-1].id
        await all_of(deps, [end_stopped(deps, it) for it in agreements.values() if it.status.final])


async def _wake_paused(deps: Deps, shop: str, accounts: Mapping[str, Account]) -> None:
    """A pause that is over is over, also where no period has come due since."""
    after = ""
    while True:
        async with deps.store.begin() as unit:
            page = await unit.subscriptions.page_after(shop, after, [SubscriptionStatus.PAUSED], _PAGE)
        if not page:
            return
        after = page[-1].id
        for it in page:
            account = accounts.get(it.account_id)
            if account and it.paused_until is not None and it.paused_until <= local_day(deps, account):
                await _resume(deps, account, it)


async def _resume(deps: Deps, account: Account, subscription: Subscription) -> None:
    """The planner has given the periods of the pause their reason already, or finds them still due."""
    if subscription.next_due < (subscription.paused_until or subscription.next_due):
        return  # it is the planner's, which skips what fell into the pause and resumes it then
    async with deps.store.begin() as unit:
        current = await unit.subscriptions.get(subscription.shop, subscription.id, lock=True)
        if current is None or current != subscription:
            return
        await unit.subscriptions.save(current.resumed())
        data = {"paused_until": str(subscription.paused_until)}
        key = f"resumed/{subscription.paused_until}"
        told = await note(unit, deps, account, NoticeKind.SUBSCRIPTION_RESUMED, subscription, data, key)
    await soon(deps, subscription.shop, told)


async def _tell(deps: Deps, shop: str, gaps: Sequence[Gap]) -> None:
    """One problem for each kind of gap; what is gone is taken back."""
    try:
        installation = await installed(deps, shop)
    except NotFound:
        return
    counts = Counter(it.kind for it in gaps)
    for kind in GapKind:
        with suppress(ProviderError):
            if counts[kind]:
                first = next(it for it in gaps if it.kind is kind)
                text = f"{counts[kind]} {_WORDS[kind]} (for example {first.agreement_id}: {first.text})"
                await deps.shop.raise_problem(installation, PROBLEM_KEY + kind, text)
            else:
                await deps.shop.dismiss_problem(installation, PROBLEM_KEY + kind)


async def backfill(deps: Deps, shop: str, since: date) -> int:
    """Plan the periods due since that day that were missed or have no row; how many.

    Each is charged for itself, as far as the amount that the customer agreed to for an interval allows: what goes
    beyond it waits. What was skipped for another reason stays skipped.
    """
    async with deps.store.begin() as unit:
        missed = await unit.renewals.of_status(shop, RenewalStatus.SKIPPED, RenewalReason.MISSED, 100_000)
        missing = [it for it in await unit.renewals.gaps(100_000) if it[0] == shop]
    rows = [it for it in missed if it.due >= since]
    filled: list[Renewal] = []
    for renewal in rows:
        filled += await _revive(deps, renewal)
    for _, subscription_id, _ in missing:
        filled += await _fill(deps, shop, subscription_id, since)
    await hand_over(deps, filled)
    return len(filled)


async def _revive(deps: Deps, renewal: Renewal) -> Sequence[Renewal]:
    now = deps.clock()
    again = replace(
        renewal, status=RenewalStatus.PLANNED, reason=None, reason_text=None, next_attempt_at=now, created_at=now
    )
    async with deps.store.begin() as unit:
        found = await unit.subscriptions.get(renewal.shop, renewal.subscription_id)
        alive = found is not None and found.status is SubscriptionStatus.ACTIVE
        return [again] if alive and await unit.renewals.save(again) else []


async def _fill(deps: Deps, shop: str, subscription_id: str, since: date) -> Sequence[Renewal]:
    async with deps.store.begin() as unit:
        found = await unit.subscriptions.get(shop, subscription_id)
        if found is None or found.status is not SubscriptionStatus.ACTIVE:
            return []
        known = {it.period for it in await unit.renewals.of_subscription(shop, subscription_id, 10_000)}
        missing = [period for period in range(1, found.next_period) if period not in known]
        rows = [planned_row(found, period, found.schedule.due(period), deps.clock()) for period in missing]
        rows = [row for row in rows if row.due >= since]
        await unit.renewals.add_all(rows)
    return rows
