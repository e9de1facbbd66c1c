"""Sending a stored charge to Vipps, the first time and every time after: one row, one order id, one key."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.domain.account import Account
from app.domain.charge import Charge, ChargeOrigin, ChargeRequest, ChargeStatus
from app.domain.errors import (
    Duplicate,
    InvalidInput,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RecurringError,
    Rejected,
)
from app.domain.limits import CREATE_CHARGE
from app.domain.operation import key_for
from app.domain.records import AuditEntry
from app.usecases.batches import unforeseen
from app.usecases.day_totals import forget_days
from app.usecases.permits import require_permit, told_to_wait
from app.usecases.ports import Deps, Job
from app.usecases.retries import given_up, kept, next_attempt, today

# Their order ids at Vipps are made of the order or the period, and so survive our database.
ALWAYS_THE_SAME = frozenset({ChargeOrigin.ORDER, ChargeOrigin.RENEWAL})
_SECOND_REPEAT = 60.0  # seconds: Vipps takes two creations a minute with the same key (facts: VIPPS 10)
_MAKING = timedelta(minutes=10)  # how long Vipps may take to make what it accepted, before it is sent on its own
_LOOK_AGAIN = timedelta(seconds=60)
GONE = "the merchant account of this agreement is gone; set it again with: account set"


@dataclass(frozen=True, slots=True)
class Sent:
    """A charge after a call: its new row, what to write down about it, and what the caller is told if it failed."""

    charge: Charge
    audit: AuditEntry
    error: RecurringError | None = None


async def send_charge(deps: Deps, account: Account | None, charge: Charge, *, permitted: bool = False) -> Sent:
    """Never raises. The caller stores the result; until then the row says NEW and the sweeper would send it again.

    `permitted` where the caller has asked for the call under the merchant's rate limit already.
    """
    if account is None:
        return later(deps, charge, Misconfigured(GONE))
    try:
        if not permitted:
            await require_permit(deps, account, CREATE_CHARGE)
        charge = replace(charge, api_version=account.api_version.value)
        made = await _create(deps, account, charge)
    except Rejected as error:
        return rejected(deps, charge, error)
    except InvalidInput as error:
        # It was never sent: the account's version has no words for it. Set to the other one, it goes out.
        return later(deps, charge, Misconfigured(error.message))
    except ProviderError as error:
        await told_to_wait(deps, account, CREATE_CHARGE, error)
        return later(deps, replace(charge, sent_at=deps.clock()), error)
    except Exception as error:  # noqa: BLE001  # whatever it was, the row must stay open and the batch go on
        return later(deps, replace(charge, sent_at=deps.clock()), unforeseen(deps, error))
    return settled(deps, charge, made, "")


async def _create(deps: Deps, account: Account, charge: Charge) -> Charge:
    provider = deps.provider(account)
    try:
        charge_id = await provider.create_charge(request_for(charge), key=charge.idempotency_key)
    except Rejected as error:
        # A no may mean "I have it already" (a key does not live for ever, and an order's id is always the same), and
        # a conflict may mean "I am at it".
        if charge.attempts == 1 and not error.in_conflict and charge.origin not in ALWAYS_THE_SAME:
            raise
        try:
            seen = await provider.get_charge(charge.agreement_id, charge.order_id)
        except Rejected as unknown:
            if error.in_conflict or not unknown.unknown_object:
                raise OutcomeUnknown(f"{error.message}; Vipps may still be at it", status=error.status) from error
            raise error from None
        if not charge.matches(seen) or (charge.attempts == 1 and seen.status.holds_no_money):
            raise  # another charge has the order id: somebody else's, or one that came to nothing before
        return charge.see(seen, deps.clock())
    return replace(charge, charge_id=charge_id, status=ChargeStatus.PENDING, failure_code=None, failure=None)


def request_for(charge: Charge) -> ChargeRequest:
    """The same row gives the same request, and that the same bytes."""
    return ChargeRequest(
        charge.agreement_id,
        charge.order_id,
        charge.amount,
        charge.description,
        charge.due,
        charge.retry_days,
        charge.transaction_type,
    )


def settled(deps: Deps, before: Charge, made: Charge, reason: str) -> Sent:
    """Vipps has it."""
    now = deps.clock()
    # What nobody wants any more is looked at, and taken back, at once.
    look = now if before.withdrawn and not made.status.final else made.next_look(now)
    after = replace(made, lease_until=None, dead=None, next_attempt_at=look)
    return Sent(after, _entry(deps, before, after, reason))


def rejected(deps: Deps, charge: Charge, error: Rejected) -> Sent:
    """Vipps will not have it, for good."""
    after = replace(
        charge,
        status=ChargeStatus.REJECTED,
        failure_code=error.provider_code or error.code,
        failure=error.message,
        next_attempt_at=None,
        lease_until=None,
        accepted_at=None,
    )
    return Sent(after.freed(), _entry(deps, charge, after, error.message), error)


def later(deps: Deps, charge: Charge, error: RecurringError) -> Sent:
    """Its outcome is open: tried again with the same key, or given up for a person to look at."""
    failures = charge.failures + 1
    dead = given_up(deps, failures, error)
    least = _SECOND_REPEAT if charge.attempts > 1 else 0.0
    after = replace(
        charge,
        failure_code=error.code,
        failure=error.message,
        failures=failures,
        next_attempt_at=None if dead else next_attempt(deps, failures, charge.created_at, error, least),
        lease_until=None,
        dead=dead,
    )
    return Sent(after, _entry(deps, charge, after, dead or error.message), kept(error, "the charge"))


def _entry(deps: Deps, before: Charge, after: Charge, reason: str) -> AuditEntry:
    action = "charge.sent" if after.status is not ChargeStatus.NEW else "charge.delayed"
    name = after.charge_id or after.order_id
    return AuditEntry(before.shop, before.actor, action, name, deps.clock(), before.status, after.status, reason)


async def look_then_send(
    deps: Deps, account: Account, charge: Charge, withdraw: str | None = None, *, permitted: bool = False
) -> Sent:
    """For a charge that Vipps may have under another key or version, whose due date has passed, or nobody wants.

    If Vipps has it, it is settled. If Vipps says that there is no such charge, it is sent on its own: order ids are
    taken once. What became due unsent gets a new due date and with it a new key, stored before it is sent.
    """
    try:
        seen = await deps.provider(account).get_charge(charge.agreement_id, charge.order_id)
    except Rejected as error:
        if not error.unknown_object:
            return later(deps, charge, error)
    except ProviderError as error:
        return later(deps, charge, error)
    else:
        if charge.matches(seen):
            return settled(deps, charge, charge.see(seen, deps.clock()), "found at Vipps")
        if withdraw is None:
            # Another charge has that id: Vipps will say so.
            return await send_charge(deps, account, charge, permitted=permitted)
    if withdraw is not None:
        return _withdrawn(deps, charge, withdraw)
    if charge.accepted_at is not None and charge.accepted_at > deps.clock() - _MAKING:
        return being_made(deps, charge)
    alone = replace(charge, batch_id=None, accepted_at=None)
    if charge.due > today(deps):
        return await send_charge(deps, account, alone, permitted=permitted)
    return await _postpone(deps, account, alone, permitted=permitted)


def _withdrawn(deps: Deps, charge: Charge, reason: str) -> Sent:
    """Vipps has none, which is believed when whatever was sent must have arrived."""
    if (charge.sent_at or charge.created_at) > deps.clock() - _MAKING:
        return later(deps, charge, OutcomeUnknown(f"{reason}; Vipps may still be at it, so it is looked for again"))
    gone = replace(charge, status=ChargeStatus.CANCELLED, failure=reason, failure_code=None, lease_until=None)
    return Sent(gone, _entry(deps, charge, gone, reason))


def being_made(deps: Deps, charge: Charge) -> Sent:
    """Vipps accepted it in a batch and makes it in its own time."""
    now = deps.clock()
    after = replace(
        charge, accepted_at=charge.accepted_at or now, next_attempt_at=now + _LOOK_AGAIN, lease_until=None, failure=None
    )
    return Sent(after, _entry(deps, charge, after, "accepted; Vipps makes it in its own time"))


async def _postpone(deps: Deps, account: Account, charge: Charge, *, permitted: bool) -> Sent:
    due = today(deps) + timedelta(days=account.lead_days)
    renewed = replace(charge, due=due, idempotency_key=key_for("create-charge", f"{charge.id}/{due}"))
    why = f"due {charge.due} has passed unsent"
    what = AuditEntry(
        charge.shop, charge.actor, "charge.postponed", charge.order_id, deps.clock(), after=str(due), reason=why
    )
    async with deps.store.begin() as unit:
        await unit.charges.record_sent([renewed])
        await unit.audit.add([what])
    return await send_charge(deps, account, renewed, permitted=permitted)


async def store_sent(deps: Deps, sent: Sequence[Sent]) -> None:
    """Write down what came of calls; what stays open gets a job for the time of its next attempt."""
    try:
        async with deps.store.begin() as unit:
            await unit.charges.record_sent([it.charge for it in sent])
            await unit.audit.add([it.audit for it in sent])
            for it in sent:
                await forget_days(unit, None, it.charge, deps.clock())
    except Duplicate as error:
        # One charge that is another row's must not keep the others from being stored.
        if len(sent) == 1:
            sent = [_known_already(deps, sent[0].charge, error)]
            async with deps.store.begin() as unit:
                await unit.charges.record_sent([sent[0].charge])
                await unit.audit.add([sent[0].audit])
        else:
            for it in sent:
                await store_sent(deps, [it])
            return
    await _tell_renewals(deps, [it.charge for it in sent])
    now = deps.clock()
    # What is to be tried at about the same time is one job.
    waits: dict[tuple[str, int], list[str]] = {}
    for charge in (it.charge for it in sent):
        if charge.status is ChargeStatus.NEW and charge.next_attempt_at is not None:
            seconds = int((charge.next_attempt_at - now).total_seconds()) + 1
            waits.setdefault((charge.shop, seconds), []).append(charge.id)
    for (shop, seconds), ids in waits.items():
        await deps.jobs.enqueue(Job.CHARGE_CHUNK, shop, ids, after=timedelta(seconds=seconds))


async def _tell_renewals(deps: Deps, charges: Sequence[Charge]) -> None:
    """An order's charge is shown by whoever sent it by way of the order; a renewal's goes out with many others."""
    settled_ = [it for it in charges if it.origin is ChargeOrigin.RENEWAL and it.status is not ChargeStatus.NEW]
    for shop in dict.fromkeys(it.shop for it in settled_):
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, shop, [it.id for it in settled_ if it.shop == shop])


def _known_already(deps: Deps, charge: Charge, error: Duplicate) -> Sent:
    unmade = replace(charge, charge_id=None, captured=0, refunded=0, cancelled=0, transaction_id=None)
    return rejected(deps, unmade, Rejected(f"{error.message}: {charge.order_id}", provider_code=error.code))


async def resume_charge(deps: Deps, shop: str, charge_row_id: str, *, withdraw: str | None = None) -> Charge | None:
    """Send a NEW charge again if nobody else holds it; None where somebody does or it is settled.

    With a reason to `withdraw`, now or from before, it is not sent any more: it is found at Vipps, or given up.
    """
    now = deps.clock()
    async with deps.store.begin() as unit:
        charge = await unit.charges.claim(shop, charge_row_id, now, lease_end(deps))
        account = await unit.accounts.get(shop, charge.account_id) if charge else None
    if charge is None:
        return None
    async with held(deps, [charge]):
        sent = await send_again(deps, account, charge, withdraw)
        await asyncio.shield(store_sent(deps, [sent]))
    return sent.charge


async def send_again(
    deps: Deps, account: Account | None, charge: Charge, withdraw: str | None = None, *, permitted: bool = False
) -> Sent:
    """The right way for a claimed charge: as it was, or with a look first."""
    withdraw = withdraw or charge.withdrawn
    if account is not None and (withdraw is not None or needs_look(deps, account, charge)):
        try:
            return await look_then_send(deps, account, charge, withdraw, permitted=permitted)
        except Exception as error:  # noqa: BLE001  # as in send_charge
            return later(deps, charge, unforeseen(deps, error))
    return await send_charge(deps, account, charge, permitted=permitted)


def needs_look(deps: Deps, account: Account, charge: Charge) -> bool:
    sent_otherwise = charge.api_version not in (None, account.api_version.value)
    return charge.due <= today(deps) or charge.batch_id is not None or sent_otherwise


def lease_end(deps: Deps) -> datetime:
    return deps.clock() + timedelta(seconds=deps.limits.lease_seconds)


@asynccontextmanager
async def held(deps: Deps, charges: Sequence[Charge]) -> AsyncIterator[None]:
    """Renews the leases of charges while this process lives and is at them, so that leases can be short."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(deps.limits.lease_seconds / 3)
            async with deps.store.begin() as unit:
                await unit.charges.hold_longer(charges[0].shop, [it.id for it in charges], lease_end(deps))

    renewing = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        # The process is told to end: somebody else may go on at once.
        await asyncio.shield(_give_back(deps, charges))
        raise
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _give_back(deps: Deps, charges: Sequence[Charge]) -> None:
    async with deps.store.begin() as unit:
        await unit.charges.hold_longer(charges[0].shop, [it.id for it in charges], deps.clock())
