"""Showing a charge in Saleor: on the order that it was made for, in words for staff, and on its transaction."""

from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from app.domain.account import Installation, system
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.errors import NotFound, ProviderError
from app.domain.order import NOT_CHARGED, Order, OrderReport, own_names
from app.usecases.charges import refresh_charge
from app.usecases.ports import Deps
from app.usecases.reporting import settle_report


def own_of(shop: str, order: Order, charge: Charge | None = None) -> Collection[str]:
    if charge is None:
        return own_names(shop, order.id, order.agreement_id)
    return own_names(shop, order.id, charge.agreement_id, charge.saleor_transaction)


async def report_charge(deps: Deps, installation: Installation, charge: Charge, order: Order | None = None) -> None:
    """Show the charge's state in Saleor, once per state: on the order it was made for, and on its transaction."""
    of_order = charge.origin is ChargeOrigin.ORDER
    if of_order and charge.status is ChargeStatus.PENDING and charge.charge_id:
        await _fresh(deps, charge)
    now = deps.clock()
    async with deps.store.begin() as unit:
        until = now + timedelta(seconds=deps.limits.lease_seconds)
        claimed = await unit.charges.claim_report(charge.shop, charge.id, now, until)
    if claimed is None:
        return
    if of_order and claimed.saleor_order is not None:
        if order is None or claimed.reported is not None:
            # Read anew: another process may have told it something since it was read.
            order = await deps.shop.order(installation, claimed.saleor_order)
        if order is not None:
            unwanted = order.unwanted(own_of(claimed.shop, order, claimed))
            await tell(deps, installation, order, _report(claimed, unwanted))
    await settle_report(deps, installation, claimed)


async def _fresh(deps: Deps, charge: Charge) -> None:
    """Right after it is made a charge is PENDING; what staff want to read is what Vipps made of it."""
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(charge.shop, charge.agreement_id)
    if agreement is not None:
        with suppress(ProviderError, NotFound):
            await refresh_charge(deps, system(charge.shop).actor, agreement, charge.charge_id or "")


async def tell(deps: Deps, installation: Installation, order: Order, report: OrderReport) -> None:
    if not report.stands_on(order):
        await deps.shop.report(installation, report.without_repeating(order))


def refused(order: Order, reason: str) -> OrderReport:
    return OrderReport(
        order=order.id, status=NOT_CHARGED, reason=reason, note=f"Vipps: this order was not charged, because {reason}."
    )


def _report(charge: Charge, unwanted: str | None) -> OrderReport:
    name = charge.charge_id or charge.order_id
    reason = ": ".join(part for part in (charge.failure_code, charge.failure) if part)
    match charge.status:
        case ChargeStatus.REJECTED:
            text = f"Vipps refused to charge {charge.amount}: {reason}."
        case ChargeStatus.FAILED:
            text = f"Vipps could not collect {charge.amount} (charge {name}): {reason or 'no reason given'}."
        case ChargeStatus.PENDING | ChargeStatus.DUE:
            text = f"Vipps charges {charge.amount} on {charge.due} (charge {name}, agreement {charge.agreement_id})."
        case ChargeStatus.CHARGED:
            text = f"Vipps collected {charge.amount} (charge {name})."
        case ChargeStatus.CANCELLED:
            reason = unwanted or reason
            text = f"Vipps: charge {name} of {charge.amount} is cancelled" + (f", because {reason}." if reason else ".")
        case _:
            text = f"Vipps: charge {name} of {charge.amount} is {charge.status}."
    return OrderReport(charge.saleor_order or "", charge.status.value, text, charge.charge_id or "", reason)
