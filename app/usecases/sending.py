"""Sending a stored charge to Vipps, the first time and every time after: one row, one order id, one key."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from app.domain.account import Account
from app.domain.charge import Charge, ChargeRequest, ChargeStatus
from app.domain.errors import Misconfigured, OutcomeUnknown, ProviderError, RecurringError, Rejected
from app.domain.operation import key_for
from app.domain.records import AuditEntry
from app.usecases.batches import unforeseen
from app.usecases.ports import Deps
from app.usecases.retries import kept, next_attempt, today


@dataclass(frozen=True, slots=True)
class Sent:
    """A charge after a call: its new row, what to write down about it, and what the caller is told if it failed."""

    charge: Charge
    audit: AuditEntry
    error: RecurringError | None = None


async def send_charge(deps: Deps, account: Account | None, charge: Charge) -> Sent:
    """Never raises. The caller stores the result; until then the row says NEW and the sweeper would send it again."""
    try:
        made = await _create(deps, account, charge)
    except Rejected as error:
        rejected = replace(
            charge,
            status=ChargeStatus.REJECTED,
            failure_code=error.provider_code or error.code,
            failure=error.message,
            next_attempt_at=None,
            lease_until=None,
        )
        return Sent(rejected.freed(), _entry(deps, charge, rejected, error.message), error)
    except ProviderError as error:
        return _later(deps, charge, error)
    except Exception as error:  # noqa: BLE001  # whatever it was, the row must stay open and the batch go on
        return _later(deps, charge, unforeseen(deps, error))
    now = deps.clock()
    after = replace(made, lease_until=None, next_attempt_at=made.next_look(now))
    return Sent(after, _entry(deps, charge, after, ""))


async def _create(deps: Deps, account: Account | None, charge: Charge) -> Charge:
    if account is None:
        raise Misconfigured("the merchant account of this agreement is gone; set it again with: account set")
    provider = deps.provider(account)
    request = ChargeRequest(
        charge.agreement_id, charge.order_id, charge.amount, charge.description, charge.due, charge.retry_days
    )
    try:
        charge_id = await provider.create_charge(request, key=charge.idempotency_key)
    except Rejected as error:
        # A no may mean "I have it already" (a key does not live for ever), and a conflict may mean "I am at it".
        if charge.attempts == 1 and not error.in_conflict:
            raise
        try:
            seen = await provider.get_charge(charge.agreement_id, charge.order_id)
        except Rejected as unknown:
            if error.in_conflict and unknown.unknown_object:
                raise OutcomeUnknown(f"{error.message}; Vipps may still be at it", status=error.status) from error
            raise error from None
        if not charge.matches(seen):
            raise  # somebody else's charge has the order id that the caller chose
        return charge.see(seen)
    return replace(charge, charge_id=charge_id, status=ChargeStatus.PENDING, failure_code=None, failure=None)


def _later(deps: Deps, charge: Charge, error: RecurringError) -> Sent:
    after = replace(
        charge,
        failure_code=error.code,
        failure=error.message,
        next_attempt_at=next_attempt(deps, charge.attempts, error),
        lease_until=None,
    )
    return Sent(after, _entry(deps, charge, after, error.message), kept(error, "the charge"))


def _entry(deps: Deps, before: Charge, after: Charge, reason: str) -> AuditEntry:
    action = "charge.sent" if after.status is not ChargeStatus.NEW else "charge.delayed"
    name = after.charge_id or after.order_id
    return AuditEntry(before.shop, before.actor, action, name, deps.clock(), before.status, after.status, reason)


async def _send_late(deps: Deps, account: Account, charge: Charge, withdraw: str | None) -> Sent:
    """A charge whose outcome stayed open until its due date became illegal, or until nobody wants it any more.

    If Vipps has it, it is settled. If Vipps says that there is no such charge, it gets a new due date and with it a new
    key, stored before it is sent; the order id stays, and Vipps takes that only once.
    """
    try:
        seen = await deps.provider(account).get_charge(charge.agreement_id, charge.order_id)
    except Rejected as error:
        if not error.unknown_object:
            return _later(deps, charge, error)
    except ProviderError as error:
        return _later(deps, charge, error)
    else:
        if charge.matches(seen):
            found = charge.see(seen)
            after = replace(found, lease_until=None, next_attempt_at=found.next_look(deps.clock()))
            return Sent(after, _entry(deps, charge, after, "found at Vipps"))
        if withdraw is None:
            return await send_charge(deps, account, charge)  # another charge has that id: Vipps will say so
    if withdraw is not None:
        given_up = replace(charge, status=ChargeStatus.CANCELLED, failure=withdraw, failure_code=None, lease_until=None)
        return Sent(given_up, _entry(deps, charge, given_up, withdraw))
    due = today(deps) + timedelta(days=account.lead_days)
    renewed = replace(charge, due=due, idempotency_key=key_for("create-charge", f"{charge.id}/{due}"))
    why = f"due {charge.due} has passed unsent"
    what = AuditEntry(
        charge.shop, charge.actor, "charge.postponed", charge.order_id, deps.clock(), after=str(due), reason=why
    )
    async with deps.store.begin() as unit:
        await unit.charges.record_sent([renewed])
        await unit.audit.add([what])
    return await send_charge(deps, account, renewed)


async def store_sent(deps: Deps, sent: list[Sent]) -> None:
    async with deps.store.begin() as unit:
        await unit.charges.record_sent([it.charge for it in sent])
        await unit.audit.add([it.audit for it in sent])


async def resume_charge(deps: Deps, shop: str, charge_row_id: str, *, withdraw: str | None = None) -> Charge | None:
    """Send a NEW charge again if nobody else holds it; None where somebody does or it is settled.

    With a reason to `withdraw` it is not sent any more: it is found at Vipps, or given up.
    """
    now = deps.clock()
    async with deps.store.begin() as unit:
        charge = await unit.charges.claim(shop, charge_row_id, now, now + timedelta(seconds=deps.limits.lease_seconds))
        account = await unit.accounts.get(shop, charge.account_id) if charge else None
    if charge is None:
        return None
    if account is not None and (withdraw is not None or charge.due <= today(deps)):
        sent = await _send_late(deps, account, charge, withdraw)
    else:
        sent = await send_charge(deps, account, charge)
    await asyncio.shield(store_sent(deps, [sent]))
    return sent.charge
