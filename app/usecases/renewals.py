"""Renewals: from a planned period to its paid order, one stored step at a time; whoever finds a step open goes on."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

from app.domain.account import system
from app.domain.agreement import AgreementChanges, Pricing
from app.domain.charge import DESCRIPTION_MAX, Charge, ChargeOrigin
from app.domain.errors import Duplicate, IllegalState, InvalidInput, NotFound, RecurringError, Rejected, Unavailable
from app.domain.operation import OperationKind
from app.domain.order import RenewalOrder
from app.domain.records import AuditEntry
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus, attempt_of, renewal_order_id
from app.usecases.batches import unforeseen
from app.usecases.charges import ChargeMake, new_charge, refresh_charge
from app.usecases.collecting import ACTOR, WAIT_DAYS, follow, paid
from app.usecases.dunning import give_up, in_dunning, slot_of
from app.usecases.ending import end_stopped
from app.usecases.following import all_of
from app.usecases.forgotten_charges import caught_up
from app.usecases.forgotten_drafts import found_again
from app.usecases.known import refresh_agreement
from app.usecases.operations import new_operation, perform, request_of
from app.usecases.planning import local_day
from app.usecases.ports import Deps, Job, Unit
from app.usecases.recoveries import open_recovery, recover
from app.usecases.renewal_orders import (
    check_known_sum,
    check_order,
    check_price,
    complete,
    nothing_to_pay,
    order_for,
    skip,
)
from app.usecases.renewal_work import (
    PROBLEMS,
    Hindered,
    OrderGone,
    TakenOver,
    Work,
    entry,
    kept,
    later,
    problem,
    put,
    rested,
    settle,
    wait,
    went_away,
    why_unwanted,
    work_on,
)
from app.usecases.retries import today
from app.usecases.sending import lease_end
from app.usecases.unpaid import given_up

_DAY = timedelta(days=1)
_SOON = 15.0  # seconds


async def renew_all(deps: Deps, shop: str, renewal_ids: Sequence[str]) -> None:
    """Take each renewal as far as it goes now; the charges that come of it go out together."""
    stored = await renew_some(deps, shop, renewal_ids)
    if stored:
        await deps.jobs.enqueue(Job.CHARGE_CHUNK, shop, stored)


async def renew_some(deps: Deps, shop: str, renewal_ids: Sequence[str]) -> Sequence[str]:
    """As `renew_all`; the row ids of the charges, for whoever sends them."""
    stored: list[str] = []

    async def one(renewal_id: str) -> None:
        charge_row = await renew(deps, shop, renewal_id)
        if charge_row is not None:
            stored.append(charge_row)

    await all_of(deps, [one(it) for it in renewal_ids])
    return stored


async def renew(deps: Deps, shop: str, renewal_id: str) -> str | None:
    """One renewal; the row id of the charge that was stored for it and has to be sent."""
    async with deps.store.begin() as unit:
        renewal = await unit.renewals.claim(shop, renewal_id, deps.clock(), lease_end(deps))
    if renewal is None:
        await _look_back(deps, shop, renewal_id)
        return None
    async with kept(deps, renewal):
        try:
            return await _go_on(deps, await work_on(deps, renewal))
        except TakenOver:
            return None
        except RecurringError as error:
            await later(deps, renewal, error)
        except Exception as error:  # noqa: BLE001  # the row must stay open whatever it was
            await later(deps, renewal, unforeseen(deps, error))
    return None


async def _look_back(deps: Deps, shop: str, renewal_id: str) -> None:
    """A period that was given up, whose customer may have paid it by its link before the database was restored."""
    async with deps.store.begin() as unit:
        renewal = await unit.renewals.get(shop, renewal_id)
        if renewal is None or renewal.status is not RenewalStatus.FAILED:
            return
        subscription = await unit.subscriptions.get(shop, renewal.subscription_id)
        rows = await unit.renewals.of_subscription(shop, renewal.subscription_id)
        if subscription is None or renewal_id not in {it.id for it in given_up(subscription, rows)}:
            return
        held = await unit.renewals.take(renewal, deps.clock(), lease_end(deps))
    if held is None:
        return
    async with kept(deps, held):
        try:
            work = await work_on(deps, held)
            if await found_again(deps, work):
                return
            agreement, _ = await refresh_agreement(deps, ACTOR, work.agreement)
            await end_stopped(deps, agreement, held.id)
        except (RecurringError, TakenOver):
            pass  # it is looked for again the next night, or somebody else is at it
        finally:
            async with deps.store.begin() as unit:
                current = await unit.renewals.get(shop, renewal_id)
                if current is not None and current.attempts == held.attempts:
                    await unit.renewals.save(replace(current, lease_until=None))


async def _go_on(deps: Deps, work: Work) -> str | None:
    try:
        if work.renewal.charge_row is not None:
            await follow(deps, work)
            return None
        recovery = await open_recovery(deps, work)
        if recovery is None:
            return await _begin(deps, work)
        await recover(deps, work, recovery)
    except OrderGone:
        text = "the order was deleted or cancelled in Saleor before it was paid"
        await skip(deps, work, RenewalReason.ORDER_GONE, text)
    return None


async def _begin(deps: Deps, work: Work) -> str | None:
    unwanted = why_unwanted(work.subscription, work.renewal)
    if unwanted is not None:
        await skip(deps, work, *unwanted)
        return None
    if await found_again(deps, work):
        return None
    agreement, _ = await refresh_agreement(deps, ACTOR, work.agreement)
    work = replace(work, agreement=agreement)
    if agreement.status.final:
        await end_stopped(deps, agreement, work.renewal.id)
        if await _paid_elsewhere(deps, work):
            return None
        await skip(deps, work, RenewalReason.AGREEMENT_NOT_ACTIVE, f"the agreement is {agreement.status}")
        return None
    standing = await earlier_charge(deps, work)
    if standing is not None:
        await _stand_by(deps, work, standing)
        return None
    try:
        return await _order_and_charge(deps, await _with_price_change(deps, work))
    except Hindered as hindered:
        await _hindered(deps, work, hindered)
    return None


async def _stand_by(deps: Deps, work: Work, standing: Charge) -> None:
    """Its charge is made already: it is followed."""
    await settle(deps, work, rested(_charging(work.renewal, standing), deps.clock()))
    await deps.jobs.enqueue(Job.RENEW, work.renewal.shop, [work.renewal.id])


async def _paid_elsewhere(deps: Deps, work: Work) -> bool:
    """Its order is paid, though the agreement is over: by other means. The period is settled, and people have to look
    for the agreement that the customer may have now.
    """
    order = await deps.shop.renewal_order(work.installation, work.renewal.order) if work.renewal.order else None
    if order is None or order.dead or order.charge_status not in {"FULL", "OVERCHARGED"}:
        return False
    text = "its order is paid, and the agreement is over: look for a newer agreement with vipps-recurring reconcile"
    await problem(deps, work, RenewalReason.AGREEMENT_NOT_ACTIVE, text)
    await paid(deps, work, await complete(deps, work, order), RenewalReason.NOTHING_TO_PAY)
    return True


async def earlier_charge(deps: Deps, work: Work) -> Charge | None:
    """An earlier attempt that may hold money after all. The next one waits until Vipps says that it does not."""
    # The row may know of one attempt less than there are charges, where it is of a backup or was filled in later.
    slots = [slot_of(work.renewal, work.renewal.attempt + more) for more in (1, 0)]
    async with deps.store.begin() as unit:
        found = await unit.charges.by_slots(work.renewal.shop, slots)
    last = next((found[slot] for slot in slots if slot in found), None)
    if last is None:
        return None
    with suppress(NotFound):
        await refresh_charge(deps, ACTOR, work.agreement, last.charge_id or last.order_id)
    async with deps.store.begin() as unit:
        last = await unit.charges.get(last.shop, last.id) or last
    counted = last.slot == slots[-1]
    return None if counted and last.status.holds_no_money else last


async def _with_price_change(deps: Deps, work: Work) -> Work:
    """A price that the customer was told of: first at Vipps, then on the lines."""
    change = work.subscription.price_change
    if change is None or change.on > work.renewal.due:
        return work
    agreement, shop = work.agreement, work.renewal.shop
    if agreement.pricing is Pricing.LEGACY and agreement.price != change.price:
        wanted = request_of(AgreementChanges(price=change.price))
        try:
            await perform(deps, new_operation(deps, system(shop), agreement, OperationKind.UPDATE, wanted))
        except Duplicate as error:
            raise Unavailable(error.message, retry_after=_SOON) from error
        except Rejected as error:
            raise Hindered(RenewalReason.PRICE_ABOVE_LIMIT, f"Vipps refused the new price: {error.message}") from error
    async with deps.store.begin() as unit:
        current = await unit.subscriptions.get(shop, work.subscription.id, lock=True) or work.subscription
        # Periods that were due before its day, and are still waited for, keep the price of theirs.
        rows = await unit.renewals.of_subscription(shop, work.subscription.id)
        earlier = any(it.due < change.on and not it.status.final for it in rows)
        if current.price_change == change and not earlier:
            await unit.subscriptions.save(current.repriced(change))
        subscription = await unit.subscriptions.get(shop, work.subscription.id) or current
        agreement = await unit.agreements.by_row(shop, agreement.id) or agreement
    if subscription.price_change == change:
        subscription = subscription.repriced(change)
    return replace(work, subscription=subscription, agreement=agreement)


async def _order_and_charge(deps: Deps, work: Work) -> str | None:
    work, order = await order_for(deps, work)
    if work.met or work.renewal.attempt:
        work, standing = await caught_up(deps, work)
        if standing is not None:
            await _stand_by(deps, work, standing)
            return None
    if nothing_to_pay(order):
        await paid(deps, work, await complete(deps, work, order), RenewalReason.NOTHING_TO_PAY)
        return None
    check_order(order)
    check_known_sum(work, order)
    await check_price(deps, work, order)
    if not work.account.complete_when_paid:
        order = await complete(deps, work, order)
        check_order(order)
        check_known_sum(work, order)  # somebody may have changed the draft in that moment
        await check_price(deps, work, order)
    return await _store_charge(deps, work, order)


async def _store_charge(deps: Deps, work: Work, order: RenewalOrder) -> str:
    """The charge and the step to it in one transaction, in which everything that it depends on is looked at again."""
    charge = _new_charge(deps, work, order)
    async with deps.store.begin() as unit:
        await _require_unchanged(unit, work)
        charge = await _stored(unit, charge)
        after = _charging(work.renewal, charge)
        await put(unit, rested(after, deps.clock() + _DAY))
        what = AuditEntry(
            charge.shop, charge.actor, "charge.stored", charge.order_id, deps.clock(), reason=work.renewal.reference
        )
        await unit.audit.add([what, entry(deps, work.renewal, after)])
    if work.renewal.reason in PROBLEMS:
        await went_away(deps, work.installation, work.renewal.reason)
    return charge.id


def _charging(renewal: Renewal, charge: Charge) -> Renewal:
    return replace(
        renewal,
        status=RenewalStatus.CHARGING,
        reason=None,
        reason_text=None,
        hindered_on=None,
        charge_row=charge.id,
        amount=charge.amount,
        agreed=None,  # to this one charge
        attempt=attempt_of(charge.slot),
    )


def _new_charge(deps: Deps, work: Work, order: RenewalOrder) -> Charge:
    renewal = work.renewal
    attempt = renewal.attempt + 1
    if order.total is None:
        raise Hindered(RenewalReason.ORDER_REFUSED, f"the total {order.total_text} cannot be charged")
    name = work.subscription.lines[0].name or work.agreement.product_name
    make = ChargeMake(
        agreement_id=renewal.agreement_id,
        price=order.total.minor,
        description=name[:DESCRIPTION_MAX],
        due=_due(deps, work),
        order_id=renewal_order_id(renewal.shop, renewal.agreement_id, renewal.period, attempt),
    )
    try:
        charge = new_charge(
            deps,
            system(renewal.shop),
            work.agreement,
            work.account,
            make,
            origin=ChargeOrigin.RENEWAL,
            slot=slot_of(renewal, attempt),
            saleor_order=order.id,
        )
    except IllegalState as error:
        raise Hindered(RenewalReason.AGREEMENT_NOT_ACTIVE, error.message) from error
    except InvalidInput as error:
        raise Hindered(RenewalReason.ORDER_REFUSED, error.message) from error
    # A job sends it, with others where the account's version takes many at once.
    return replace(charge, attempts=0, lease_until=None)


def _due(deps: Deps, work: Work) -> date:
    soonest = max(local_day(deps, work.account), today(deps)) + timedelta(days=work.account.lead_days)
    return max(work.renewal.due, soonest)


async def _require_unchanged(unit: Unit, work: Work) -> None:
    renewal = work.renewal
    subscription = await unit.subscriptions.get(renewal.shop, renewal.subscription_id, lock=True)
    paying = await unit.recoveries.open_of(renewal.shop, renewal.subscription_id)
    if subscription is None or paying is not None or why_unwanted(subscription, renewal) is not None:
        raise Unavailable("the subscription has changed meanwhile; it is looked at again", retry_after=1)


async def _stored(unit: Unit, charge: Charge) -> Charge:
    """The charge's row: this one, or what stands under its slot or its order id already."""
    found = (await unit.charges.with_order_ids(charge.shop, [charge.order_id])).get(charge.order_id)
    if found is not None and found.agreement_id == charge.agreement_id and found.amount == charge.amount:
        await unit.charges.give_to_order(charge, found.id)
    elif not await unit.charges.add_all([charge]):
        raise Unavailable(f"another charge holds {charge.order_id}; it is looked at again")
    return (await unit.charges.by_slots(charge.shop, [charge.slot or ""])).get(charge.slot or "") or charge


async def _hindered(deps: Deps, work: Work, hindered: Hindered) -> None:
    async with deps.store.begin() as unit:
        current = await unit.renewals.get(work.renewal.shop, work.renewal.id)
    if current is None:
        raise TakenOver
    # Steps were stored since this work began: its order, and attempts that only Vipps knew of.
    known = replace(work.renewal, order=current.order, order_number=current.order_number, attempt=current.attempt)
    work = replace(work, renewal=known)
    today_there = local_day(deps, work.account)
    since = max(work.renewal.due, work.renewal.created_at.date(), work.renewal.hindered_on or today_there)
    if today_there <= since + timedelta(days=WAIT_DAYS):
        await wait(deps, work, hindered)
        return
    failed = replace(work.renewal, reason=hindered.reason, reason_text=hindered.text)
    if failed.failed_on is not None:
        # So that it can be charged again, and paid by its link, once nothing is in the way.
        text = f"{hindered.reason}: {hindered.text}"
        failed = replace(failed, reason=RenewalReason.CHARGE_FAILED, reason_text=text)
        await problem(deps, work, RenewalReason.CHARGE_FAILED, f"It was given up, because of {text}")
    await give_up(deps, work, failed, work.account.dunning.then)


async def order_changed(deps: Deps, shop: str, order: str) -> bool:
    """Something happened to an order in Saleor: whether it is a renewal's, which is then looked at."""
    async with deps.store.begin() as unit:
        renewal = await unit.renewals.by_order(shop, order)
        if renewal is None:
            return False
        if renewal.status.final or in_dunning(renewal):
            return True
        await unit.renewals.wake(shop, renewal.id, deps.clock())
    await deps.jobs.enqueue(Job.RENEW, shop, [renewal.id])
    return True
