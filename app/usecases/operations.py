"""Capture, refund, cancel, stop, update: stored with a key before Vipps is called, finished by whoever finds them."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from app.domain.account import Account, ApiVersion, Caller
from app.domain.agreement import Agreement, AgreementChanges, AgreementStatus
from app.domain.charge import Charge, ChargeStatus, SeenCharge
from app.domain.errors import (
    Duplicate,
    InvalidInput,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RecurringError,
    Rejected,
    Unavailable,
)
from app.domain.money import Money, currency_of
from app.domain.operation import Operation, OperationKind, OperationStatus, key_for
from app.domain.provider import Outcome, RecurringProvider, SeenAgreement
from app.domain.records import AuditEntry
from app.usecases.batches import unforeseen
from app.usecases.day_totals import forget_days
from app.usecases.ports import Deps, Job, Unit
from app.usecases.retries import given_up, kept, next_attempt
from app.usecases.sending import GONE, lease_end

_PER_OBJECT = 12.0  # seconds between attempts: Vipps takes five a minute for one agreement or charge (facts: VIPPS 10)


_MOVES_PARTS = frozenset({OperationKind.CAPTURE, OperationKind.REFUND})


def new_operation(
    deps: Deps,
    caller: Caller,
    agreement: Agreement,
    kind: OperationKind,
    request: Mapping[str, str | int],
    *,
    charge_id: str | None = None,
    slot: str | None = None,
) -> Operation:
    """The row of an operation, leased to whoever makes it. One open operation of a kind per object at a time."""
    now = deps.clock()
    row_id = str(uuid.uuid4())
    return Operation(
        id=row_id,
        shop=agreement.shop,
        account_id=agreement.account_id,
        kind=kind,
        agreement_id=agreement.agreement_id or "",
        idempotency_key=key_for(kind.lower(), row_id),
        request=dict(request),
        status=OperationStatus.OPEN,
        actor=caller.actor,
        created_at=now,
        charge_id=charge_id,
        slot=slot,
        lock=f"{kind}/{agreement.agreement_id}/{charge_id or ''}",
        attempts=1,
        lease_until=lease_end(deps),
    )


async def perform(deps: Deps, operation: Operation) -> Operation:
    """Store, call, store. Returns the finished operation, or raises what stood in its way."""
    async with deps.store.begin() as unit:
        account = await unit.accounts.get(operation.shop, operation.account_id)
        operation = replace(operation, api_version=account.api_version.value) if account else operation
        added = await unit.operations.add(operation)
        if added and not await _still_as_decided(unit, operation):
            raise Unavailable("the charge has changed since it was looked at; nothing was done, ask again")
    if not added:
        earlier = await asked_before(deps, operation) if operation.slot else None
        if earlier is None:
            raise Duplicate(
                f"another {operation.kind.lower()} of {operation.charge_id or operation.agreement_id} is under way; "
                "look at its outcome before asking again"
            )
        return earlier
    done, error = await _call(deps, account, operation)
    if error is not None:
        raise error
    return done


async def _still_as_decided(unit: Unit, operation: Operation) -> bool:
    """What another operation moved between the look and now would later pass for this one's effect."""
    if operation.charge_id is None:
        return True
    rows = await unit.charges.find(operation.shop, operation.agreement_id, [operation.charge_id])
    row, request = rows.get(operation.charge_id), operation.request
    return row is None or (
        request.get("captured_before", row.captured) == row.captured
        and request.get("refunded_before", row.refunded) == row.refunded
    )


async def asked_before(deps: Deps, wanted: Operation) -> Operation | None:
    """The finished operation that holds the caller's own key, None where there is none. Raises what it came to."""
    async with deps.store.begin() as unit:
        earlier = await unit.operations.by_slot(wanted.shop, wanted.slot or "")
    if earlier is None:
        return None
    same = (earlier.kind, earlier.agreement_id, earlier.charge_id) == (
        wanted.kind,
        wanted.agreement_id,
        wanted.charge_id,
    )
    # A request that left the amount open ("all that is left") matches whatever that was.
    if not same or any(earlier.request.get(name) != value for name, value in wanted.request.items()):
        raise Duplicate("this idempotency key was used for another request", field="idempotencyKey")
    if earlier.status is OperationStatus.OPEN:
        earlier = await resume_operation(deps, earlier.shop, earlier.id) or earlier
    if earlier.status is OperationStatus.REJECTED:
        raise Rejected(earlier.failure or "Vipps refused it", provider_code=earlier.failure_code)
    if earlier.status is OperationStatus.OPEN:
        raise OutcomeUnknown("this was sent and its outcome is not known yet; it is followed up")
    return earlier


async def resume_operation(deps: Deps, shop: str, operation_id: str) -> Operation | None:
    """Finish an open operation if nobody else holds it."""
    async with deps.store.begin() as unit:
        operation = await unit.operations.claim(shop, operation_id, deps.clock(), lease_end(deps))
        account = await unit.accounts.get(shop, operation.account_id) if operation else None
    if operation is None:
        return None
    return (await _call(deps, account, operation))[0]


async def _call(deps: Deps, account: Account | None, operation: Operation) -> tuple[Operation, RecurringError | None]:
    if account is not None and operation.api_version is not None:
        # A key of one version means nothing to the other: what was sent with one is repeated with it.
        account = replace(account, api_version=ApiVersion(operation.api_version))
    try:
        seen = await _send_and_look(deps, account, operation)
    except Rejected as error:
        return await _refused(deps, account, operation, error)
    except InvalidInput as error:
        return await _end(deps, operation, error, None)
    except ProviderError as error:
        return await _later(deps, operation, error)
    except Exception as error:  # noqa: BLE001  # the row must stay open whatever it was
        return await _later(deps, operation, unforeseen(deps, error))
    return await _finish(deps, operation, seen), None


async def _refused(
    deps: Deps, account: Account | None, operation: Operation, error: Rejected
) -> tuple[Operation, RecurringError | None]:
    """A no may mean that it is so already, by an attempt whose answer was lost, or that Vipps is at it right now."""
    if account is None or operation.kind is OperationKind.REFUND:
        return await _end(deps, operation, error, error.provider_code)  # a refund was looked at before it was repeated
    try:
        seen = await _look(deps.provider(account), operation)
    except ProviderError:
        if operation.attempts == 1 and not error.in_conflict:
            return await _end(deps, operation, error, error.provider_code)
        return await _later(deps, operation, OutcomeUnknown(f"{error.message}; it cannot be looked at now"))
    if isinstance(seen, SeenAgreement):
        if _agreement_shows(operation, seen):
            return await _finish(deps, operation, None), None
        if error.in_conflict:
            return await _later(deps, operation, OutcomeUnknown(f"{error.message}; Vipps may still be at it"))
    elif shows(operation, seen):
        return await _finish(deps, operation, seen), None
    elif error.in_conflict and _still_possible(operation, seen):
        return await _later(deps, operation, OutcomeUnknown(f"{error.message}; Vipps may still be at it"))
    return await _end(deps, operation, error, error.provider_code)


async def _look(provider: RecurringProvider, operation: Operation) -> SeenCharge | SeenAgreement:
    if operation.charge_id is None:
        return await provider.get_agreement(operation.agreement_id)
    return await provider.get_charge(operation.agreement_id, operation.charge_id)


def _still_possible(operation: Operation, seen: SeenCharge) -> bool:
    if operation.kind is OperationKind.CANCEL:
        return seen.status in {ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED, ChargeStatus.PROCESSING}
    left = seen.amount - seen.captured - seen.cancelled
    return seen.status in {ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED} and left >= _amount(operation).minor


async def _end(
    deps: Deps, operation: Operation, error: RecurringError, provider_code: str | None
) -> tuple[Operation, RecurringError]:
    failed = replace(
        operation,
        status=OperationStatus.REJECTED,
        failure_code=provider_code or error.code,
        failure=error.message,
        lock=None,
        lease_until=None,
    )
    await _store(deps, operation, failed, error.message)
    return failed, error


async def _send_and_look(deps: Deps, account: Account | None, operation: Operation) -> SeenCharge | None:
    if account is None:
        raise Misconfigured(GONE)
    provider = deps.provider(account)
    if operation.kind in _MOVES_PARTS and operation.attempts > 1:
        seen = await _done_already(provider, operation)
        if seen is not None:
            return seen
    try:
        outcome = await _send(provider, operation)
    except Rejected as error:
        # A refund that is not allowed is a 400 (facts: VIPPS 7.2); a conflict may mean that Vipps is still at this one.
        if operation.kind is OperationKind.REFUND and error.in_conflict:
            raise OutcomeUnknown(f"{error.message}; Vipps may still be at it", status=error.status) from error
        raise
    if outcome is Outcome.ACCEPTED:
        return await _accepted(provider, operation)
    if operation.charge_id is None:
        return None
    try:
        return await provider.get_charge(operation.agreement_id, operation.charge_id)
    except ProviderError:
        return None  # the operation is done whether or not the charge can be looked at


async def _accepted(provider: RecurringProvider, operation: Operation) -> SeenCharge | None:
    """Accepted is not done (facts: VIPPS 5): the object has to show it, now or when it is looked at again."""
    if operation.charge_id is not None:
        seen = await provider.get_charge(operation.agreement_id, operation.charge_id)
        if shows(operation, seen):
            return seen
    elif _agreement_shows(operation, await provider.get_agreement(operation.agreement_id)):
        return None
    raise OutcomeUnknown("Vipps accepted it and has not done it yet")


def _agreement_shows(operation: Operation, seen: SeenAgreement) -> bool:
    if operation.kind is OperationKind.STOP:
        return seen.status is AgreementStatus.STOPPED
    wanted = changes_of(operation.request)
    return (
        wanted.price in (None, seen.price)
        and wanted.product_name in (None, seen.product_name)
        and wanted.product_description in (None, seen.product_description)
        and wanted.suggested_max in (None, seen.suggested_max)
    )


async def _done_already(provider: RecurringProvider, operation: Operation) -> SeenCharge | None:
    """Look before money is moved again: no order id guards it, and its key does not live for ever (facts: VIPPS 9.5).

    The charge where it shows the move, None where it shows none. Rejected where the sums fit neither: somebody moved
    another amount meanwhile, and a person has to compare.
    """
    seen = await provider.get_charge(operation.agreement_id, operation.charge_id or "")
    if seen.applied is not None and operation.api_version == ApiVersion.V3:
        return seen if operation.idempotency_key in seen.applied else None  # Vipps tells whose keys did what
    if shows(operation, seen):
        return seen
    refund = operation.kind is OperationKind.REFUND
    now, what = (seen.refunded, "refunded") if refund else (seen.captured, "captured")
    before = int(operation.request.get(f"{what}_before", 0))
    if now != before:
        raise Rejected(
            f"{now} of charge {operation.charge_id} is {what} and {before} was before: the outcome of this "
            f"{operation.kind.lower()} cannot be told; compare with the Vipps portal and ask again for what is missing"
        )
    return None


async def _send(provider: RecurringProvider, operation: Operation) -> Outcome:
    agreement_id, charge_id, key = operation.agreement_id, operation.charge_id or "", operation.idempotency_key
    match operation.kind:
        case OperationKind.STOP:
            return await provider.stop_agreement(agreement_id, key=key)
        case OperationKind.UPDATE:
            return await provider.update_agreement(agreement_id, changes_of(operation.request), key=key)
        case OperationKind.CANCEL:
            return await provider.cancel_charge(agreement_id, charge_id, key=key)
        case OperationKind.CAPTURE:
            return await provider.capture_charge(agreement_id, charge_id, _amount(operation), _text(operation), key=key)
        case OperationKind.REFUND:
            return await provider.refund_charge(agreement_id, charge_id, _amount(operation), _text(operation), key=key)
        case OperationKind.CREATE:
            raise AssertionError("a draft is not sent here")
        case _:
            assert_never(operation.kind)


def shows(operation: Operation, seen: SeenCharge) -> bool:
    """Whether a charge shows that a cancellation, capture or refund took effect.

    Where the version tells the keys of what was done (v3), the key decides; else the sums do.
    """
    if seen.applied is not None and operation.idempotency_key in seen.applied:
        return True
    if seen.applied is not None and operation.kind in _MOVES_PARTS and operation.api_version == ApiVersion.V3:
        return False
    match operation.kind:
        case OperationKind.CANCEL:
            return seen.status is ChargeStatus.CANCELLED or seen.cancelled > 0
        case OperationKind.CAPTURE:
            return seen.captured == _after(operation, "captured")
        case OperationKind.REFUND:
            return seen.refunded == _after(operation, "refunded")
        case _:
            return False


def _after(operation: Operation, what: str) -> int:
    """The sum that the move makes of what there was before it; whatever else was moved meanwhile gives another one."""
    return int(operation.request.get(f"{what}_before", 0)) + _amount(operation).minor


async def _later(deps: Deps, operation: Operation, error: RecurringError) -> tuple[Operation, RecurringError]:
    dead = given_up(deps, operation.attempts, error)
    at = None if dead else next_attempt(deps, operation.attempts, operation.created_at, error, _PER_OBJECT)
    after = replace(
        operation,
        failure_code=error.code,
        failure=error.message,
        next_attempt_at=at,
        lease_until=None,
        dead=dead,
    )
    await _store(deps, operation, after, dead or error.message)
    if at is not None:
        await deps.jobs.enqueue(Job.OPERATION, operation.shop, [operation.id], after=at - deps.clock())
    return after, kept(error, "the request")


async def _store(deps: Deps, before: Operation, after: Operation, reason: str) -> None:
    what = AuditEntry(
        before.shop,
        before.actor,
        f"{before.kind.lower()}.{after.status.lower()}",
        before.charge_id or before.agreement_id,
        deps.clock(),
        before=before.status,
        after=after.status,
        reason=reason,
    )
    row = None
    async with deps.store.begin() as unit:
        if await unit.operations.save(after):
            await unit.audit.add([what])
            if after.status is OperationStatus.REJECTED:
                row = await _show_again(unit, after)
    await _tell_saleor(deps, row)


async def _show_again(unit: Unit, ended: Operation) -> Charge | None:
    """The charge whose refused operation Saleor may wait for, or whose sums were not told while this one was open."""
    if ended.charge_id is None:
        return None
    row = (await unit.charges.find(ended.shop, ended.agreement_id, [ended.charge_id])).get(ended.charge_id)
    if row is None or not row.in_saleor:
        return None
    await unit.charges.show_again(row.shop, row.id)
    return row


async def _tell_saleor(deps: Deps, row: Charge | None) -> None:
    if row is not None:
        await deps.jobs.enqueue(Job.NOTIFY_SHOP, row.shop, [row.id])


async def _finish(deps: Deps, operation: Operation, seen: SeenCharge | None) -> Operation:
    """Write down that it is done, and what that makes of the agreement or the charge, in one transaction."""
    now = deps.clock()
    done = replace(operation, status=OperationStatus.DONE, lock=None, lease_until=None, failure=None, failure_code=None)
    name = operation.charge_id or operation.agreement_id
    audit = AuditEntry(
        operation.shop, operation.actor, f"{operation.kind.lower()}.done", name, now, after=_said(operation)
    )
    row_id, follow, shown = "", False, None
    async with deps.store.begin() as unit:
        if not await unit.operations.save(done):
            return done  # whoever took it over has written down what it made of the charge
        await unit.audit.add([audit])
        if operation.charge_id:
            rows = await unit.charges.find(operation.shop, operation.agreement_id, [operation.charge_id], lock=True)
            row = rows.get(operation.charge_id)
            if row is not None:
                after = _effect(row, operation, seen, now).freed()
                await forget_days(unit, row, after, now)
                # What could not be looked at is looked at soon: until then it is what the answer makes of it.
                look = now if seen is None and not after.status.final else after.next_look(now)
                await unit.charges.save_all([replace(after, next_attempt_at=look)])
                row_id, follow = after.id, look == now
                shown = await _show_again(unit, done)
        else:
            agreement = await unit.agreements.get(operation.shop, operation.agreement_id, lock=True)
            if agreement is not None:
                await unit.agreements.save(_changed(agreement, operation, now))
    if follow:
        await deps.jobs.enqueue(Job.FOLLOW_UP, operation.shop, [row_id])
    await _tell_saleor(deps, shown)
    return done


def _effect(row: Charge, operation: Operation, seen: SeenCharge | None, now: datetime) -> Charge:
    if seen is not None:
        return row.see(seen, now)
    captured, refunded, status = row.captured, row.refunded, row.status
    match operation.kind:
        case OperationKind.CANCEL if row.captured:
            status = ChargeStatus.CHARGED  # what was captured stays, the rest is released (facts: VIPPS 7.2)
        case OperationKind.CANCEL:
            status = ChargeStatus.CANCELLED
        case OperationKind.CAPTURE:
            # Sums, not additions: a webhook may have told of it already.
            captured = _after(operation, "captured")
            whole = captured >= row.amount.minor - row.cancelled
            status = ChargeStatus.CHARGED if whole else ChargeStatus.PARTIALLY_CAPTURED
        case OperationKind.REFUND:
            refunded = _after(operation, "refunded")
            if row.status in {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED}:
                status = ChargeStatus.REFUNDED if refunded >= captured else ChargeStatus.PARTIALLY_REFUNDED
    made = SeenCharge(row.charge_id or "", status, None, row.amount.minor, captured, refunded, row.description, "")
    return row.see(made, now)


def _changed(agreement: Agreement, operation: Operation, now: datetime) -> Agreement:
    if operation.kind is OperationKind.STOP:
        return replace(agreement.see(AgreementStatus.STOPPED), stop=agreement.stop or now)
    changes = changes_of(operation.request)
    return replace(
        agreement,
        max_amount=changes.suggested_max or agreement.max_amount,
        price=changes.price or agreement.price,
        product_name=agreement.product_name if changes.product_name is None else changes.product_name,
        product_description=(
            agreement.product_description if changes.product_description is None else changes.product_description
        ),
    )


def request_of(changes: AgreementChanges) -> dict[str, str | int]:
    amount = changes.price or changes.suggested_max
    fields: dict[str, str | int | None] = {
        "price": changes.price.minor if changes.price else None,
        "suggested_max": changes.suggested_max.minor if changes.suggested_max else None,
        "currency": amount.currency.value if amount else None,
        "product_name": changes.product_name,
        "product_description": changes.product_description,
        "agreement_url": changes.agreement_url,
    }
    return {name: value for name, value in fields.items() if value is not None}


def changes_of(request: Mapping[str, str | int]) -> AgreementChanges:
    def text(name: str) -> str | None:
        return str(request[name]) if name in request else None

    def money(name: str) -> Money | None:
        return Money(int(request[name]), currency_of(str(request["currency"]))) if name in request else None

    return AgreementChanges(
        price=money("price"),
        product_name=text("product_name"),
        product_description=text("product_description"),
        agreement_url=text("agreement_url"),
        suggested_max=money("suggested_max"),
    )


def _amount(operation: Operation) -> Money:
    return Money(int(operation.request["amount"]), currency_of(str(operation.request["currency"])))


def _text(operation: Operation) -> str:
    return str(operation.request.get("description", ""))


def _said(operation: Operation) -> str:
    return " ".join(f"{name}={value}" for name, value in operation.request.items())
