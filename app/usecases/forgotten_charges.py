"""Charges of a period that Vipps has and our rows do not, because the database was restored from a backup of before.

Vipps takes each attempt's order id once, so that the next attempt cannot be made twice. But it never took the order id
of an attempt that it refused at once: behind such a gap a later attempt is seen only by whoever looks at all of them.
"""

from dataclasses import replace

from app.domain.charge import Charge, ChargeOrigin
from app.domain.renewal import renewal_order_id
from app.usecases.dunning import slot_of
from app.usecases.known import observe_charges
from app.usecases.ports import Deps
from app.usecases.recoveries import ACTOR
from app.usecases.renewal_work import Work, step

_AHEAD = 30  # more attempts than any policy, and staff beside it, make of one period


async def caught_up(deps: Deps, work: Work) -> tuple[Work, Charge | None]:
    """The period with as many attempts as Vipps knows of, and the later one that holds money, as its own charge."""
    renewal, agreement_id = work.renewal, work.renewal.agreement_id
    numbers = range(renewal.attempt + 1, renewal.attempt + 1 + _AHEAD)
    names = {renewal_order_id(renewal.shop, agreement_id, renewal.period, number): number for number in numbers}
    there = await deps.provider(work.account).list_charges(agreement_id)
    rows = await observe_charges(deps, ACTOR, work.agreement, [it for it in there if it.charge_id in names])
    for name, row in sorted(rows.items(), key=lambda it: names[it[0]]):
        mine = await _its_own(deps, work, row, names[name])
        if not mine.status.holds_no_money:
            return work, mine
    newest = max((names[name] for name in rows), default=renewal.attempt)
    return (await step(deps, work, replace(renewal, attempt=newest)) if newest > renewal.attempt else work), None


async def _its_own(deps: Deps, work: Work, row: Charge, attempt: int) -> Charge:
    renewal, slot = work.renewal, slot_of(work.renewal, attempt)
    mine = replace(row, origin=ChargeOrigin.RENEWAL, slot=slot, saleor_order=renewal.order)
    async with deps.store.begin() as unit:
        await unit.charges.give_to_order(mine, row.id)
        return (await unit.charges.by_slots(renewal.shop, [slot])).get(slot) or mine
