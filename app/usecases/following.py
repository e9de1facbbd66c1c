"""What jobs do about charges: send what is stored, follow what Vipps has, show it on its order."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from app.domain.account import system
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import NotFound, ProviderError, RecurringError
from app.domain.operation import OperationKind
from app.usecases.charges import refresh_charge
from app.usecases.chunks import send_chunk
from app.usecases.installations import installed
from app.usecases.operations import new_operation, perform
from app.usecases.orders import charge_order, report_charge
from app.usecases.ports import Deps, Job
from app.usecases.retries import next_attempt
from app.usecases.sending import resume_charge

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
    await all_of(deps, [_by_way_of_order(deps, it) for it in open_ if it.saleor_order is not None])
    await send_chunk(deps, shop, [it.id for it in open_ if it.saleor_order is None])


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
    if charge.saleor_order is None:
        return
    if seen.status.final:
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, shop, [row_id])
    else:
        # The order may have been cancelled while we were away: Saleor tells it for five minutes only.
        await charge_order(deps, await installed(deps, shop), charge.saleor_order)


async def notify_shop(deps: Deps, shop: str, charge_row_ids: Sequence[str]) -> None:
    """Show charges' present status on their orders."""
    await all_of(deps, [_notify(deps, shop, row_id) for row_id in charge_row_ids])


async def _notify(deps: Deps, shop: str, row_id: str) -> None:
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(shop, row_id)
    if charge is None or charge.saleor_order is None:
        return
    try:
        installation = await installed(deps, shop)
    except NotFound:
        async with deps.store.begin() as unit:
            await unit.charges.mark_reported(shop, row_id, charge.status)
        return
    await report_charge(deps, installation, charge)
