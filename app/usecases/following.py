"""What jobs do about charges: send what is stored, follow what Vipps has, show it on its order."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from app.domain.account import system
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.errors import NotFound, ProviderError, RecurringError
from app.domain.operation import OperationKind
from app.usecases.charges import refresh_charge
from app.usecases.chunks import send_chunk
from app.usecases.installations import installed
from app.usecases.operations import new_operation, perform
from app.usecases.orders import charge_order
from app.usecases.ports import Deps, Job
from app.usecases.reporting import send_report
from app.usecases.retries import next_attempt
from app.usecases.sending import resume_charge
from app.usecases.showing import report_charge
from app.usecases.starting import begin_subscription

ACTOR = "system:follow-up"
_TAKEN_BACK = frozenset({ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED})


async def all_of(deps: Deps, works: Iterable[Awaitable[object]]) -> None:
    """Every row gets its chance; a mistake over one is told and does not keep the others waiting."""
    gate = asyncio.Semaphore(deps.limits.concurrency)

    async def one(work: Awaitable[object]) -> None:
        async with gate:
            try:
                await work
            except RecurringError:
                pass  # the row keeps its reason and its next attempt
            except Exception as error:  # noqa: BLE001
                deps.bug(error)

    await asyncio.gather(*(one(work) for work in works))


async def send_charges(deps: Deps, shop: str, charge_row_ids: Sequence[str]) -> None:
    """A charge of an order goes by way of the order, which may have been cancelled or paid meanwhile."""
    async with deps.store.begin() as unit:
        open_ = await unit.charges.open_of(shop, charge_row_ids)
    await all_of(deps, [_by_way_of_order(deps, it) for it in open_ if _made_for_order(it)])
    await send_chunk(deps, shop, [it.id for it in open_ if not _made_for_order(it)])


_OF_RENEWALS = frozenset({ChargeOrigin.RENEWAL, ChargeOrigin.INITIAL})


def _made_for_order(charge: Charge) -> bool:
    """What becomes of a renewal's order is the renewal's to say, also where its customer paid it by a new agreement."""
    return charge.saleor_order is not None and charge.origin not in _OF_RENEWALS


async def _by_way_of_order(deps: Deps, charge: Charge) -> None:
    now = deps.clock()
    if charge.dead or (charge.next_attempt_at or now) > now or (charge.lease_until or now) > now:
        return
    try:
        await charge_order(deps, await installed(deps, charge.shop), charge.saleor_order or "")
    except NotFound:
        # The shop is gone: what was sent before has to be found out all the same.
        await resume_charge(deps, charge.shop, charge.id)
    except ProviderError as error:
        # Whether the order still wants it cannot be asked now: later, and without keeping the others waiting.
        at = next_attempt(deps, charge.attempts, charge.created_at, error)
        async with deps.store.begin() as unit:
            await unit.charges.look_again(charge.shop, charge.id, at)
        await deps.jobs.enqueue(Job.CHARGE_CHUNK, charge.shop, [charge.id], after=at - now)


async def follow_up(deps: Deps, shop: str, charge_row_ids: Sequence[str]) -> None:
    """Ask Vipps what became of charges that it has and that are not final."""
    await all_of(deps, [_follow(deps, shop, row_id) for row_id in charge_row_ids])


async def _follow(deps: Deps, shop: str, row_id: str) -> None:
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(shop, row_id)
        if charge is None or charge.charge_id is None or charge.status.final:
            return
        agreement = await unit.agreements.get(shop, charge.agreement_id)
        # The next look is set before this one, so that a charge that cannot be read does not hold up the rest.
        await unit.charges.look_again(shop, row_id, charge.next_look(deps.clock()))
    if agreement is None:
        return
    seen = await refresh_charge(deps, ACTOR, agreement, charge.charge_id)
    if seen.withdrawn is not None and seen.status in _TAKEN_BACK:
        operation = new_operation(deps, system(shop), agreement, OperationKind.CANCEL, {}, charge_id=charge.charge_id)
        await perform(deps, operation)
        return
    if seen.in_saleor and seen.reported != seen.shown:
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, shop, [row_id])
    if seen.status.final or charge.saleor_order is None:
        return
    # The order may have been cancelled while we were away: Saleor tells it for five minutes only.
    if _made_for_order(charge):
        await charge_order(deps, await installed(deps, shop), charge.saleor_order)
    else:
        await _look_at_renewal(deps, charge)


async def _look_at_renewal(deps: Deps, charge: Charge) -> None:
    async with deps.store.begin() as unit:
        renewal = await unit.renewals.by_charge(charge.shop, charge.id)
        if renewal is None:
            return
        await unit.renewals.wake(charge.shop, renewal.id, deps.clock())
    await deps.jobs.enqueue(Job.RENEW, charge.shop, [renewal.id])


async def notify_shop(deps: Deps, shop: str, charge_row_ids: Sequence[str]) -> None:
    """Show charges' present state on their orders and transactions."""
    await all_of(deps, [_notify(deps, shop, row_id) for row_id in charge_row_ids])


async def report_all(deps: Deps, shop: str, report_ids: Sequence[str]) -> None:
    """Tell Saleor what is stored; the store lets no report go before the earlier ones of its transaction."""
    await all_of(deps, [send_report(deps, shop, report_id) for report_id in report_ids])


async def start_all(deps: Deps, shop: str, session_ids: Sequence[str]) -> None:
    """Begin the subscriptions of sessions."""
    await all_of(deps, [begin_subscription(deps, shop, session_id) for session_id in session_ids])


async def _notify(deps: Deps, shop: str, row_id: str) -> None:
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(shop, row_id)
    if charge is None or not charge.in_saleor:
        return
    try:
        installation = await installed(deps, shop)
    except NotFound:
        async with deps.store.begin() as unit:
            await unit.charges.mark_reported(shop, row_id, charge.shown)
        return
    await report_charge(deps, installation, charge)
