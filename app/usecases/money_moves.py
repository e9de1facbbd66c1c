"""Batches that move money on charges which exist: cancel, capture, refund."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from app.domain.account import ApiVersion, Caller, Scope, system
from app.domain.agreement import Agreement, check_text
from app.domain.batch import BatchResult, check_size
from app.domain.charge import DESCRIPTION_MAX, KEY_SLOT, REFUND_DESCRIPTION_MAX, Charge, ChargeStatus
from app.domain.errors import Duplicate, IllegalState, InvalidInput, OutcomeUnknown, Overtaken, RecurringError, Rejected
from app.domain.money import Money
from app.domain.operation import OperationKind
from app.domain.records import AuditEntry
from app.usecases.batches import Malformed, Sheet, each
from app.usecases.charges import digest, refresh_charge
from app.usecases.known import account_of, check_id, find_agreements
from app.usecases.operations import asked_before, new_operation, perform
from app.usecases.ports import Deps, Job
from app.usecases.sending import resume_charge

_A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ChargeMove:
    """One move on one charge. `price` (minor units) and `description` are for refunds and captures.

    Without a price all that is left is refunded or captured; only v3 captures in parts. Two refunds of the same amount
    are two refunds; the same `idempotency_key` again is the same one. `slot` is the whole name of what is done once,
    where it is not made of a key. `sums` is what whoever asks had before them (`Charge.sums`): where money has moved
    since, nothing is done.
    """

    kind: OperationKind
    agreement_id: str
    charge_id: str
    price: int | None = None
    description: str = ""
    idempotency_key: str | None = None
    slot: str | None = None
    sums: str | None = None

    def checked(self) -> "ChargeMove":
        check_id(self.agreement_id, "agreementId")
        check_id(self.charge_id, "chargeId")
        if self.kind is OperationKind.REFUND:
            check_text(self.description, "description", REFUND_DESCRIPTION_MAX)
        elif self.description:
            check_text(self.description, "description", DESCRIPTION_MAX)
        if self.price is not None and self.price <= 0:
            raise InvalidInput(
                "price is a positive number of minor units; leave it out for all that is left", field="price"
            )
        return self


async def give_back(deps: Deps, charge: Charge, why: str, key: str) -> RecurringError | None:
    """Refund all that is left, once for a key; what stands in the way for good, or None. Raises what may go away."""
    name = charge.charge_id or charge.order_id
    refund = ChargeMove(OperationKind.REFUND, charge.agreement_id, name, description=why, idempotency_key=key)
    [item] = (await move(deps, system(charge.shop), [refund])).items
    if item.error is not None and not isinstance(item.error, (IllegalState, Rejected)):
        raise item.error
    return item.error


async def move(deps: Deps, caller: Caller, items: Sequence[ChargeMove | Malformed]) -> BatchResult[Charge]:
    """Re-read each charge, so that nothing is decided on what we remember; then decide, store, call, store."""
    caller.require(Scope.CHARGES_WRITE)
    check_size(items, deps.limits.max_sync_batch)
    sheet = Sheet(len(items))
    good = _readable(items, sheet)
    agreements = await find_agreements(deps, caller, [it.agreement_id for it in good.values()])
    # Items on the same charge go one after another, so that each sees what the one before it left.
    chains: dict[tuple[str, str], list[int]] = {}
    for index, it in good.items():
        chains.setdefault((it.agreement_id, it.charge_id), []).append(index)

    async def run(indexes: list[int]) -> None:
        for index in indexes:
            it = good[index]
            try:
                sheet.answer(index, it.charge_id, await _one(deps, caller, agreements[it.agreement_id], it))
            except RecurringError as error:
                sheet.refuse(index, it.charge_id, error)

    links = list(chains.values())
    for chain, answer in zip(links, (await each(deps, links, str, run)).items, strict=True):
        if answer.error is not None:
            for index in chain:
                sheet.refuse(index, good[index].charge_id, answer.error)
    return sheet.result()  # type: ignore[return-value]


def _readable(items: Sequence[ChargeMove | Malformed], sheet: Sheet) -> dict[int, ChargeMove]:
    good: dict[int, ChargeMove] = {}
    seen: dict[ChargeMove, int] = {}
    for index, it in enumerate(items):
        if isinstance(it, Malformed):
            sheet.refuse(index, it.id, it.error)
            continue
        try:
            if it.checked() in seen:
                raise Duplicate(f"the same as item {seen[it]} of this batch; it is done once", field="chargeId")
            seen[it] = index
            good[index] = it
        except RecurringError as error:
            sheet.refuse(index, it.charge_id, error)
    return good


async def _one(deps: Deps, caller: Caller, agreement: Agreement | RecurringError, it: ChargeMove) -> Charge:
    if isinstance(agreement, RecurringError):
        raise agreement
    charge = await refresh_charge(deps, caller.actor, agreement, it.charge_id)
    slot = it.slot or (KEY_SLOT + digest(caller.actor, it.idempotency_key) if it.idempotency_key else None)
    asked = new_operation(deps, caller, agreement, it.kind, _asked(charge, it), charge_id=it.charge_id, slot=slot)
    if slot is not None and await asked_before(deps, asked) is not None:
        return await _as_it_is(deps, caller, it, charge)
    if it.sums not in (None, charge.sums):
        raise Overtaken(f"charge {it.charge_id} has changed meanwhile: it is {charge.status}", field="chargeId")
    if charge.unmade and it.kind is OperationKind.CANCEL:
        cancelled = charge.status is ChargeStatus.CANCELLED
        return charge if cancelled else await _withdraw(deps, caller, charge)
    account = await account_of(deps, agreement.shop, agreement.account_id)
    await perform(deps, replace(asked, request=_decided(charge, it, account.api_version)))
    return await _as_it_is(deps, caller, it, charge)


async def _as_it_is(deps: Deps, caller: Caller, it: ChargeMove, charge: Charge) -> Charge:
    async with deps.store.begin() as unit:
        rows = await unit.charges.find(caller.shop, it.agreement_id, [it.charge_id])
    return rows.get(it.charge_id, charge)


async def _withdraw(deps: Deps, caller: Caller, charge: Charge) -> Charge:
    """Cancel what is stored and not known to be made: not sent any more, and taken back should Vipps have it."""
    reason = f"cancelled by {caller.actor} before it was made"
    now = deps.clock()
    async with deps.store.begin() as unit:
        await unit.charges.withdraw(charge.shop, charge.id, reason)
        what = AuditEntry(charge.shop, caller.actor, "charge.withdrawn", charge.order_id, now, charge.status)
        await unit.audit.add([what])
    after = await resume_charge(deps, charge.shop, charge.id, withdraw=reason)
    if after is not None and after.status is ChargeStatus.CANCELLED:
        return after
    await deps.jobs.enqueue(Job.FOLLOW_UP, charge.shop, [charge.id], after=_A_MINUTE)
    raise OutcomeUnknown(
        f"{charge.order_id} was sent and its outcome is not known yet; it is not sent again, and taken back if Vipps "
        "has it: look at it in ten minutes"
    )


def _asked(charge: Charge, it: ChargeMove) -> dict[str, str | int]:
    """What the caller said, without what we fill in."""
    currency = charge.amount.currency.value
    amount: dict[str, str | int] = {} if it.price is None else {"amount": it.price, "currency": currency}
    return amount | ({"description": it.description} if it.description else {})


def _decided(charge: Charge, it: ChargeMove, version: ApiVersion) -> dict[str, str | int]:
    """The whole request, if the charge as it is now allows it."""
    if it.kind is OperationKind.CANCEL:
        charge.require_cancellable()
        return {}
    currency = charge.amount.currency
    wanted = None if it.price is None else Money(it.price, currency)
    # What was moved before tells later whether this move took effect, should its answer be lost.
    if it.kind is OperationKind.CAPTURE:
        amount, before = charge.check_capture(wanted), {"captured_before": charge.captured}
        if version is ApiVersion.V2 and amount != charge.amount:
            raise InvalidInput(
                "v2 captures all that is reserved at once; leave price out, or set the account to v3 with: "
                "account set --api-version v3",
                field="price",
            )
    else:
        amount, before = charge.check_refund(wanted), {"refunded_before": charge.refunded}
    return {"amount": amount.minor, "currency": currency.value, "description": it.description} | before
