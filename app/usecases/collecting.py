"""A renewal whose charge is stored: followed until it is paid and has its order, or came to nothing."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from app.domain.account import system
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import RecurringError, Rejected
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
from app.usecases.money_moves import ChargeMove, move
from app.usecases.operations import new_operation, perform
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Job
from app.usecases.renewal_orders import complete, skip
from app.usecases.renewal_work import Hindered, OrderGone, Work, facts, problem, rested, settle, step, why_unwanted
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
            await _order(deps, work, charge)
        except OrderGone:
            why = "the order was deleted or cancelled in Saleor"
    if why is None:
        return charge
    with suppress(RecurringError):  # what it came to is read again, and looked at until it is clear
        if charge.unmade:
            async with deps.store.begin() as unit:
                await unit.charges.withdraw(charge.shop, charge.id, why)
            await resume_charge(deps, charge.shop, charge.id, withdraw=why)
        else:
            charge = await refresh_charge(deps, ACTOR, work.agreement, charge.charge_id or charge.order_id)
            charge.require_cancellable()
            cancel = new_operation(
                deps, system(charge.shop), work.agreement, OperationKind.CANCEL, {}, charge_id=charge.charge_id
            )
            await perform(deps, cancel)
    async with deps.store.begin() as unit:
        return await unit.charges.get(charge.shop, charge.id) or charge


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
        work = await step(
            deps, work, replace(work.renewal, status=RenewalStatus.COLLECTED, reason=None, reason_text=None)
        )
    if charge.refunded >= charge.captured:
        after = replace(work.renewal, status=RenewalStatus.FAILED, reason=RenewalReason.CHARGE_CANCELLED)
        text = "it was refunded before its order was complete"
        await settle(deps, work, rested(replace(after, reason_text=text), None))
        return
    if not await _told(deps, charge):
        await settle(deps, work, rested(work.renewal, deps.clock() + timedelta(minutes=2)))
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, charge.shop, [charge.id])
        return
    try:
        completed = await complete(deps, work, await _order(deps, work, charge))
    except OrderGone:
        gone = "its order was deleted or cancelled in Saleor: refund it"
        await _cannot_complete(deps, work, charge, Hindered(RenewalReason.ORDER_GONE, gone))
    except Hindered as hindered:
        await _cannot_complete(deps, work, charge, hindered)
    else:
        await paid(deps, work, completed, None)
        await _compare(deps, work, charge, completed)


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


async def _compare(deps: Deps, work: Work, charge: Charge, order: RenewalOrder) -> None:
    """What was charged is what the order was; if it costs something else by now, people have to know."""
    if order.total == charge.amount:
        return
    text = f"{charge.amount} was charged and the order's total is {order.total_text}; nothing more is charged"
    await problem(deps, work, RenewalReason.ORDER_REFUSED, text)
    await deps.shop.add_note(work.installation, order.id, f"Vipps: {text}.")


async def _cannot_complete(deps: Deps, work: Work, charge: Charge, hindered: Hindered) -> None:
    """Paid, and there is no order: tried again with growing pauses, and given back in the end."""
    collected = datetime.combine(charge.due, time(), UTC)
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
    refund = ChargeMove(
        OperationKind.REFUND,
        charge.agreement_id,
        charge.charge_id or "",
        description="The order could not be made",
        idempotency_key=f"renewal/{work.renewal.id}/{work.renewal.attempt}",
    )
    [item] = (await move(deps, system(charge.shop), [refund])).items
    if item.error is not None:
        raise item.error
    text = f"{hindered.text}; {charge.amount} was given back"
    after = replace(work.renewal, status=RenewalStatus.FAILED, reason=hindered.reason, reason_text=text)
    data = facts(work, reason=hindered.reason.value, text=text, next_attempt=None)
    await settle(deps, work, rested(after, None), (NoticeKind.RENEWAL_FAILED, data, "given-back"))
    await problem(deps, work, hindered.reason, text)


async def _order(deps: Deps, work: Work, charge: Charge) -> RenewalOrder:
    order = await deps.shop.renewal_order(work.installation, charge.saleor_order or "")
    if order is None or order.dead:
        raise OrderGone
    return order
