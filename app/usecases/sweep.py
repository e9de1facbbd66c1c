"""The sweeper behind every queue: what the rows say is open or overdue is finished, whoever died over it.

Rows are the truth and jobs only carry them, so this alone is enough to lose nothing; jobs only make it quicker.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.agreement import Agreement
from app.domain.charge import Charge
from app.domain.errors import NotFound, ProviderError, RecurringError
from app.usecases.agreements import settle_draft
from app.usecases.charges import refresh_charge
from app.usecases.installations import apply_inbox, installed
from app.usecases.operations import resume_operation
from app.usecases.orders import charge_order, report_charge
from app.usecases.ports import Deps
from app.usecases.retries import next_attempt
from app.usecases.sending import resume_charge

_PAGE = 200
_DRAFT_LIFE = timedelta(minutes=15)  # Vipps lets a draft live for ten (facts: VIPPS 6.8)
_DRAFT_LOOK = timedelta(minutes=1)
ACTOR = "system:sweep"


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows of each sort were taken up."""

    inbox: int = 0
    charges: int = 0
    operations: int = 0
    drafts: int = 0
    followed: int = 0
    reported: int = 0


async def sweep(deps: Deps, object_id: Callable[[str], str | None]) -> Swept:
    now = deps.clock()
    async with deps.store.begin() as unit:
        inbox = await unit.inbox.waiting(now, _PAGE)
        unsent = await unit.charges.unsent(now, _PAGE)
        operations = await unit.operations.unfinished(now, _PAGE)
        drafts = await unit.agreements.unsettled(now - _DRAFT_LOOK, _PAGE)
        unsettled = await unit.charges.unsettled(now, _PAGE)
    await _all(deps, [apply_inbox(deps, object_id, shop, entry_id) for shop, entry_id in inbox])
    await _all(deps, [_send_again(deps, it) for it in unsent])
    await _all(deps, [resume_operation(deps, it.shop, it.id) for it in operations])
    await _all(deps, [_settle_draft(deps, it, now) for it in drafts])
    await _all(deps, [_follow(deps, it, now) for it in unsettled])
    async with deps.store.begin() as unit:
        unreported = await unit.charges.unreported(now, _PAGE)
    await _all(deps, [_report(deps, it) for it in unreported])
    return Swept(len(inbox), len(unsent), len(operations), len(drafts), len(unsettled), len(unreported))


async def _all(deps: Deps, works: list[Awaitable[object]]) -> None:
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


async def _send_again(deps: Deps, charge: Charge) -> None:
    """A charge of an order goes by way of the order, which may have been cancelled or paid meanwhile."""
    if charge.saleor_order is None:
        await resume_charge(deps, charge.shop, charge.id)
        return
    try:
        await charge_order(deps, await installed(deps, charge.shop), charge.saleor_order)
    except NotFound:
        # The shop is gone: what was sent before has to be found out all the same.
        await resume_charge(deps, charge.shop, charge.id)
    except ProviderError as error:
        # Whether the order still wants it cannot be asked now: later, and without keeping the others waiting.
        async with deps.store.begin() as unit:
            await unit.charges.look_again(charge.shop, charge.id, next_attempt(deps, charge.attempts, error))


async def _settle_draft(deps: Deps, row: Agreement, now: datetime) -> None:
    if row.agreement_id is None and row.created_at > now - _DRAFT_LIFE:
        return
    async with deps.store.begin() as unit:
        # Before the look, so that a draft that cannot be read does not hold up the rest.
        await unit.agreements.looked_at(row.shop, row.id, now)
    await settle_draft(deps, ACTOR, row)


async def _follow(deps: Deps, charge: Charge, now: datetime) -> None:
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(charge.shop, charge.agreement_id)
        # The next look is set before this one, so that a charge that cannot be read does not hold up the rest.
        await unit.charges.look_again(charge.shop, charge.id, charge.next_look(now))
    if agreement is None or charge.charge_id is None:
        return
    seen = await refresh_charge(deps, ACTOR, agreement, charge.charge_id)
    if charge.saleor_order is not None and not seen.status.final:
        # The order may have been cancelled while we were away: Saleor tells it for five minutes only.
        await charge_order(deps, await installed(deps, charge.shop), charge.saleor_order)


async def _report(deps: Deps, charge: Charge) -> None:
    try:
        installation = await installed(deps, charge.shop)
    except NotFound:
        async with deps.store.begin() as unit:
            await unit.charges.mark_reported(charge.shop, charge.id, charge.status)
        return
    await report_charge(deps, installation, charge)
