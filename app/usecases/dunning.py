"""After a charge failed for good, or no order could be made: try again, or give up as the merchant says."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from app.domain.account import system
from app.domain.charge import Charge, ChargeStatus
from app.domain.dunning import GiveUp, Step, StepKind
from app.domain.notice import NoticeKind
from app.domain.records import AuditEntry
from app.domain.renewal import RENEWAL_SLOT, Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import UNPAID, Subscription, SubscriptionStatus
from app.usecases.ending import end
from app.usecases.notices import note, soon
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Unit
from app.usecases.renewal_orders import take_away
from app.usecases.renewal_work import PROBLEMS, Work, entry, facts, put, rested, settle, went_away
from app.usecases.unpaid import FAILURES

_HELD = "subscription.held"


def slot_of(renewal: Renewal, attempt: int) -> str:
    """What may be charged once: a period's attempt."""
    return f"{RENEWAL_SLOT}{renewal.id}/{attempt}"


def in_dunning(renewal: Renewal) -> bool:
    """It waits for the day of its next charge, and no event brings that day nearer."""
    return renewal.status is RenewalStatus.WAITING and renewal.reason in FAILURES


async def charge_failed(deps: Deps, work: Work, charge: Charge) -> None:
    """One failed charge is one attempt: Vipps has tried on each of its own retry days before it said so."""
    today = local_day(deps, work.account)
    rejected = charge.status is ChargeStatus.REJECTED
    reason = RenewalReason.CHARGE_REJECTED if rejected else RenewalReason.CHARGE_FAILED
    text = ": ".join(part for part in (charge.failure_code, charge.failure) if part) or "Vipps gave no reason"
    failed = replace(
        work.renewal,
        reason=reason,
        reason_text=text,
        charge_row=None,
        failed_on=work.renewal.failed_on or today,
        hindered_on=None,
    )
    if work.subscription.status in {SubscriptionStatus.ENDED, SubscriptionStatus.HELD}:
        await give_up(deps, work, failed, GiveUp.CONTINUE)
        return
    next_ = work.account.dunning.after_failure(failed.attempt, today, charge.failure_code)
    if next_.kind is StepKind.GIVE_UP:
        await give_up(deps, work, failed, next_.then or GiveUp.CONTINUE)
        return
    await _retry(deps, work, failed, next_)


async def _retry(deps: Deps, work: Work, failed: Renewal, next_: Step) -> None:
    """The same order with a new charge, which is due on that day and made so many days before it as Vipps wants."""
    day = next_.on - timedelta(days=work.account.lead_days)
    at = max(datetime.combine(day, time(), UTC), deps.clock())
    told = {"next_attempt": next_.on.isoformat(), "pay_url": deps.pay_url(failed.id)}
    data = facts(work, reason=failed.reason, text=failed.reason_text, **told)
    after = rested(replace(failed, status=RenewalStatus.WAITING), at)
    await settle(deps, work, after, (NoticeKind.RENEWAL_FAILED, data, f"failed/{failed.attempt}"))


async def give_up(deps: Deps, work: Work, failed: Renewal, then: GiveUp) -> None:
    """The period stays unpaid, its order goes, and the subscription becomes what the merchant has decided."""
    await take_away(deps, work)
    if then is GiveUp.CANCEL:
        reason = f"period {failed.period} stayed unpaid: {failed.reason}"
        await end(deps, system(failed.shop), work.subscription, reason)
    after = rested(replace(failed, status=RenewalStatus.FAILED, charge_row=None), None)
    held = then is GiveUp.HOLD or work.subscription.status is SubscriptionStatus.HELD
    link = deps.pay_url(failed.id) if held and failed.reason in FAILURES else None
    data = facts(work, reason=after.reason, text=after.reason_text, next_attempt=None, then=then.value, pay_url=link)
    async with deps.store.begin() as unit:
        await put(unit, after)
        await unit.audit.add([entry(deps, work.renewal, after)])
        kind = NoticeKind.RENEWAL_FAILED
        told = [await note(unit, deps, work.account, kind, work.subscription, data, f"{after.id}/given-up")]
        if then is GiveUp.HOLD:
            told.append(await _hold(unit, deps, work))
    await soon(deps, after.shop, *told)
    if work.renewal.reason in PROBLEMS:
        await went_away(deps, work.installation, work.renewal.reason)


async def _hold(unit: Unit, deps: Deps, work: Work) -> str | None:
    current = await unit.subscriptions.get(work.renewal.shop, work.renewal.subscription_id, lock=True)
    held = current.held(UNPAID) if current else None
    if current is None or held is None or held == current:
        return None
    await unit.subscriptions.save(held)
    await unit.audit.add([_held_entry(deps, current, held)])
    data = facts(work, reason=UNPAID)
    return await note(unit, deps, work.account, NoticeKind.SUBSCRIPTION_HELD, held, data, f"{work.renewal.id}/held")


async def end_long_held(deps: Deps, shop: str) -> int:
    """End what was held for an unpaid period for as many days as its account's policy waits; how many."""
    ended, after = 0, ""
    async with deps.store.begin() as unit:
        accounts = {it.id: it for it in await unit.accounts.of_shop(shop)}
    while True:
        async with deps.store.begin() as unit:
            page = await unit.subscriptions.page_after(shop, after, [SubscriptionStatus.HELD], 500)
        if not page:
            return ended
        after = page[-1].id
        for it in page:
            account = accounts.get(it.account_id)
            days = account.dunning.cancel_after if account else None
            if account is None or days is None or it.reason != UNPAID:
                continue
            since = await held_since(deps, it)
            async with deps.store.begin() as unit:
                paying = await unit.recoveries.open_of(shop, it.id)
            if paying is not None:
                continue
            if since is not None and since + timedelta(days=days) <= deps.clock():
                await end(deps, system(shop), it, f"it was on hold for {days} days, and a period stayed unpaid")
                ended += 1


async def held_since(deps: Deps, subscription: Subscription) -> datetime | None:
    """When it was put on hold, as the audit has it."""
    async with deps.store.begin() as unit:
        entries = await unit.audit.of_object(subscription.shop, subscription.agreement_id)
    times = [it.at for it in entries if it.action == _HELD]
    return max(times, default=None)


def _held_entry(deps: Deps, before: Subscription, after: Subscription) -> AuditEntry:
    return AuditEntry(
        before.shop,
        system(before.shop).actor,
        _HELD,
        before.agreement_id,
        deps.clock(),
        before.status,
        after.status,
        after.reason or "",
    )
