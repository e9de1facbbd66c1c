"""Explain a charge or an agreement: everything we know of it, in the order in which it happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.account import Caller, Scope
from app.domain.agreement import Agreement
from app.domain.charge import Charge
from app.domain.errors import Forbidden, NotFound
from app.domain.operation import Operation, key_for
from app.domain.records import AuditEntry, CallEntry
from app.usecases.ports import Deps, Unit


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story. `who` is a kind and an id, never a person's name."""

    at: datetime
    what: str
    who: str
    text: str
    context_id: str | None = None

    @property
    def is_call(self) -> bool:
        """Whether it is a call to Vipps and its answer, and not something that happened."""
        return self.what.startswith("call.")


@dataclass(frozen=True, slots=True)
class Explanation:
    charge: Charge
    agreement: Agreement | None
    operations: Sequence[Operation]
    moments: Sequence[Moment]


async def explain_charge(deps: Deps, caller: Caller, name: str) -> Explanation:
    """By charge id, order id or Saleor's order id; our own books only, so nobody is asked anything."""
    _require_shop(caller)
    async with deps.store.begin() as unit:
        for charge in await unit.charges.named(caller.shop, name):
            agreement = await unit.agreements.get(caller.shop, charge.agreement_id)
            return await _explanation(unit, charge, agreement)
    raise NotFound(f"no charge {name:.60}", field="chargeId")


async def explain_row(deps: Deps, caller: Caller, charge_row: str) -> Explanation:
    """By our own id of the charge, which no other charge of the shop shares."""
    _require_shop(caller)
    async with deps.store.begin() as unit:
        charge = await unit.charges.get(caller.shop, charge_row)
        if charge is None:
            raise NotFound("no such charge", field="chargeId")
        return await _explanation(unit, charge, await unit.agreements.get(caller.shop, charge.agreement_id))


async def explain_agreement(deps: Deps, caller: Caller, agreement: Agreement) -> Sequence[Moment]:
    """What happened to the agreement and to the subscription on it; its charges have stories of their own."""
    _require_shop(caller)
    name = agreement.agreement_id or agreement.id
    async with deps.store.begin() as unit:
        entries = [
            *await unit.audit.of_object(caller.shop, name),
            *await unit.audit.of_object(caller.shop, agreement.id),
        ]
        calls = [it for it in await unit.calls.of_agreement(caller.shop, name) if it.charge_id is None]
    return sorted([told_of(it) for it in entries] + [_called(it) for it in calls], key=lambda moment: moment.at)


def _require_shop(caller: Caller) -> None:
    caller.require(Scope.CHARGES_READ)
    if caller.own_only:
        raise Forbidden("the story of a charge names staff and machines; ask the shop")


async def _explanation(unit: Unit, charge: Charge, agreement: Agreement | None) -> Explanation:
    names = {charge.order_id, charge.charge_id or charge.order_id}
    of_agreement = await unit.operations.of_agreement(charge.shop, charge.agreement_id)
    operations = [it for it in of_agreement if it.charge_id in names]
    # What people did about it is told under the row's own id.
    entries = [entry for name in sorted(names | {charge.id}) for entry in await unit.audit.of_object(charge.shop, name)]
    calls = await unit.calls.of_agreement(charge.shop, charge.agreement_id)
    about = [call for call in calls if call.charge_id in names or call.idempotency_key == charge.idempotency_key]
    if charge.batch_id is not None:
        about += await unit.calls.of_key(charge.shop, key_for("create-charges", charge.batch_id))
    moments = [told_of(it) for it in entries] + [_called(it) for it in about]
    return Explanation(charge, agreement, operations, sorted(moments, key=lambda moment: moment.at))


def told_of(entry: AuditEntry) -> Moment:
    change = f"{entry.before} → {entry.after}" if entry.before and entry.before != entry.after else entry.after
    text = ": ".join(part for part in (change, entry.reason) if part)
    return Moment(entry.at, entry.action, entry.actor, text)


def _called(call: CallEntry) -> Moment:
    outcome = f"answered {call.status}" if call.status is not None else "did not answer"
    text = f"{call.method} {call.path}: Vipps {outcome} in {call.milliseconds} ms"
    if call.answer and (call.status is None or call.status >= 400):  # noqa: PLR2004
        text += f": {call.answer[:300]}"
    return Moment(call.at, f"call.{call.operation}", "system:vipps-recurring", text, call.context_id)
