"""Ending a subscription: what is reserved is captured first, what is open is taken back, the agreement stops last."""

from dataclasses import replace
from datetime import datetime

from app.domain.account import Caller, system
from app.domain.agreement import Agreement
from app.domain.charge import ChargeStatus
from app.domain.errors import IllegalState, NotFound, Rejected
from app.domain.notice import NoticeKind
from app.domain.operation import Operation, OperationKind
from app.domain.records import AuditEntry
from app.domain.renewal import RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.known import account_of, observe_charges
from app.usecases.money_moves import ChargeMove, move
from app.usecases.notices import note, soon
from app.usecases.operations import new_operation, resume_operation
from app.usecases.ports import Deps, Job, Unit
from app.usecases.unpaid import given_up


async def end(deps: Deps, caller: Caller, subscription: Subscription, reason: str) -> Subscription:
    """End it now. Raises where a reserved charge could not be captured: then nothing has ended, and it may be repeated.

    That it has ended, and that the agreement is to be stopped, is stored in one step: whoever dies after that leaves
    an operation for the sweeper. Open renewals are woken, and take back their charges and draft orders themselves.
    """
    shop = subscription.shop
    async with deps.store.begin() as unit:
        agreement = await unit.agreements.by_row(shop, subscription.id)
    if agreement is None or agreement.agreement_id is None:
        raise NotFound(f"no agreement {subscription.agreement_id}", field="agreementId")
    if not agreement.status.final:
        await capture_reserved(deps, agreement)
    notice_id, stop = None, None
    async with deps.store.begin() as unit:
        current = await unit.subscriptions.get(shop, subscription.id, lock=True) or subscription
        if current.moved_to is not None:
            raise IllegalState(f"it goes on with agreement {current.moved_to}: end that one", field="agreementId")
        if current.status is SubscriptionStatus.ENDED:
            return current
        ended = current.ended(reason)
        await unit.subscriptions.save(ended)
        if not agreement.status.final:
            stop = await to_stop(unit, deps, caller, agreement)
        open_ = [it.id for it in await unit.renewals.of_subscription(shop, ended.id) if not it.status.final]
        for renewal_id in open_:
            await unit.renewals.wake(shop, renewal_id, deps.clock())
        account = await unit.accounts.get(shop, ended.account_id)
        if account is not None:
            told = {"reason": reason, "ended_on": deps.clock().date().isoformat()}
            notice_id = await note(unit, deps, account, NoticeKind.SUBSCRIPTION_ENDED, ended, told, "ended")
        await unit.audit.add([_entry(deps, caller, current, ended)])
    if stop is not None:
        await resume_operation(deps, shop, stop.id)
    await deps.jobs.enqueue(Job.RENEW, shop, open_)
    await soon(deps, shop, notice_id)
    return ended


async def end_stopped(deps: Deps, agreement: Agreement, looked_at: str | None = None) -> Subscription | None:
    """Vipps says that the agreement is over: so is its subscription, if it has one that lives.

    Unless its customer may have approved another one, by the link of a failed period: that is looked at first, and
    whoever looks at that renewal calls this again with its id.
    """
    if not agreement.status.final:
        return None
    async with deps.store.begin() as unit:
        found = await unit.subscriptions.get(agreement.shop, agreement.id)
        agreement = await unit.agreements.by_row(agreement.shop, agreement.id) or agreement
        if found is None or found.status is SubscriptionStatus.ENDED:
            return None
        by_link = await _payable_by_link(unit, found)
        if by_link is not None and by_link != looked_at:
            await unit.renewals.wake(found.shop, by_link, deps.clock())
    if by_link is not None and by_link != looked_at:
        await deps.jobs.enqueue(Job.RENEW, found.shop, [by_link])
        return None
    who = {"USER": "the customer, in the Vipps app", "MERCHANT": "the shop", "ADMIN": "Vipps"}
    reason = f"the agreement was stopped by {who.get(agreement.stopped_by or '', 'the customer or the shop')}"
    return await end(deps, system(agreement.shop), found, reason)


async def _payable_by_link(unit: Unit, subscription: Subscription) -> str | None:
    """The period whose link is being followed, or may have been before a backup."""
    recovery = await unit.recoveries.open_of(subscription.shop, subscription.id)
    if recovery is not None:
        return recovery.renewal_id
    rows = await unit.renewals.of_subscription(subscription.shop, subscription.id)
    waits = (it for it in rows if it.status is RenewalStatus.WAITING and it.failed_on is not None and it.dead is None)
    return next((it.id for it in (*waits, *given_up(subscription, rows))), None)


async def capture_reserved(deps: Deps, agreement: Agreement) -> None:
    """Vipps releases what is reserved when the agreement stops, and the customer has what it was for (VIPPS 6.13).

    Vipps is asked what that is: an initial charge has no row here until somebody looks at it.
    """
    account = await account_of(deps, agreement.shop, agreement.account_id)
    seen = await deps.provider(account).list_charges(agreement.agreement_id or "")
    charges = await observe_charges(deps, system(agreement.shop).actor, agreement, seen)
    reserved = [it for it in charges.values() if it.status is ChargeStatus.RESERVED and it.charge_id]
    moves = [
        ChargeMove(
            OperationKind.CAPTURE,
            it.agreement_id,
            it.charge_id or "",
            description=it.description,
            idempotency_key=f"end/{it.id}",
        )
        for it in reserved
    ]
    for item in (await move(deps, system(agreement.shop), moves)).items if moves else []:
        # What is not reserved any more, and what Vipps will never capture, does not keep a customer in.
        if item.error is not None and not isinstance(item.error, (IllegalState, Rejected)):
            raise item.error


async def to_stop(
    unit: Unit, deps: Deps, caller: Caller, agreement: Agreement, at: datetime | None = None
) -> Operation | None:
    """The stored wish to stop it (at once, or not before `at`), for whoever comes first; None where that is under way
    already.
    """
    account = await unit.accounts.get(agreement.shop, agreement.account_id)
    operation = replace(
        new_operation(deps, caller, agreement, OperationKind.STOP, {}),
        attempts=0,
        lease_until=None,
        next_attempt_at=at,
        api_version=account.api_version.value if account else None,
    )
    return operation if await unit.operations.add(operation) else None


def _entry(deps: Deps, caller: Caller, before: Subscription, after: Subscription) -> AuditEntry:
    return AuditEntry(
        before.shop,
        caller.actor,
        "subscription.ended",
        before.agreement_id,
        deps.clock(),
        before.status,
        after.status,
        after.reason or "",
    )
