"""What comes of a draft by which a customer pays a failed renewal: the subscription goes on with the new agreement, or
all is as it was before.

The renewal's own row drives it, like every renewal: whoever finds it open and holds it takes the next step.
"""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from app.domain.account import system
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge
from app.domain.errors import Duplicate, OutcomeUnknown, Unavailable
from app.domain.notice import NoticeKind
from app.domain.operation import Operation, OperationKind
from app.domain.records import AuditEntry
from app.domain.recovery import Recovery, RecoveryStatus
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import UNPAID, Subscription, SubscriptionStatus
from app.usecases.dunning import slot_of
from app.usecases.ending import capture_reserved, end_stopped, to_stop
from app.usecases.known import find_initial, refresh_agreement
from app.usecases.money_moves import give_back
from app.usecases.notices import note, soon
from app.usecases.operations import new_operation, perform, resume_operation
from app.usecases.periods import left_out
from app.usecases.planning import local_day, planned_anew
from app.usecases.ports import Deps, Job, Unit
from app.usecases.renewal_orders import take_away
from app.usecases.renewal_work import Work, problem, put, rested, why_unwanted

ACTOR = "system:recovery"
_SOON = timedelta(seconds=30)
_SETTLED = timedelta(days=2)  # after the last day on which Vipps tries
_UNDECIDED = frozenset({AgreementStatus.NEW, AgreementStatus.PENDING, AgreementStatus.UNKNOWN})


async def open_recovery(deps: Deps, work: Work) -> Recovery | None:
    """The open draft of the renewal's subscription, whichever of its periods it is to pay."""
    async with deps.store.begin() as unit:
        return await unit.recoveries.open_of(work.renewal.shop, work.renewal.subscription_id)


async def recover(deps: Deps, work: Work, recovery: Recovery) -> None:
    """One look at it. Nothing else of the subscription is renewed meanwhile: it may go on with another agreement."""
    if recovery.renewal_id != work.renewal.id:
        await _rest(deps, work, max(recovery.until, deps.clock() + _SOON))
        return
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.by_row(recovery.shop, recovery.id)
    if agreement is None or agreement.agreement_id is None:
        await _never_drafted(deps, work, recovery, agreement)
        return
    if not agreement.status.final:
        agreement, _ = await refresh_agreement(deps, ACTOR, agreement)
    if agreement.status in _UNDECIDED:
        # Vipps alone says that a draft is over.
        await _rest(deps, work, max(recovery.until, deps.clock() + _SOON))
        return
    await _decided(deps, work, recovery, agreement, await find_initial(deps, ACTOR, agreement))


async def _never_drafted(deps: Deps, work: Work, recovery: Recovery, agreement: Agreement | None) -> None:
    """Its address was never shown to anybody; until its time is up whoever asks again goes on with it."""
    refused = agreement is not None and agreement.status.final
    if not refused and deps.clock() < recovery.until:
        await _rest(deps, work, recovery.until)
        return
    await _over(deps, work, recovery, "Vipps made no agreement")


async def _decided(deps: Deps, work: Work, recovery: Recovery, agreement: Agreement, charge: Charge | None) -> None:
    approved = agreement.status is AgreementStatus.ACTIVE
    if charge is None and approved:
        # It is ACTIVE only where its first charge was paid (facts: VIPPS 6.7): not to be seen is not unpaid.
        raise Unavailable(f"agreement {agreement.agreement_id} does not show its charge yet", retry_after=5)
    if charge is None or charge.status.holds_no_money or charge.captured <= charge.refunded:
        if charge is not None and not charge.status.final and agreement.status is not AgreementStatus.EXPIRED:
            raise Unavailable(f"charge {charge.order_id} is {charge.status}; it is looked at again", retry_after=5)
        if approved:
            await _stop(deps, agreement)
        if charge is not None and charge.captured:
            await problem(deps, work, RenewalReason.ENDED, f"{charge.amount} was paid by link, and given back")
        await _over(deps, work, recovery, f"agreement {agreement.agreement_id} is {agreement.status}, nothing is paid")
        return
    if work.subscription.status is SubscriptionStatus.ENDED:
        await _give_back(deps, work, recovery, agreement, charge)
    elif approved:
        await _go_on_with(deps, work, recovery, agreement, charge)
    else:
        await _paid(deps, work, recovery, charge)


async def _rest(deps: Deps, work: Work, until: datetime) -> None:
    async with deps.store.begin() as unit:
        await put(unit, rested(work.renewal, until))


async def _over(deps: Deps, work: Work, recovery: Recovery, why: str) -> None:
    """Not a failure: the period waits for its next charge as before, or is given up as it was."""
    renewal = work.renewal
    if recovery.resume_at is None:
        await take_away(deps, work, told=True)
        after = rested(replace(renewal, status=RenewalStatus.FAILED), None)
    else:
        unwanted = why_unwanted(work.subscription, renewal) is not None
        after = rested(renewal, deps.clock() if unwanted else recovery.resume_at)
    async with deps.store.begin() as unit:
        await put(unit, after)
        await unit.recoveries.settle(recovery.shop, recovery.id, RecoveryStatus.OVER)
        await unit.audit.add([_entry(deps, work, "recovery.over", why)])
    await end_stopped(deps, work.agreement, renewal.id)


async def _give_back(deps: Deps, work: Work, recovery: Recovery, agreement: Agreement, charge: Charge) -> None:
    """The subscription ended while the customer was paying: nothing will be delivered for it.

    Staff are told either way, and before it is over here, so that it is told whoever dies on the way.
    """
    refused = await give_back(deps, charge, "The subscription has ended", f"recovery/{recovery.id}")
    await _stop(deps, agreement)
    end = f"could not be given back, refund it: {refused.message}" if refused else "was given back"
    text = f"{charge.amount} was paid by link on {agreement.agreement_id} after the subscription ended, and {end}"
    await problem(deps, work, RenewalReason.ENDED, text)
    await _over(deps, work, recovery, text)


async def _stop(deps: Deps, agreement: Agreement) -> None:
    if agreement.status.final:
        return
    try:
        await perform(deps, new_operation(deps, system(agreement.shop), agreement, OperationKind.STOP, {}))
    except (Unavailable, OutcomeUnknown, Duplicate):
        return  # stored, and finished by whoever finds it


async def _go_on_with(deps: Deps, work: Work, recovery: Recovery, agreement: Agreement, charge: Charge) -> None:
    """The subscription with all its periods moves to the new agreement; the old one is stopped last.

    All in one step, under a lock of the subscription: whoever dies before it begins anew, whoever dies after it leaves
    an operation and a renewal to the sweeper.
    """
    old = work.agreement
    async with deps.store.begin() as unit:
        subscriber = await unit.subscriptions.subscriber(old.shop, old.id)
    if subscriber is None:  # erased when the shop uninstalled the app: nothing can be sent to anybody
        await _give_back(deps, work, recovery, agreement, charge)
        return
    if not old.status.final:
        await capture_reserved(deps, old)
    stop: Operation | None = None
    async with deps.store.begin() as unit:
        current = await _locked(unit, work)
        moved = _moved(deps, current, agreement)
        await unit.subscriptions.add(moved, subscriber)
        await _revive(unit, deps, work, current, moved)
        await unit.renewals.move(current.shop, current.id, moved, work.renewal.id)
        await unit.subscriptions.save(current.moved_on(moved.agreement_id))
        if not old.status.final:
            stop = await to_stop(unit, deps, system(current.shop), old, await _last_day(unit, old))
        await _take(unit, deps, replace(work, subscription=moved, agreement=agreement), recovery, charge)
        told = {"previous_agreement": current.agreement_id, "next_due": moved.next_due.isoformat()}
        notice_id = await note(unit, deps, work.account, NoticeKind.SUBSCRIPTION_MOVED, moved, told, recovery.id)
        await unit.audit.add([_entry(deps, work, "subscription.moved", f"to {moved.agreement_id}")])
    if stop is not None and stop.next_attempt_at is None:
        await resume_operation(deps, stop.shop, stop.id)
    await _carry_on(deps, charge, work.renewal.id)
    await soon(deps, moved.shop, notice_id)


async def _revive(unit: Unit, deps: Deps, work: Work, before: Subscription, after: Subscription) -> None:
    """Periods that the hold left out, and whose day has not come, are renewed as after any other hold."""
    if before.status is after.status:
        return
    rows = await unit.renewals.of_subscription(before.shop, before.id)
    for row in left_out(after, rows, local_day(deps, work.account)):
        await unit.renewals.save(planned_anew(row, after.agreement_id, deps.clock()))


async def _last_day(unit: Unit, agreement: Agreement) -> datetime | None:
    """When what Vipps is still to collect on it for other orders is over; None where there is nothing of the kind."""
    charges = await unit.charges.of_agreements(agreement.shop, [agreement.agreement_id or ""])
    days = [it.due + timedelta(days=it.retry_days) for it in charges if not it.status.final and not it.withdrawn]
    return datetime.combine(max(days), time(), UTC) + _SETTLED if days else None


async def _locked(unit: Unit, work: Work) -> Subscription:
    current = await unit.subscriptions.get(work.renewal.shop, work.subscription.id, lock=True)
    if current is None or current.status is SubscriptionStatus.ENDED:
        raise Unavailable("the subscription has ended meanwhile; it is looked at again", retry_after=1)
    return current


def _moved(deps: Deps, current: Subscription, agreement: Agreement) -> Subscription:
    """What was on hold for this very period is renewed again."""
    unpaid = current.status is SubscriptionStatus.HELD and current.reason == UNPAID
    return replace(
        current,
        id=agreement.id,
        agreement_id=agreement.agreement_id or "",
        status=SubscriptionStatus.ACTIVE if unpaid else current.status,
        reason=None if unpaid else current.reason,
        created_at=deps.clock(),
        version=0,
    )


async def _paid(deps: Deps, work: Work, recovery: Recovery, charge: Charge) -> None:
    """Its customer paid, and stopped the new agreement at once: the subscription stays with the one it has."""
    async with deps.store.begin() as unit:
        current = await _locked(unit, work)
        if current.status is SubscriptionStatus.HELD and current.reason == UNPAID:
            await unit.subscriptions.save(current.resumed())
            await _revive(unit, deps, work, current, current.resumed())
        await _take(unit, deps, work, recovery, charge)
    await _carry_on(deps, charge, work.renewal.id)
    await end_stopped(deps, work.agreement, work.renewal.id)


async def _take(unit: Unit, deps: Deps, work: Work, recovery: Recovery, charge: Charge) -> None:
    """The charge is the period's: from here on it is followed like any other."""
    renewal = work.renewal
    attempt = renewal.attempt + 1
    after = replace(
        renewal,
        subscription_id=work.subscription.id,
        agreement_id=work.subscription.agreement_id,
        status=RenewalStatus.CHARGING,
        reason=None,
        reason_text=None,
        charge_row=charge.id,
        amount=charge.amount,
        attempt=attempt,
    )
    await put(unit, rested(after, deps.clock()))
    await unit.charges.pay_order(charge.shop, charge.id, renewal.order or "", slot_of(renewal, attempt))
    await unit.recoveries.settle(recovery.shop, recovery.id, RecoveryStatus.PAID)
    await unit.audit.add([_entry(deps, work, "recovery.paid", f"period {renewal.period} by charge {charge.order_id}")])


async def _carry_on(deps: Deps, charge: Charge, renewal_id: str) -> None:
    await deps.jobs.enqueue(Job.NOTIFY_SHOP, charge.shop, [charge.id])
    await deps.jobs.enqueue(Job.RENEW, charge.shop, [renewal_id])


def _entry(deps: Deps, work: Work, action: str, reason: str) -> AuditEntry:
    return AuditEntry(work.renewal.shop, ACTOR, action, work.agreement.agreement_id or "", deps.clock(), reason=reason)
