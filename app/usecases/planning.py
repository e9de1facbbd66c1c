"""Planning: each period of a subscription that comes due gets its row, which is renewed or names why not."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from app.domain.account import Account, system
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus, renewal_id
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.ending import end
from app.usecases.following import all_of
from app.usecases.nightly import usable_accounts
from app.usecases.ports import Deps, Job

PAGE = 2000
ENDED = "ENDED"
_TEXTS = {
    RenewalReason.MISSED: "nobody planned it in time, and a later period is due by now; see: renewals backfill",
    RenewalReason.PAUSED: "the subscription was paused",
    RenewalReason.HELD: "the subscription was on hold",
}


def local_day(deps: Deps, account: Account) -> date:
    """Which day it is where the merchant is."""
    return deps.clock().astimezone(ZoneInfo(account.time_zone)).date()


@dataclass(frozen=True, slots=True)
class Planned:
    """How many periods were planned or skipped, by status and reason, and how many subscriptions ended."""

    counts: Mapping[str, int]

    @property
    def planned(self) -> int:
        return self.counts.get(RenewalStatus.PLANNED, 0)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Taken:
    """What planning makes of one subscription: itself afterwards, and its new rows.

    `over` where it has come to its end. Where neither is true and there are no rows, it is left for another day.
    """

    subscription: Subscription
    renewals: Sequence[Renewal] = ()
    over: bool = False


def take(subscription: Subscription, today: date, horizon: date, now: datetime) -> Taken:
    """The periods of a subscription that are due up to the horizon. Raises nothing: every status has its answer."""
    match subscription.status:
        case SubscriptionStatus.ENDING:
            return Taken(subscription, over=subscription.ends_on is None or subscription.ends_on <= today)
        case SubscriptionStatus.ENDED:
            return Taken(subscription)
        case SubscriptionStatus.HELD:
            return _pass_by(subscription, today, RenewalReason.HELD, now)
        case SubscriptionStatus.PAUSED:
            return _paused(subscription, today, horizon, now)
        case SubscriptionStatus.ACTIVE:
            return _active(subscription, today, horizon, now)


def _active(subscription: Subscription, today: date, horizon: date, now: datetime) -> Taken:
    """What is due from tomorrow on is planned. What is late is not charged beside it: only the newest period is.

    So nobody who was forgotten for months is charged for all of them at once.
    """
    due = _due(subscription, horizon)
    late = [it for it in due if it[1] <= today]
    missed = late if len(due) > len(late) else late[:-1]
    rows = [_skipped(subscription, it, RenewalReason.MISSED, now) for it in missed]
    rows += [planned_row(subscription, *it, now) for it in due[len(missed) :]]
    return Taken(_after(subscription, due), rows)


def _paused(subscription: Subscription, today: date, horizon: date, now: datetime) -> Taken:
    until = subscription.paused_until
    if until is None or until > horizon:
        return _pass_by(subscription, today, RenewalReason.PAUSED, now)
    slept = _due(subscription, until - timedelta(days=1))
    rows = [_skipped(subscription, it, RenewalReason.PAUSED, now) for it in slept]
    after = _after(subscription, slept)
    if until > today and after.next_due > horizon:
        return Taken(after, rows)  # nothing to renew before the pause is over
    awake = _active(after.resumed(), today, horizon, now)
    return replace(awake, renewals=[*rows, *awake.renewals])


def _pass_by(subscription: Subscription, today: date, reason: RenewalReason, now: datetime) -> Taken:
    """Only what has come is skipped, so that whoever resumes the day before is renewed."""
    due = _due(subscription, today)
    return Taken(_after(subscription, due), [_skipped(subscription, it, reason, now) for it in due])


def _due(subscription: Subscription, until: date) -> list[tuple[int, date]]:
    """The periods from the next one on that are due on that day or earlier, with their days."""
    found = []
    period, day = subscription.next_period, subscription.next_due
    while day <= until:
        found.append((period, day))
        period += 1
        day = subscription.schedule.due(period)
    return found


def _after(subscription: Subscription, due: Sequence[tuple[int, date]]) -> Subscription:
    return subscription.planned(due[-1][0] + 1) if due else subscription


def planned_row(subscription: Subscription, period: int, due: date, now: datetime) -> Renewal:
    return Renewal(
        id=renewal_id(subscription.shop, subscription.id, period),
        shop=subscription.shop,
        account_id=subscription.account_id,
        subscription_id=subscription.id,
        agreement_id=subscription.agreement_id,
        period=period,
        due=due,
        status=RenewalStatus.PLANNED,
        created_at=now,
        next_attempt_at=now,
    )


def planned_anew(renewal: Renewal, agreement_id: str, now: datetime) -> Renewal:
    """A period that was left out is renewed after all, on the agreement that its subscription has by now. Its draft was
    taken away with it.
    """
    return replace(
        renewal,
        agreement_id=agreement_id,
        status=RenewalStatus.PLANNED,
        reason=None,
        reason_text=None,
        order=None,
        order_number=None,
        next_attempt_at=now,
        created_at=now,
    )


def _skipped(subscription: Subscription, period: tuple[int, date], reason: RenewalReason, now: datetime) -> Renewal:
    row = planned_row(subscription, *period, now)
    return replace(row, status=RenewalStatus.SKIPPED, reason=reason, reason_text=_TEXTS[reason], next_attempt_at=None)


async def plan(deps: Deps, until: date | None = None, *, dry_run: bool = False, page: int = PAGE) -> Planned:
    """Give every period that is due up to each account's horizon its row, and hand what is planned to the jobs.

    The horizon is today plus the account's lead days. `until` brings it nearer; a dry run may look beyond it.
    """
    accounts = {it.id: it for it in await usable_accounts(deps)}
    days = {it.id: local_day(deps, it) for it in accounts.values()}
    horizons = {it.id: days[it.id] + timedelta(days=it.lead_days) for it in accounts.values()}
    if until is not None:
        horizons = {name: until if dry_run else min(day, until) for name, day in horizons.items()}
    if dry_run:
        return await _forecast(deps, days, horizons)
    counts: Counter[str] = Counter()
    left: set[str] = set()
    over: dict[str, Subscription] = {}
    while True:
        taken = await _page(deps, days, horizons, page + len(left))
        fresh = [it for it in taken if it.subscription.id not in left]
        if not fresh:
            break
        counts.update(_counted(fresh))
        # What stays due stands at the head of each page: those that are left for another day, and those that are over.
        left |= {it.subscription.id for it in fresh if it.over or not it.renewals}
        over |= {it.subscription.id: it.subscription for it in fresh if it.over}
        await hand_over(deps, [row for it in fresh for row in it.renewals if row.status is RenewalStatus.PLANNED])
    await all_of(deps, [_end(deps, it) for it in over.values()])
    return Planned(counts)


async def _page(deps: Deps, days: Mapping[str, date], horizons: Mapping[str, date], size: int) -> Sequence[Taken]:
    now = deps.clock()
    async with deps.store.begin() as unit:
        due = await unit.subscriptions.claim_due(horizons, size)
        taken = [take(it, days[it.account_id], horizons[it.account_id], now) for it in due]
        await unit.renewals.add_all([row for it in taken for row in it.renewals])
        await unit.subscriptions.advance_all(
            [it.subscription for it, before in zip(taken, due, strict=True) if it.subscription != before]
        )
    return taken


def _counted(taken: Iterable[Taken]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for it in taken:
        counts.update(name_of(row.status, row.reason) for row in it.renewals)
        counts[ENDED] += it.over
    return +counts


def name_of(status: RenewalStatus, reason: RenewalReason | None) -> str:
    """How a summary names a status and its reason."""
    return status.value if reason is None else f"{status}/{reason}"


async def hand_over(deps: Deps, rows: Sequence[Renewal]) -> None:
    """Jobs for what is planned, many in one."""
    for shop, mine in groupby(sorted(rows, key=lambda row: row.shop), key=lambda row: row.shop):
        ids = [row.id for row in mine]
        for start in range(0, len(ids), deps.limits.chunk):
            await deps.jobs.enqueue(Job.RENEW, shop, ids[start : start + deps.limits.chunk])


async def _end(deps: Deps, subscription: Subscription) -> None:
    # Where that fails it stays due, and is found again when the next planning comes: `all_of` goes on with the rest.
    await end(deps, system(subscription.shop), subscription, "the paid period is over")


async def _forecast(deps: Deps, days: Mapping[str, date], horizons: Mapping[str, date]) -> Planned:
    """What planning would do, with nothing written."""
    now = deps.clock()
    counts: Counter[str] = Counter()
    async with deps.store.begin() as unit:
        shops = sorted({it.shop for it in await unit.accounts.everywhere()})
    live = [it for it in SubscriptionStatus if it is not SubscriptionStatus.ENDED]
    for shop in shops:
        after = ""
        while True:
            async with deps.store.begin() as unit:
                page = await unit.subscriptions.page_after(shop, after, live, PAGE)
            if not page:
                break
            after = page[-1].id
            mine = [it for it in page if it.account_id in horizons and it.next_due <= horizons[it.account_id]]
            counts.update(_counted(take(it, days[it.account_id], horizons[it.account_id], now) for it in mine))
    return Planned(counts)
