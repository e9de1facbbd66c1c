"""Subscription orders: an order that names an agreement is charged on it, once, for its own total."""

from contextlib import suppress
from dataclasses import dataclass, replace

from app.domain.account import Account, Installation, system
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import DESCRIPTION_MAX, ORDER_SLOT, Charge, ChargeOrigin, ChargeStatus, check_limit
from app.domain.errors import (
    IllegalState,
    InvalidInput,
    LimitExceeded,
    Misconfigured,
    NotFound,
    Rejected,
)
from app.domain.money import Money
from app.domain.operation import OperationKind
from app.domain.order import Order, order_id_for, refusal
from app.domain.records import AuditEntry
from app.domain.renewal import RENEWAL_KEY
from app.usecases.charges import ChargeMake, new_charge, refresh_charge
from app.usecases.known import account_for_channel, refresh_agreement
from app.usecases.operations import new_operation, perform
from app.usecases.ports import Deps, Job
from app.usecases.sending import resume_charge, send_charge, store_sent
from app.usecases.showing import own_of, refused, report_charge, tell
from app.usecases.starting import order_seen

_CANCELLABLE = frozenset({ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED})


async def charge_order(deps: Deps, installation: Installation, order_id: str) -> str:
    """Apply any event about an order: read it anew, decide, charge once, and show the outcome on the order.

    Returns in one line what was done, for the inbox. Raises Unavailable and the like where it must be tried again.
    """
    async with deps.turns.of(f"{installation.shop} {order_id}"):
        return await _charge_order(deps, installation, order_id)


async def _charge_order(deps: Deps, installation: Installation, order_id: str) -> str:
    order = await deps.shop.order(installation, order_id)
    if order is None:
        return await _without_order(deps, installation.shop, order_id)
    if await _is_renewal(deps, installation.shop, order):
        return "a renewal's order; its renewal charges it"
    charge = await _charge_of(deps, order.id, installation.shop)
    if charge is None and (paid := await order_seen(deps, installation.shop, order)) is not None:
        return paid
    charge = charge or await _recognised(deps, installation.shop, order)
    if charge is not None:
        return await _follow(deps, installation, order, charge)
    if order.agreement_id is None:
        return "not a subscription order"
    if order.waits:
        return f"the order is {order.status}; it is looked at again when it is confirmed"
    return await _charge_anew(deps, installation, order)


async def _charge_anew(deps: Deps, installation: Installation, order: Order) -> str:
    agreement = await _agreement_of(deps, installation.shop, order)
    own = own_of(installation.shop, order)
    reason = refusal(order, agreement, own) or await _wrong_account(deps, installation.shop, order, agreement)
    if reason is None and agreement is not None and order.total is not None:
        try:
            stored = await _store(deps, installation.shop, order, agreement, order.total)
        except (InvalidInput, IllegalState, LimitExceeded) as error:
            reason = error.message
        else:
            return await _follow(deps, installation, order, await _send(deps, stored))
    if order.names_a_charge:
        # Of an installation or a database before this one: what it says of the charge is not written over.
        return f"not charged, and it shows a charge that we do not know: {reason}"
    await tell(deps, installation, order, refused(order, str(reason)))
    late = await _charge_of(deps, order.id, installation.shop)
    if late is not None:
        # Another worker charged it meanwhile, after the order had changed: what was just written is not true any more.
        async with deps.store.begin() as unit:
            await unit.charges.show_again(installation.shop, late.id)
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, installation.shop, [late.id])
    return f"not charged: {reason}"


async def _is_renewal(deps: Deps, shop: str, order: Order) -> bool:
    """What a renewal made has its own charge, whatever somebody wrote into the order's metadata."""
    async with deps.store.begin() as unit:
        renewal = await unit.renewals.by_order(shop, order.id)
    return renewal is not None or RENEWAL_KEY in order.metadata


async def _without_order(deps: Deps, shop: str, order_id: str) -> str:
    """Nobody is there to pay for: what is not collected is taken back."""
    gone = "the order does not exist any more"
    charge = await _charge_of(deps, order_id, shop)
    if charge is not None and charge.status is ChargeStatus.NEW:
        charge = await resume_charge(deps, shop, charge.id, withdraw=gone) or charge
    if charge is not None and charge.status in _CANCELLABLE:
        await _take_back(deps, shop, charge)
    return gone


async def _charge_of(deps: Deps, order_id: str, shop: str) -> Charge | None:
    slot = ORDER_SLOT + order_id
    async with deps.store.begin() as unit:
        return (await unit.charges.by_slots(shop, [slot])).get(slot)


async def _wrong_account(deps: Deps, shop: str, order: Order, agreement: Agreement | None) -> str | None:
    """Money for a channel's orders belongs to that channel's merchant, and play money from the test environment pays
    for nothing in a live one.
    """
    try:
        account = await account_for_channel(deps, shop, order.channel)
    except (InvalidInput, Misconfigured):
        return f"channel {order.channel} has no merchant account"
    if agreement is not None and agreement.account_id != account.id:
        return f"agreement {agreement.agreement_id} belongs to another merchant account than channel {order.channel}"
    return None


async def _agreement_of(deps: Deps, shop: str, order: Order) -> Agreement | None:
    """Our own row only: what a storefront writes into metadata must not make us look for agreements at Vipps."""
    async with deps.store.begin() as unit:
        row = await unit.agreements.get(shop, order.agreement_id or "")
    if row is None or order.customer is None or row.customer != order.customer:
        return row
    if row.status is not AgreementStatus.ACTIVE and not row.status.final:
        row, _ = await refresh_agreement(deps, system(shop).actor, row)
    return row


@dataclass(frozen=True, slots=True)
class Stored:
    """The order's charge; `mine` where this worker stored it and so has to send it."""

    charge: Charge
    account: Account | None = None
    mine: bool = False


async def _store(deps: Deps, shop: str, order: Order, agreement: Agreement, total: Money) -> Stored:
    """Decide, store. Where another worker stored it first, its row: the lease on it says who sends it."""
    make = ChargeMake(
        agreement_id=agreement.agreement_id or "",
        price=total.minor,
        description=f"Order {order.number}"[:DESCRIPTION_MAX],
        order_id=order_id_for(shop, order.id),
    )
    async with deps.store.begin() as unit:
        account = await unit.accounts.get(shop, agreement.account_id)
        taken = (await unit.charges.taken(shop, [make.agreement_id]))[make.agreement_id]
    charge = new_charge(
        deps,
        system(shop),
        agreement,
        account,
        make,
        origin=ChargeOrigin.ORDER,
        slot=ORDER_SLOT + order.id,
        saleor_order=order.id,
    )
    known = await _known_already(deps, charge)
    if known is not None:
        return Stored(known)
    check_limit(agreement, taken, charge.amount, charge.due)
    async with deps.store.begin() as unit:
        added = await unit.charges.add_all([charge])
        if added:
            what = AuditEntry(shop, charge.actor, "charge.stored", charge.order_id, deps.clock(), reason=order.id)
            await unit.audit.add([what])
    return Stored(charge, account, mine=True) if added else Stored(await _charge_of(deps, order.id, shop) or charge)


async def _recognised(deps: Deps, shop: str, order: Order) -> Charge | None:
    """The charge that the order shows and our database does not have: it is the order's, whatever becomes of it.

    Nor is an order that nobody wants any more let go before Vipps was asked: nobody may have been told of its charge.
    """
    own = own_of(shop, order)
    if not order.names_a_charge and not order.shows_own(own) and order.unwanted(own) is None:
        return None
    order_id = order_id_for(shop, order.id)
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(shop, order.agreement_id or "")
    if agreement is None:
        return None
    with suppress(NotFound, Rejected):
        await refresh_charge(deps, system(shop).actor, agreement, order_id)
    async with deps.store.begin() as unit:
        found = (await unit.charges.with_order_ids(shop, [order_id])).get(order_id)
    if found is None or found.agreement_id != agreement.agreement_id:
        return None
    wanted = replace(found, origin=ChargeOrigin.ORDER, saleor_order=order.id, slot=ORDER_SLOT + order.id)
    return await _known_already(deps, wanted)


async def _known_already(deps: Deps, charge: Charge) -> Charge | None:
    """The order's charge as somebody came across it at Vipps, after our own row was lost: it is the order's again."""
    async with deps.store.begin() as unit:
        found = (await unit.charges.with_order_ids(charge.shop, [charge.order_id])).get(charge.order_id)
        mine = found is not None and found.agreement_id == charge.agreement_id and found.amount == charge.amount
        if found is None or not mine or not await unit.charges.give_to_order(charge, found.id):
            return None
        what = AuditEntry(charge.shop, charge.actor, "charge.recognised", charge.order_id, deps.clock(), found.status)
        await unit.audit.add([what])
        return await unit.charges.get(charge.shop, found.id)


async def _send(deps: Deps, stored: Stored) -> Charge:
    if not stored.mine:
        return stored.charge
    sent = await send_charge(deps, stored.account, stored.charge)
    await store_sent(deps, [sent])
    return sent.charge


async def _follow(deps: Deps, installation: Installation, order: Order, charge: Charge) -> str:
    """A charge of this order exists: see it through, or take it back where the order shall not be paid by it."""
    unwanted = order.unwanted(own_of(installation.shop, order, charge))
    if charge.status is ChargeStatus.NEW:
        charge = await resume_charge(deps, charge.shop, charge.id, withdraw=unwanted) or charge
    if unwanted is not None and charge.status in _CANCELLABLE:
        charge = await _take_back(deps, installation.shop, charge)
    if charge.status is ChargeStatus.NEW:
        return f"charge {charge.order_id} is stored and its outcome is open; it is sent again with the same key"
    await report_charge(deps, installation, charge, order)
    return f"charge {charge.charge_id or charge.order_id} is {charge.status}"


async def _take_back(deps: Deps, shop: str, charge: Charge) -> Charge:
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(shop, charge.agreement_id)
    if agreement is None:
        raise NotFound(f"no agreement {charge.agreement_id}")
    operation = new_operation(
        deps, system(shop), agreement, OperationKind.CANCEL, {}, charge_id=charge.charge_id or charge.order_id
    )
    await perform(deps, operation)
    async with deps.store.begin() as unit:
        return await unit.charges.get(shop, charge.id) or charge
