"""A renewal whose charge is stored: followed until it is paid and has its order, or came to nothing."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from app.domain.account import system
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.errors import RecurringError, Rejected, Unavailable
from app.domain.notice import NoticeKind
from app.domain.operation import OperationKind
from app.domain.order import RenewalOrder
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.reports import reference_of
from app.domain.subscription import SubscriptionStatus
from app.domain.transaction import EventType, ReportStatus
from app.usecases.charges import refresh_charge
from app.usecases.dunning import charge_failed
from app.usecases.ending import end_stopped
from app.usecases.known import refresh_agreement
from app.usecases.money_moves import give_back
from app.usecases.operations import new_operation, perform
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Job
from app.usecases.renewal_orders import complete, skip
from app.usecases.renewal_work import (
    Hindered,
    OrderGone,
    Work,
    facts,
    problem,
    rested,
    settle,
    step,
    went_away,
    why_unwanted,
)
from app.usecases.sending import resume_charge

ACTOR = "system:renewals"
WAIT_DAYS = 14  # how long an order may stand in the way before it is given up
_DAY = timedelta(days=1)
_TAKEN_BACK = (RenewalReason.CHARGE_CANCELLED, "its charge was cancelled")
_OPEN = frozenset({ChargeStatus.NEW, ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED})


async def follow(deps: Deps, work: Work) -> None:
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(work.renewal.shop, work.renewal.charge_row or "")
    if charge is None:
        await settle(deps, work, rested(replace(work.renewal, charge_row=None), deps.clock()))
        return
    if charge.status in _OPEN:
        charge = await _unless_unwanted(deps, work, charge)
    if charge.status.holds_no_money:
        await _came_to_nothing(deps, work, charge)
    elif charge.captured > 0 and charge.status.final:
        await _collected(deps, work, charge)
    else:
        await _look_again(deps, work, charge)


async def _unless_unwanted(deps: Deps, work: Work, charge: Charge) -> Charge:
    """Take back a charge that nobody wants any more; what is on its way already is paid, and staff refund it."""
    why = None
    if work.renewal.reason is RenewalReason.SKIPPED:
        why = work.renewal.reason_text or "it was skipped"
    elif work.subscription.status is SubscriptionStatus.ENDED:
        why = "the subscription has ended"
    else:
        try:
            if (await _order(deps, work, charge)).paid_elsewhere(_own(charge)):
                why = "the order was paid in another way"
        except OrderGone:
            why = "the order was deleted or cancelled in Saleor"
    if why is None:
        return charge
    trouble: RecurringError | None = None
    try:
        await _take_back(deps, work, charge, why)
    except RecurringError as error:
        trouble = error
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(charge.shop, charge.id) or charge
    if charge.status in _OPEN:
        # Not left until tomorrow: Vipps would have collected it by then.
        raise trouble or Unavailable(f"the charge is {charge.status} and nobody wants it: {why}")
    return charge


async def _take_back(deps: Deps, work: Work, charge: Charge, why: str) -> None:
    if charge.unmade:
        async with deps.store.begin() as unit:
            await unit.charges.withdraw(charge.shop, charge.id, why)
        await resume_charge(deps, charge.shop, charge.id, withdraw=why)
        return
    charge = await refresh_charge(deps, ACTOR, work.agreement, charge.charge_id or charge.order_id)
    charge.require_cancellable()
    cancel = new_operation(
        deps, system(charge.shop), work.agreement, OperationKind.CANCEL, {}, charge_id=charge.charge_id
    )
    await perform(deps, cancel)


async def _look_again(deps: Deps, work: Work, charge: Charge) -> None:
    """Whoever learns what became of the charge wakes the renewal; this is for what nobody learns."""
    pause = _DAY if charge.due > local_day(deps, work.account) else timedelta(hours=6)
    await settle(deps, work, rested(work.renewal, deps.clock() + pause))
    async with deps.store.begin() as unit:
        now = await unit.charges.get(charge.shop, charge.id)
        changed = now is not None and now.status is not charge.status
        if changed:
            # It changed while this process held the renewal, and the waking was in vain.
            await unit.renewals.wake(charge.shop, work.renewal.id, deps.clock())
    if changed:
        await deps.jobs.enqueue(Job.RENEW, charge.shop, [work.renewal.id])


async def _came_to_nothing(deps: Deps, work: Work, charge: Charge) -> None:
    agreement = work.agreement
    with suppress(Rejected):
        agreement, _ = await refresh_agreement(deps, ACTOR, agreement)
    if agreement.status.final:
        await end_stopped(deps, agreement)
        await skip(deps, work, RenewalReason.ENDED, f"the agreement is {agreement.status}")
        return
    order = await _seen(deps, work, charge)
    if order is not None and order.paid_elsewhere(_own(charge)):
        # As of any order that nothing is to be paid for.
        await settle(deps, work, rested(replace(work.renewal, charge_row=None), deps.clock()))
        await deps.jobs.enqueue(Job.RENEW, work.renewal.shop, [work.renewal.id])
        return
    cancelled, skipped = charge.status is ChargeStatus.CANCELLED, work.renewal.reason is RenewalReason.SKIPPED
    if not cancelled and not skipped:
        await charge_failed(deps, work, charge)
        return
    if skipped or work.subscription.status is SubscriptionStatus.ENDED:
        await skip(deps, work, *(why_unwanted(work.subscription, work.renewal) or _TAKEN_BACK))
        return
    await _order(deps, work, charge)
    await skip(deps, work, *_TAKEN_BACK)


async def _collected(deps: Deps, work: Work, charge: Charge) -> None:
    """The money is there: first Saleor hears of it, then the order becomes one."""
    if work.renewal.status is not RenewalStatus.COLLECTED:
        await _tell_unwanted(deps, work, charge)
        work = await step(
            deps, work, replace(work.renewal, status=RenewalStatus.COLLECTED, reason=None, reason_text=None)
        )
    order = await _seen(deps, work, charge)
    twice = await _paid_twice(deps, work, charge) if order and order.paid_elsewhere(_own(charge)) else None
    if twice is None and charge.refunded >= charge.captured:
        after = replace(work.renewal, status=RenewalStatus.FAILED, reason=RenewalReason.CHARGE_CANCELLED)
        text = "it was refunded before its order was complete"
        await settle(deps, work, rested(replace(after, reason_text=text), None))
        return
    try:
        order = _alive(order)
        await _require_transaction(deps, charge)
        if not await _told(deps, charge):
            await settle(deps, work, rested(work.renewal, deps.clock() + timedelta(minutes=2)))
            await deps.jobs.enqueue(Job.NOTIFY_SHOP, charge.shop, [charge.id])
            return
        completed = await complete(deps, work, order)
    except OrderGone:
        gone = "its order was deleted or cancelled in Saleor: refund it"
        await _cannot_complete(deps, work, charge, Hindered(RenewalReason.ORDER_GONE, gone))
    except Hindered as hindered:
        await _cannot_complete(deps, work, charge, hindered)
    else:
        await paid(deps, work, completed, RenewalReason.NOTHING_TO_PAY if twice else None)
        if twice:
            await deps.shop.add_note(work.installation, completed.id, f"Vipps: {twice}.")
        await _compare(deps, work, charge, completed)


async def _paid_twice(deps: Deps, work: Work, charge: Charge) -> str:
    """What staff are told where the order was paid in another way, too: by link, which nobody can take back once it is
    out, that is given back; of a renewal's own charge, for which they may have marked it as paid, they decide.
    """
    refused, end = None, "refund it, if that was not for this very charge"
    if charge.origin is ChargeOrigin.INITIAL:
        refused = await give_back(deps, charge, "The order was paid already", f"twice/{charge.id}")
        end = f"it could not be given back, refund it: {refused.message}" if refused else "it was given back"
    text = f"{charge.amount} was collected, and the order was paid in another way: {end}"
    await problem(deps, work, RenewalReason.NOTHING_TO_PAY, text)
    return text


async def _tell_unwanted(deps: Deps, work: Work, charge: Charge) -> None:
    """What was collected before it could be taken back is paid, and is the staff's to refund."""
    reason = why = None
    if work.renewal.reason is RenewalReason.SKIPPED:
        reason, why = RenewalReason.SKIPPED, "the period was skipped"
    elif work.subscription.status is SubscriptionStatus.ENDED:
        reason, why = RenewalReason.ENDED, "the subscription has ended"
    if reason is not None:
        text = f"{charge.amount} was collected, and {why}: refund it, if it was not owed any more"
        await problem(deps, work, reason, text)
        # Not every Saleor shows problems of apps.
        await deps.shop.add_note(work.installation, charge.saleor_order or "", f"Vipps: {text}.")


async def _require_transaction(deps: Deps, charge: Charge) -> None:
    """Raises Hindered where Saleor took no payment for the order; it is asked again, by whoever shows charges."""
    if charge.saleor_transaction is not None or charge.reported != charge.shown:
        return
    async with deps.store.begin() as unit:
        await unit.charges.show_again(charge.shop, charge.id)
    await deps.jobs.enqueue(Job.NOTIFY_SHOP, charge.shop, [charge.id])
    raise Hindered(RenewalReason.ORDER_REFUSED, "Saleor takes no payment for its order, which would be made unpaid")


async def _told(deps: Deps, charge: Charge) -> bool:
    """Whether Saleor knows that it is paid, or will never take it: the order shall be paid when it is complete."""
    if charge.saleor_transaction is None:
        return False
    reference = reference_of(charge)
    async with deps.store.begin() as unit:
        reports = await unit.reports.of_transaction(charge.shop, charge.saleor_transaction)
    successes = [it for it in reports if it.type is EventType.CHARGE_SUCCESS]
    # One that was called failed before is told under a name of its own.
    mine = [it for it in successes if it.psp_reference == reference or it.psp_reference.startswith(f"{reference}/")]
    return any(it.status is not ReportStatus.WAITING or it.dead for it in mine)


async def paid(deps: Deps, work: Work, order: RenewalOrder, reason: RenewalReason | None) -> None:
    after = replace(
        work.renewal,
        status=RenewalStatus.PAID,
        order=order.id,
        order_number=order.number,
        amount=work.renewal.amount or order.total,
        reason=reason,
        reason_text=None,
    )
    data = facts(replace(work, renewal=after))
    await settle(deps, work, rested(after, None), (NoticeKind.RENEWAL_PAID, data, "paid"))
    if work.renewal.failed_on is not None:
        # Of which staff may have been told while its link was refused, or before they agreed to it.
        await went_away(deps, work.installation, RenewalReason.COSTS_MORE)


async def _compare(deps: Deps, work: Work, charge: Charge, order: RenewalOrder) -> None:
    """What was charged is what the order was; if it costs something else by now, people have to know."""
    if order.total == charge.amount:
        return
    text = f"{charge.amount} was charged and the order's total is {order.total_text}; nothing more is charged"
    await problem(deps, work, RenewalReason.ORDER_REFUSED, text)
    await deps.shop.add_note(work.installation, order.id, f"Vipps: {text}.")


async def _cannot_complete(deps: Deps, work: Work, charge: Charge, hindered: Hindered) -> None:
    """Paid, and there is no order: tried again with growing pauses, and given back in the end."""
    # Vipps may have tried on all of its days; where it tells when it collected, that counts.
    last = datetime.combine(charge.due + timedelta(days=charge.retry_days), time(), UTC)
    collected = charge.happened_at or last
    age = deps.clock() - collected
    if age > timedelta(days=WAIT_DAYS):
        await _give_back(deps, work, charge, hindered)
        return
    pause = min(max(age / 4, timedelta(minutes=15)), _DAY)
    after = replace(work.renewal, reason=hindered.reason, reason_text=hindered.text)
    data = facts(work, reason=hindered.reason.value, text=hindered.text)
    notice = (NoticeKind.RENEWAL_WAITING, data, f"incomplete/{hindered.reason}")
    await settle(deps, work, rested(after, deps.clock() + pause), notice)
    await problem(deps, work, hindered.reason, f"{charge.amount} is paid. {hindered.text}")


async def _give_back(deps: Deps, work: Work, charge: Charge, hindered: Hindered) -> None:
    key = f"renewal/{work.renewal.id}/{work.renewal.attempt}"
    refused = await give_back(deps, charge, "The order could not be made", key)
    if refused is not None and charge.refunded < charge.captured:
        raise refused
    text = f"{hindered.text}; {charge.amount} was given back"
    after = replace(work.renewal, status=RenewalStatus.FAILED, reason=hindered.reason, reason_text=text)
    data = facts(work, reason=hindered.reason.value, text=text, next_attempt=None)
    await settle(deps, work, rested(after, None), (NoticeKind.RENEWAL_FAILED, data, "given-back"))
    await problem(deps, work, hindered.reason, text)


def _own(charge: Charge) -> Collection[str]:
    """By what the charge's own transaction is told from others of its order."""
    return {reference_of(charge), charge.saleor_transaction or ""}


async def _seen(deps: Deps, work: Work, charge: Charge) -> RenewalOrder | None:
    return await deps.shop.renewal_order(work.installation, charge.saleor_order or "")


async def _order(deps: Deps, work: Work, charge: Charge) -> RenewalOrder:
    return _alive(await _seen(deps, work, charge))


def _alive(order: RenewalOrder | None) -> RenewalOrder:
    if order is None or order.dead:
        raise OrderGone
    return order
