"""The watchdog: every night each subscription has the renewal that its schedule says, or people hear of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.account import Account
from app.domain.errors import NotFound, ProviderError
from app.domain.notice import NoticeKind
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.domain.transaction import Session
from app.usecases.dunning import end_long_held
from app.usecases.ending import end_stopped
from app.usecases.following import all_of
from app.usecases.installations import installed
from app.usecases.notices import note, soon
from app.usecases.planning import local_day
from app.usecases.ports import Deps
from app.usecases.starting import begin_subscription

PROBLEM_KEY = "vipps-recurring-watchdog:"
_PAGE = 500
_MOST = 1000  # gaps that are told one by one; where there are more, these are enough to look at
_DAY = timedelta(days=1)
# How long after a charge's last day its outcome may take to be known.
_SLACK = timedelta(days=3)
_TOLD_FOR = timedelta(days=7)


class GapKind(StrEnum):
    NOT_PLANNED = "NOT_PLANNED"  # its next period is over and nobody planned it
    NO_RENEWAL = "NO_RENEWAL"  # a period has no row at all
    MISSED = "MISSED"  # nobody planned a period before the next one was due, and it is not charged
    STUCK = "STUCK"  # a renewal that should be final is not, and names no reason
    NO_ORDER = "NO_ORDER"  # approved at Vipps, and no order came of it


_WORDS: Mapping[GapKind, str] = {
    GapKind.NOT_PLANNED: "subscriptions are past their due day and not planned: is a worker running?",
    GapKind.NO_RENEWAL: "subscriptions have periods without a renewal: vipps-recurring renewals backfill",
    GapKind.MISSED: "periods were not planned in time and are not charged: vipps-recurring renewals backfill",
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
    async with deps.store.begin() as unit:
        without = await unit.subscriptions.without(None, _MOST)
    await all_of(deps, [_look_for_order(deps, it) for it in without if it.order is None])
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
    gaps += await _missed(deps, sorted({it.shop for it in accounts.values()}))
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


async def _missed(deps: Deps, shops: Sequence[str]) -> list[Gap]:
    """Told for a week: whoever does not want them charged after all has nothing to do."""
    found = []
    for shop in shops:
        async with deps.store.begin() as unit:
            rows = await unit.renewals.of_status(shop, RenewalStatus.SKIPPED, RenewalReason.MISSED, _MOST, newest=True)
        found += [it for it in rows if it.created_at > deps.clock() - _TOLD_FOR]
    return [Gap(GapKind.MISSED, it.shop, it.agreement_id, f"period {it.period}, due {it.due}") for it in found]


async def _stuck(deps: Deps, renewal: Renewal, yesterday: date) -> str | None:
    """Why a renewal past its due day is a gap; None where it is under way or names its own reason."""
    if renewal.dead is not None:
        return renewal.dead
    if renewal.status is RenewalStatus.WAITING and renewal.reason is not None:
        return None
    if renewal.status in {RenewalStatus.PLANNED, RenewalStatus.WAITING}:
        # A backfilled one is due long ago, and was planned a moment ago.
        fresh = renewal.created_at > deps.clock() - _DAY
        return None if fresh else f"{renewal.status} since {renewal.due}"
    if renewal.status is RenewalStatus.COLLECTED and renewal.reason is not None:
        return None  # staff were told when its order could not be completed
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(renewal.shop, renewal.charge_row or "")
    if charge is None:
        return "its charge is unknown"
    if charge.dead is not None:
        return charge.dead
    last = charge.due + timedelta(days=charge.retry_days) + _SLACK
    return f"its charge of {charge.due} is {charge.status}" if last < yesterday else None


async def _look_for_order(deps: Deps, session: Session) -> None:
    """Saleor tells of a new order for some minutes only: one that was not heard of is asked for here."""
    order = await deps.shop.order_of(await installed(deps, session.shop), session.id)
    if order is None:
        return
    async with deps.store.begin() as unit:
        await unit.sessions.give_order(session.shop, session.id, order)
    await begin_subscription(deps, session.shop, session.id)


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
