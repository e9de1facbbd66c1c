"""Vipps' webhooks: received, stored, applied. An event only says where to look: the object is read anew."""

import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress

from app.domain.account import Account
from app.domain.agreement import Agreement, AgreementStatus
from app.domain.charge import Charge
from app.domain.errors import InvalidInput, NotFound, Rejected, Unauthenticated
from app.domain.operation import OperationKind, OperationStatus
from app.domain.records import AuditEntry, InboxEntry, VippsEvent, Webhook
from app.usecases.charges import refresh_charge
from app.usecases.ending import end_stopped
from app.usecases.known import refresh_agreement
from app.usecases.ports import Deps, Job
from app.usecases.reporting import tell_of_stop
from app.usecases.starting import start_soon

SOURCE = "vipps"
ACTOR = "vipps:webhook"
_STOPPED = "recurring.agreement-stopped.v1"
_NOT_CREATED = "recurring.charge-creation-failed.v1"
_OURSELVES = "MERCHANT"


async def receive_vipps(
    deps: Deps, account_id: str, verify: Callable[[Sequence[Webhook]], None], read: Callable[[], VippsEvent]
) -> bool:
    """Verify and store one event; True where it is new. Whoever calls may answer 2xx: what is stored is not lost.

    `verify` gets the registrations whose secrets may have signed it, and raises Unauthenticated; `read` is asked only
    after that, and raises InvalidInput for what it cannot read.
    """
    async with deps.store.begin() as unit:
        account = await unit.accounts.anywhere(account_id)
        known = await unit.webhooks.of_account(account.shop, account.id) if account else []
    if account is None or not known:
        raise Unauthenticated("no webhook of ours is registered here; make one with: account check")
    verify(known)
    try:
        event = read()
    except InvalidInput as error:
        await _note_unreadable(deps, account, error)
        return False
    entry = InboxEntry(
        id=str(uuid.uuid4()),
        shop=account.shop,
        source=SOURCE,
        event=event.kind[:60],
        event_key=f"{account.id}/{hashlib.sha256(event.key.encode()).hexdigest()}",
        body=event.to_text(),
        received_at=deps.clock(),
    )
    async with deps.store.begin() as unit:
        new = await unit.inbox.add(entry)
    if new:
        await deps.jobs.enqueue(Job.APPLY_INBOX, account.shop, [entry.id])
    return new


async def _note_unreadable(deps: Deps, account: Account, error: InvalidInput) -> None:
    """It is genuine, so it is taken: refused it would come for a week and hold up what comes after it (VIPPS 12.4)."""
    what = AuditEntry(account.shop, ACTOR, "webhook.unreadable", account.id, deps.clock(), reason=error.message)
    async with deps.store.begin() as unit:
        await unit.audit.add([what])


async def apply_vipps(deps: Deps, entry: InboxEntry) -> str:
    """What an event makes us do; in one line for the inbox. Raises Unavailable and the like to be tried again."""
    event = VippsEvent.from_text(entry.body)
    account_id = entry.event_key.partition("/")[0]
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.get(entry.shop, event.agreement_id)
    if agreement is None or agreement.account_id != account_id:
        # Every shop on a merchant serial number gets every event of it (facts: VIPPS 16.25).
        return "not an agreement of this shop"
    if event.charge_id is not None:
        return await _about_charge(deps, agreement, event, event.charge_id)
    if event.kind == _STOPPED and event.actor == _OURSELVES and await _stopped_by_us(deps, agreement):
        await end_stopped(deps, agreement)
        return "stopped by ourselves"
    return await _about_agreement(deps, agreement, event)


async def _stopped_by_us(deps: Deps, agreement: Agreement) -> bool:
    async with deps.store.begin() as unit:
        operations = await unit.operations.of_agreement(agreement.shop, agreement.agreement_id or "")
    ours = [it for it in operations if it.kind is OperationKind.STOP]
    return any(it.status is not OperationStatus.REJECTED for it in ours)


async def _about_agreement(deps: Deps, agreement: Agreement, event: VippsEvent) -> str:
    before = agreement.status
    agreement, _ = await refresh_agreement(deps, ACTOR, agreement)
    if event.kind == _STOPPED and agreement.status is AgreementStatus.STOPPED and event.actor:
        await _note_who_stopped(deps, agreement, event.actor)
    async with deps.store.begin() as unit:
        charges = await unit.charges.of_agreements(agreement.shop, [agreement.agreement_id or ""])
    # Its initial charge was taken with it, or its open charges were cancelled with it (facts: VIPPS 6.7, 6.13).
    open_ = [it.id for it in charges if it.charge_id and not it.status.final]
    await deps.jobs.enqueue(Job.FOLLOW_UP, agreement.shop, open_)
    await end_stopped(deps, agreement)
    await start_soon(deps, agreement)
    return f"agreement {agreement.agreement_id} is {agreement.status}, was {before}"


async def _note_who_stopped(deps: Deps, agreement: Agreement, actor: str) -> None:
    reports: Sequence[str] = ()
    async with deps.store.begin() as unit:
        if await unit.agreements.stopped_by(agreement.shop, agreement.id, actor[:20]):
            what = AuditEntry(
                agreement.shop,
                ACTOR,
                "agreement.stopped_by",
                agreement.agreement_id or "",
                deps.clock(),
                after=AgreementStatus.STOPPED,
                reason=f"stopped by {actor}",
            )
            await unit.audit.add([what])
            reports = await tell_of_stop(unit, agreement, actor[:20], deps.clock())
    await deps.jobs.enqueue(Job.REPORT, agreement.shop, reports)


async def _about_charge(deps: Deps, agreement: Agreement, event: VippsEvent, charge_id: str) -> str:
    if event.kind == _NOT_CREATED:
        return await _not_created(deps, agreement, charge_id)
    charge = await refresh_charge(deps, ACTOR, agreement, charge_id)
    await _tell_shop(deps, charge)
    return f"charge {charge_id} is {charge.status}"


async def _not_created(deps: Deps, agreement: Agreement, order_id: str) -> str:
    """A batch was accepted and this charge of it was not made: what Vipps has decides, not the event."""
    async with deps.store.begin() as unit:
        found = await unit.charges.find(agreement.shop, agreement.agreement_id or "", [order_id])
    charge = found.get(order_id)
    if charge is None:
        return "a charge that is not ours was not made"
    with suppress(NotFound, Rejected):
        seen = await refresh_charge(deps, ACTOR, agreement, order_id)
        if seen.charge_id is not None:
            return f"charge {order_id} is {seen.status} all the same"
    async with deps.store.begin() as unit:
        await unit.charges.not_made(agreement.shop, charge.id, deps.clock())
    await deps.jobs.enqueue(Job.CHARGE_CHUNK, agreement.shop, [charge.id])
    return f"charge {order_id} was not made; it is sent on its own"


async def _tell_shop(deps: Deps, charge: Charge) -> None:
    if charge.in_saleor and charge.reported != charge.shown:
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, charge.shop, [charge.id])
