"""A subscription begins: its order stands in Saleor and its agreement is approved, whichever comes second."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from app.domain.account import Account, Installation, system
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge, ChargeStatus
from app.domain.checkout import VOUCHER_KEY, CartLine
from app.domain.errors import InvalidInput, OutcomeUnknown, Unavailable
from app.domain.notice import NoticeKind
from app.domain.operation import OperationKind
from app.domain.order import Order, SourceOrder
from app.domain.plan import Plan
from app.domain.records import AuditEntry
from app.domain.recovery import RecoveryStatus
from app.domain.schedule import Schedule
from app.domain.subscription import MAX_LINES, Subscription, SubscriptionLine, SubscriptionStatus, VoucherPolicy
from app.domain.transaction import Session
from app.usecases.installations import installed
from app.usecases.known import account_of
from app.usecases.notices import note, soon
from app.usecases.operations import new_operation, perform
from app.usecases.ports import Deps, Job, Unit

ACTOR = "system:start"
_PROBLEM = "vipps-recurring-start:"
_PAID = frozenset({"FULL", "OVERCHARGED"})
_RELEASABLE = frozenset({ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED})
_UNDECIDED = frozenset({AgreementStatus.NEW, AgreementStatus.PENDING, AgreementStatus.UNKNOWN})


async def start_soon(deps: Deps, agreement: Agreement) -> None:
    """To be called where a customer may have decided: nothing happens where neither an order of a checkout waits for it
    nor a failed renewal.
    """
    if agreement.status in _UNDECIDED:
        return
    shop = agreement.shop
    async with deps.store.begin() as unit:
        recovery = await unit.recoveries.get(shop, agreement.id)
        session = await unit.sessions.of_agreement(shop, agreement.id)
        waits = recovery is not None and recovery.status is RecoveryStatus.OPEN
        if recovery is not None and waits:
            await unit.renewals.wake(shop, recovery.renewal_id, deps.clock())
    if recovery is not None and waits:
        await deps.jobs.enqueue(Job.RENEW, shop, [recovery.renewal_id])
    if agreement.status is not AgreementStatus.ACTIVE:
        return
    if session is not None and session.order is not None and not session.started:
        await deps.jobs.enqueue(Job.START, session.shop, [session.id])


async def order_seen(deps: Deps, shop: str, order: Order) -> str | None:
    """Give an order to the sessions that paid for it; in one line what came of it, None where none did or does.

    Anybody may begin a session on an order whose id they know, and need not end it: what is neither approved nor under
    way keeps no order from being charged. Raises Unavailable while that is open.
    """
    async with deps.store.begin() as unit:
        sessions = await unit.sessions.of_transactions(shop, [it.id for it in order.transactions])
        for it in sessions.values():
            if it.order is None:
                await unit.sessions.give_order(shop, it.id, order.id)
        paying = [it for it in sessions.values() if covers(it, order) and await _pays(unit, it)]
        rows = [await unit.agreements.by_row(shop, it.agreement_row) for it in sessions.values()]
    await deps.jobs.enqueue(Job.START, shop, [it.id for it in paying if not it.started])
    if paying:
        return "the order is paid at the checkout; its subscription begins"
    if not sessions or order.agreement_id is None:
        return "the order has a payment that was not approved" if sessions else None
    if any(row is not None and row.status in _UNDECIDED for row in rows):
        raise Unavailable("another payment of this order waits for its customer")
    return None


def covers(session: Session, order: Order) -> bool:
    """Whether the order is paid in full by it, or at all: for a krone nobody begins a subscription, nor keeps an order
    from being charged on the agreement that it names.
    """
    if order.charge_status in _PAID or order.authorize_status == "FULL":
        return True
    total = order.total
    return total is not None and total.currency is session.amount.currency and total <= session.amount


async def _pays(unit: Unit, session: Session) -> bool:
    agreement = await unit.agreements.by_row(session.shop, session.agreement_row)
    if agreement is not None and agreement.status is AgreementStatus.ACTIVE:
        return True
    charge = await unit.charges.by_transaction(session.shop, session.id)
    return charge is not None and (charge.captured > 0 or charge.status in _RELEASABLE)


@dataclass(frozen=True, slots=True)
class _Start:
    """What is known of it before Saleor is asked."""

    session: Session
    agreement: Agreement
    account: Account
    installation: Installation


async def begin_subscription(deps: Deps, shop: str, session_id: str) -> str:
    """What came of it in one line. Nothing happens where it stands already, or where order or approval are missing."""
    async with deps.store.begin() as unit:
        session = await unit.sessions.get(shop, session_id)
        agreement = await unit.agreements.by_row(shop, session.agreement_row) if session else None
    if session is None or session.order is None or session.started:
        return "there is nothing to begin"
    if agreement is None or agreement.status is not AgreementStatus.ACTIVE:
        return "its agreement is not ACTIVE"
    start = _Start(session, agreement, await account_of(deps, shop, agreement.account_id), await installed(deps, shop))
    async with deps.turns.of(f"start {shop} {session.order}"):
        order = await deps.shop.source_order(start.installation, session.order)
        if order is None:
            return "the order is not to be seen; it is looked for again"
        if order.dead:
            return await _let_go(deps, start, order, f"order {order.number} is {order.status}")
        now = await deps.shop.order(start.installation, session.order)
        if now is None or not covers(session, now):
            return await _hindered(deps, start, order, f"{session.amount} does not pay for it")
        return await _begin(deps, start, order)


async def _begin(deps: Deps, start: _Start, order: SourceOrder) -> str:
    try:
        subscription = _subscription(deps, start, order)
    except InvalidInput as error:
        return await _hindered(deps, start, order, error.message)
    shop, notice_id = start.session.shop, None
    async with deps.store.begin() as unit:
        other = await _other_of(unit, start, order)
        agreement = await unit.agreements.by_row(shop, start.agreement.id, lock=True)
        if agreement is None or agreement.status is not AgreementStatus.ACTIVE:
            return "its agreement is not ACTIVE any more"
        if other is None:
            added = await unit.subscriptions.add(subscription, order.subscriber)
            await unit.sessions.mark_started(shop, start.session.id)
            await unit.agreements.save(replace(agreement, initial_order=order.id))
            if added:
                notice_id = await _tell(unit, deps, start, subscription, order)
    if other is not None:
        return await _superfluous(deps, start, order, f"order {order.number} began subscription {other} already")
    await soon(deps, shop, notice_id)
    return f"subscription {subscription.agreement_id} begins with order {order.number}"


async def _other_of(unit: Unit, start: _Start, order: SourceOrder) -> str | None:
    """The agreement whose subscription the same order began: two payments of one order must not renew it twice.

    All its agreements are locked, in one sequence, so that of two at once the second sees what the first began.
    """
    shop = start.session.shop
    sessions = await unit.sessions.of_transactions(shop, [it.id for it in order.transactions])
    rows = sorted({it.agreement_row for it in sessions.values()} - {start.agreement.id})
    for row_id in sorted([*rows, start.agreement.id]):
        await unit.agreements.by_row(shop, row_id, lock=True)
    for row_id in rows:
        found = await unit.subscriptions.get(shop, row_id)
        if found is not None:
            return found.agreement_id
    return None


async def _tell(unit: Unit, deps: Deps, start: _Start, subscription: Subscription, order: SourceOrder) -> str | None:
    what = AuditEntry(
        subscription.shop,
        ACTOR,
        "subscription.started",
        subscription.agreement_id,
        deps.clock(),
        after=subscription.status,
        reason=f"order {order.id}",
    )
    await unit.audit.add([what])
    told = {"order": order.id, "order_number": order.number, "next_due": subscription.next_due.isoformat()}
    return await note(unit, deps, start.account, NoticeKind.SUBSCRIPTION_STARTED, subscription, told, "started")


def _subscription(deps: Deps, start: _Start, order: SourceOrder) -> Subscription:
    """Raises InvalidInput where nothing of the order is renewed as its customer agreed."""
    agreement = start.agreement
    recurring = [line for line in order.lines if _plan_of(line) == agreement.plan]
    if not recurring:
        raise InvalidInput(f"order {order.number} has no product that is renewed every {agreement.plan}")
    schedule = _schedule(start, order)
    every = any(line.metadata.get(VOUCHER_KEY, "").strip().lower() == "every" for line in recurring)
    return Subscription(
        id=agreement.id,
        shop=agreement.shop,
        account_id=agreement.account_id,
        agreement_id=agreement.agreement_id or "",
        customer=agreement.customer,
        channel=order.channel,
        channel_id=order.channel_id,
        currency=agreement.price.currency,
        initial_order=order.id,
        initial_number=order.number,
        lines=_lines(recurring),
        schedule=schedule,
        next_period=1,
        next_due=schedule.due(1),
        status=SubscriptionStatus.ACTIVE,
        created_at=deps.clock(),
        shipping_method=order.shipping_method,
        voucher=order.voucher,
        voucher_policy=VoucherPolicy.EVERY if every else VoucherPolicy.FIRST,
    )


def _plan_of(line: CartLine) -> Plan | None:
    """What a merchant has written down wrongly since is not renewed."""
    try:
        return line.plan
    except InvalidInput:
        return None


def _lines(recurring: Sequence[CartLine]) -> tuple[SubscriptionLine, ...]:
    """One line for each variant."""
    quantities: dict[str, int] = {}
    names: Mapping[str, str] = {line.variant: line.name for line in recurring}
    for line in recurring:
        quantities[line.variant] = quantities.get(line.variant, 0) + line.quantity
    if len(quantities) > MAX_LINES:
        raise InvalidInput(f"a subscription has at most {MAX_LINES} products", field="lines")
    return tuple(SubscriptionLine(variant, quantity, names[variant]) for variant, quantity in quantities.items())


def _schedule(start: _Start, order: SourceOrder) -> Schedule:
    """Period 0 is what the first order paid. After a trial all else is counted from the day on which it ends."""
    day = _first_day(start, order)
    plan = start.agreement.plan
    if start.session.trial is None:
        return Schedule(plan, day)
    return Schedule(plan, Plan.parse(start.session.trial).after(day, 1), first_period=1)


def _first_day(start: _Start, order: SourceOrder) -> date:
    """The day on which order and approval were both there, where the merchant is: not when this job ran."""
    at = max(order.created_at, start.agreement.start or order.created_at)
    return at.astimezone(ZoneInfo(start.account.time_zone)).date()


async def _hindered(deps: Deps, start: _Start, order: SourceOrder, reason: str) -> str:
    """The customer agreed to renewals and the order does not say of what: staff have to look. It is tried again."""
    text = f"The subscription of order {order.number} cannot begin: {reason}"
    await deps.shop.raise_problem(start.installation, _PROBLEM + start.session.id, text)
    return text


async def _let_go(deps: Deps, start: _Start, order: SourceOrder, reason: str) -> str:
    """Nobody wants this order: release what is reserved for it, then stop the agreement, so that nothing is ever
    charged on it.

    What is collected stays refundable when it is stopped (facts: VIPPS 7.1), and is the staff's to refund: cancelling
    an order does not do it in Saleor either (facts: SALEOR 5). So the order says what there is to do.
    """
    charge = await _charge_of(deps, start)
    if charge is not None and charge.status in _RELEASABLE:
        charge = await _release(deps, start, charge)
    return await _stop(deps, start, order, charge, reason)


async def _superfluous(deps: Deps, start: _Start, order: SourceOrder, reason: str) -> str:
    """Its charge pays for a part of the order, and stopping would release it (facts: VIPPS 6.13): not before it is
    collected.
    """
    return await _stop(deps, start, order, await _charge_of(deps, start), reason)


async def _stop(deps: Deps, start: _Start, order: SourceOrder, charge: Charge | None, reason: str) -> str:
    shop, agreement = start.session.shop, start.agreement
    if start.session.amount.minor and (charge is None or not charge.status.final):
        return f"agreement {agreement.agreement_id} is stopped when its charge is settled, because {reason}"
    # Where its answer is lost the operation is finished by whoever finds it.
    with suppress(Unavailable, OutcomeUnknown):
        await perform(deps, new_operation(deps, system(shop), agreement, OperationKind.STOP, {}))
    what = AuditEntry(shop, ACTOR, "agreement.let_go", agreement.agreement_id or "", deps.clock(), reason=reason)
    async with deps.store.begin() as unit:
        await unit.audit.add([what])
    left = charge.captured - charge.refunded if charge is not None else 0
    if charge is not None and left > 0:
        text = f"Vipps: agreement {agreement.agreement_id} is stopped, because {reason}"
        money = replace(charge.amount, minor=left)
        note_text = f"{text}. {money} were collected on it: refund what is not owed."
        await deps.shop.add_note(start.installation, order.id, note_text)
    return f"agreement {agreement.agreement_id} is stopped: {reason}"


async def _charge_of(deps: Deps, start: _Start) -> Charge | None:
    async with deps.store.begin() as unit:
        return await unit.charges.by_transaction(start.session.shop, start.session.id)


async def _release(deps: Deps, start: _Start, charge: Charge) -> Charge:
    charge_id = charge.charge_id or charge.order_id
    cancel = new_operation(deps, system(charge.shop), start.agreement, OperationKind.CANCEL, {}, charge_id=charge_id)
    await perform(deps, cancel)
    async with deps.store.begin() as unit:
        return await unit.charges.get(charge.shop, charge.id) or charge
