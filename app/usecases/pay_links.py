"""A link by which a customer pays a period whose charge failed: with a new agreement whose first charge it is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from app.domain.account import Account, system
from app.domain.agreement import (
    Agreement,
    AgreementDraft,
    AgreementStatus,
    InitialCharge,
    Pricing,
    TransactionType,
)
from app.domain.charge import DESCRIPTION_MAX, KEY_SLOT
from app.domain.errors import IllegalState, NotFound, Rejected, Unavailable
from app.domain.money import Money
from app.domain.order import RenewalOrder
from app.domain.records import AuditEntry
from app.domain.recovery import Recovery, RecoveryStatus, recovery_id
from app.domain.renewal import Renewal, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.drafts import draft_once, new_row, page_of
from app.usecases.dunning import in_dunning
from app.usecases.ending import end_stopped
from app.usecases.forgotten_charges import caught_up
from app.usecases.forgotten_drafts import found_again, next_number
from app.usecases.known import account_of, refresh_agreement
from app.usecases.ports import Deps, Job
from app.usecases.recoveries import ACTOR
from app.usecases.renewal_orders import check_known_sum, check_order, nothing_to_pay, order_for, take_away
from app.usecases.renewal_work import Hindered, OrderGone, TakenOver, Work, kept, problem, put, rested, step, work_on
from app.usecases.renewals import earlier_charge, renew
from app.usecases.sending import lease_end
from app.usecases.unpaid import given_up, on_hold

_PAYS_ON = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED})
_MONEY_IS_THERE = frozenset({RenewalStatus.PAID, RenewalStatus.COLLECTED})
_BEING_ASKED = "Vipps is asked what became of it; try again in a moment"
_NOT_OVER = "its last charge is not over yet"
_NOT_NOW = "this period cannot be paid just now: {}"


class PayState(StrEnum):
    """PAYABLE offers to pay; WAITING has a draft that the customer may approve, or has; UNDER_WAY is collected without
    the customer; OVER is not to be paid any more.
    """

    PAYABLE = "PAYABLE"
    WAITING = "WAITING"
    UNDER_WAY = "UNDER_WAY"
    PAID = "PAID"
    OVER = "OVER"


@dataclass(frozen=True, slots=True)
class PayPage:
    """What its page shows: nothing of a person. `amount` is that of the charge that failed."""

    state: PayState
    product: str
    due: date
    amount: Money | None
    language: str | None
    shop_name: str | None


async def pay_page(deps: Deps, renewal_id: str) -> PayPage:
    """How far it is, by our own rows: whoever opens a link, a mail scanner perhaps, makes nothing happen."""
    renewal = await _renewal(deps, renewal_id)
    shop = renewal.shop
    async with deps.store.begin() as unit:
        subscription = await unit.subscriptions.get(shop, renewal.subscription_id)
        subscriber = await unit.subscriptions.subscriber(shop, renewal.subscription_id)
        rows = await unit.renewals.of_subscription(shop, renewal.subscription_id)
        recovery = await unit.recoveries.open_of(shop, renewal.subscription_id)
        installation = await unit.installations.get(shop)
    if subscription is None:
        raise NotFound("no such payment")
    return PayPage(
        state=_state(renewal, subscription, rows, recovery),
        product=subscription.lines[0].name,
        due=renewal.due,
        amount=recovery.amount if recovery is not None and recovery.renewal_id == renewal.id else renewal.amount,
        language=subscriber.language if subscriber else None,
        shop_name=installation.shop_name if installation else None,
    )


def _state(
    renewal: Renewal, subscription: Subscription, rows: Sequence[Renewal], recovery: Recovery | None
) -> PayState:
    if renewal.status in _MONEY_IS_THERE:
        return PayState.PAID
    if renewal.status.final and not is_payable(renewal, subscription, rows):
        return PayState.OVER
    if subscription.status is SubscriptionStatus.ENDED:
        return PayState.OVER
    if renewal.charge_row is not None:
        return PayState.UNDER_WAY
    if recovery is not None:
        return PayState.WAITING if recovery.renewal_id == renewal.id else PayState.UNDER_WAY
    if is_payable(renewal, subscription, rows):
        return PayState.PAYABLE
    return PayState.UNDER_WAY


def is_payable(renewal: Renewal, subscription: Subscription, rows: Sequence[Renewal]) -> bool:
    """A failed period that waits for its next charge, or for which the subscription was put on hold.

    Not while another of its `rows` is being collected: both would then be on different agreements.
    """
    if any(it.charge_row is not None and not it.status.final for it in rows):
        return False
    if in_dunning(renewal):
        return subscription.status in _PAYS_ON or on_hold(subscription)
    return renewal.id in {it.id for it in given_up(subscription, rows)}


async def pay(deps: Deps, renewal_id: str) -> str:
    """Where at Vipps the customer approves it; the same address for as long as its draft lives.

    Raises NotFound; IllegalState where it is not to be paid by link (paid, collected just now, over); Unavailable where
    it may be tried again.
    """
    renewal = await _renewal(deps, renewal_id)
    async with deps.turns.of(f"pay {renewal.id}"):
        recovery = await _living(deps, renewal) or await _begun(deps, await _renewal(deps, renewal_id))
        agreement = await _drafted(deps, recovery)
        async with deps.store.begin() as unit:
            now = await unit.recoveries.get(recovery.shop, recovery.id)
    if now is None or now.status is not RecoveryStatus.OPEN:
        # Nobody waits for it any more. Its address is shown to nobody, so nobody approves it.
        raise IllegalState(_NOT_NOW.format("it was given up meanwhile"))
    if agreement.status is not AgreementStatus.PENDING or agreement.confirmation_url is None:
        raise Unavailable(_BEING_ASKED, retry_after=2)
    return agreement.confirmation_url


async def _renewal(deps: Deps, renewal_id: str) -> Renewal:
    async with deps.store.begin() as unit:
        found = await unit.renewals.anywhere(renewal_id)
    if found is None:
        raise NotFound("no such payment")
    return found


async def _living(deps: Deps, renewal: Renewal) -> Recovery | None:
    """The open draft; None where there is none, or it turns out to be over."""
    shop = renewal.shop
    async with deps.store.begin() as unit:
        recovery = await unit.recoveries.open_of(shop, renewal.subscription_id)
        agreement = await unit.agreements.by_row(shop, recovery.id) if recovery else None
        subscription = await unit.subscriptions.get(shop, renewal.subscription_id)
    if recovery is None:
        return None
    if subscription is None or subscription.status is SubscriptionStatus.ENDED:
        raise IllegalState(_NOT_NOW.format("its subscription has ended"))
    if recovery.renewal_id != renewal.id:
        raise IllegalState(_NOT_NOW.format("another one of the subscription is being paid"))
    if agreement is not None and agreement.status is AgreementStatus.PENDING:
        agreement, _ = await refresh_agreement(deps, ACTOR, agreement)
    living = agreement is None or agreement.status in {AgreementStatus.NEW, AgreementStatus.PENDING}
    if living and deps.clock() < recovery.until:
        return recovery
    async with deps.store.begin() as unit:
        await unit.renewals.wake(shop, renewal.id, deps.clock())
    await renew(deps, shop, renewal.id)
    async with deps.store.begin() as unit:
        settled = await unit.recoveries.get(shop, recovery.id)
    if settled is not None and settled.status is RecoveryStatus.OPEN:
        raise Unavailable(_BEING_ASKED, retry_after=2)
    return None


async def _begun(deps: Deps, renewal: Renewal) -> Recovery:
    """Take the period from the dunning policy, see that it has an order, and store that it is being paid."""
    async with deps.store.begin() as unit:
        subscription = await unit.subscriptions.get(renewal.shop, renewal.subscription_id)
        rows = await unit.renewals.of_subscription(renewal.shop, renewal.subscription_id)
        if subscription is None or not is_payable(renewal, subscription, rows):
            raise IllegalState(_NOT_NOW.format(f"it is {renewal.status}"))
        held = await unit.renewals.take(renewal, deps.clock(), lease_end(deps))
    if held is None:
        raise Unavailable("somebody is at it; try again in a moment", retry_after=2)
    async with kept(deps, held):
        work = None
        try:
            work = await work_on(deps, held)
            return await _stored(deps, work)
        except TakenOver:
            raise Unavailable("it was taken over; try again in a moment", retry_after=2) from None
        except OrderGone:
            raise IllegalState(_NOT_NOW.format("its order was cancelled")) from None
        except Hindered as hindered:
            if work is not None and held.status.final:
                await _refused(deps, work, hindered)
            raise IllegalState(_NOT_NOW.format(hindered.text)) from hindered
        finally:
            await _released(deps, held)


async def _released(deps: Deps, held: Renewal) -> None:
    """Whatever came of it, the row is free again; where a draft is on its way that was stored already."""
    async with deps.store.begin() as unit:
        current = await unit.renewals.get(held.shop, held.id)
        if current is not None and current.attempts == held.attempts:
            await unit.renewals.save(replace(current, lease_until=None))


async def _refused(deps: Deps, work: Work, hindered: Hindered) -> None:
    """No night looks at what was given up: staff are told, and the draft that was made for it goes as it did then."""
    async with deps.store.begin() as unit:
        current = await unit.renewals.get(work.renewal.shop, work.renewal.id)
    if current is None or current.attempts != work.renewal.attempts:
        return
    work = replace(work, renewal=current)
    await problem(deps, work, hindered.reason, f"Its customer wanted to pay it by the link. {hindered.text}")
    await take_away(deps, work, told=True)


async def _stored(deps: Deps, work: Work) -> Recovery:
    if await found_again(deps, work):
        raise Unavailable(_BEING_ASKED, retry_after=2)
    agreement, _ = await refresh_agreement(deps, ACTOR, work.agreement)
    if agreement.status.final:
        await end_stopped(deps, agreement, work.renewal.id)
        raise IllegalState(_NOT_NOW.format(f"agreement {agreement.agreement_id} is {agreement.status}"))
    if await earlier_charge(deps, work) is not None:
        raise IllegalState(_NOT_NOW.format(_NOT_OVER))
    work, order = await _order(deps, work)
    work, standing = await caught_up(deps, work)
    if standing is not None:
        # Of which a database restored from a backup knew nothing.
        async with deps.store.begin() as unit:
            await put(unit, rested(work.renewal, deps.clock()))
        await deps.jobs.enqueue(Job.RENEW, work.renewal.shop, [work.renewal.id])
        raise IllegalState(_NOT_NOW.format(_NOT_OVER))
    if nothing_to_pay(order) or order.total is None:
        raise IllegalState(_NOT_NOW.format("nothing is to pay"))
    check_order(order)
    check_known_sum(work, order)
    renewal, shop = work.renewal, work.renewal.shop
    async with deps.store.begin() as unit:
        subscription = await unit.subscriptions.get(shop, work.subscription.id, lock=True)
        rows = await unit.renewals.of_subscription(shop, work.subscription.id)
        recovery = _recovery(deps, work, order.total, await next_number(unit, work))
        if subscription is None or not is_payable(renewal, subscription, rows):
            raise Unavailable("the subscription has changed meanwhile; try again", retry_after=1)
        # What Vipps would not take is refused before anything waits for it.
        _draft(deps, work.account, agreement, recovery)
        if not await unit.recoveries.add(recovery):
            raise Unavailable("another one of the subscription is being paid", retry_after=5)
        # What was given up, by the policy or for its failures, is open again, and looked at when the draft is over.
        await put(unit, rested(replace(renewal, status=RenewalStatus.WAITING, dead=None), recovery.until))
        reason = f"period {renewal.period}, {recovery.amount}"
        what = AuditEntry(shop, ACTOR, "recovery.begun", renewal.agreement_id, recovery.created_at, reason=reason)
        await unit.audit.add([what])
    return recovery


def _recovery(deps: Deps, work: Work, amount: Money, number: int) -> Recovery:
    renewal = work.renewal
    return Recovery(
        id=recovery_id(renewal.id, number),
        shop=renewal.shop,
        account_id=renewal.account_id,
        subscription_id=renewal.subscription_id,
        renewal_id=renewal.id,
        number=number,
        amount=amount,
        status=RecoveryStatus.OPEN,
        created_at=deps.clock(),
        resume_at=None if renewal.status.final else renewal.next_attempt_at or deps.clock(),
    )


async def _order(deps: Deps, work: Work) -> tuple[Work, RenewalOrder]:
    """Its order; made anew where it was deleted when the period was given up."""
    try:
        return await order_for(deps, work)
    except OrderGone:
        if not work.renewal.status.final:
            raise
        forgotten = replace(work.renewal, order=None, order_number=None)
        return await order_for(deps, await step(deps, work, forgotten))


async def _drafted(deps: Deps, recovery: Recovery) -> Agreement:
    shop = recovery.shop
    async with deps.store.begin() as unit:
        row = await unit.agreements.by_row(shop, recovery.id)
        old = await unit.agreements.by_row(shop, recovery.subscription_id)
    if row is not None and row.status is AgreementStatus.PENDING:
        return row
    if old is None:
        raise NotFound("no such payment")
    account = await account_of(deps, shop, recovery.account_id)
    draft = _draft(deps, account, old, recovery)
    slot = f"{KEY_SLOT}recovery/{recovery.id}"
    wanted = new_row(deps, account, draft, recovery.id, customer=old.customer, slot=slot)
    try:
        return await draft_once(deps, system(shop), account, wanted, draft)
    except (Rejected, IllegalState):
        await _let_go(deps, recovery)
        raise


async def _let_go(deps: Deps, recovery: Recovery) -> None:
    """Vipps will not have it: all is as before, at once."""
    async with deps.store.begin() as unit:
        await unit.renewals.wake(recovery.shop, recovery.renewal_id, deps.clock())
    await deps.jobs.enqueue(Job.RENEW, recovery.shop, [recovery.renewal_id])


def _draft(deps: Deps, account: Account, old: Agreement, recovery: Recovery) -> AgreementDraft:
    """The same terms again, with the period's amount as the first charge."""
    largest = old.max_amount if old.pricing is Pricing.VARIABLE else None
    if largest is not None and largest < recovery.amount:
        largest = recovery.amount
    name = old.product_name
    return AgreementDraft(
        price=old.price,
        plan=old.plan,
        product_name=name,
        product_description=old.product_description,
        redirect_url=deps.pay_url(recovery.renewal_id),
        agreement_url=page_of(deps, account, recovery.id),
        initial_charge=InitialCharge(
            recovery.amount, name[:DESCRIPTION_MAX], TransactionType.DIRECT_CAPTURE, recovery.order_id
        ),
        pricing=old.pricing,
        suggested_max=largest,
        external_id=recovery.id,
    )
