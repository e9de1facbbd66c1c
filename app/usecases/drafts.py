"""Making an agreement at Vipps: one draft for one wish, however often it is asked for while the draft lives."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from app.domain.account import Account, Caller
from app.domain.agreement import (
    DRAFT_LIFE,
    LIKE_SLOT,
    Agreement,
    AgreementDraft,
    AgreementStatus,
    Campaign,
    InitialCharge,
    Pricing,
    TransactionType,
)
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.errors import (
    Duplicate,
    IllegalState,
    InvalidInput,
    OutcomeUnknown,
    ProviderError,
    RecurringError,
    Rejected,
    Unavailable,
)
from app.domain.limits import DRAFT_AGREEMENT, LIST_AGREEMENTS
from app.domain.money import Money, currency_of
from app.domain.operation import Operation, OperationKind, OperationStatus, key_for
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import DraftedAgreement, RecurringProvider
from app.domain.records import AuditEntry
from app.usecases.known import account_of, refresh_agreement
from app.usecases.permits import require_permit, told_to_wait
from app.usecases.ports import Deps, Job
from app.usecases.sending import lease_end
from app.usecases.starting import start_soon

FIRST_LOOK = timedelta(seconds=5)  # facts: VIPPS 10
_NEXT_LOOK = timedelta(seconds=2)
_LOOKS_LAST = DRAFT_LIFE + timedelta(minutes=1)
_CLOCKS_DIFFER = timedelta(minutes=2)


def new_row(
    deps: Deps,
    account: Account,
    draft: AgreementDraft,
    row_id: str,
    *,
    customer: str | None,
    initial_order: str | None = None,
    slot: str | None,
    return_url: str | None = None,
) -> Agreement:
    """`return_url` is where the shop wants the customer back, where we send them on (`way_back`)."""
    return Agreement(
        id=row_id,
        shop=account.shop,
        account_id=account.id,
        environment=account.environment.value,
        idempotency_key=key_for("create-agreement", row_id),
        plan=draft.plan,
        price=draft.price,
        product_name=draft.product_name,
        product_description=draft.product_description,
        status=AgreementStatus.NEW,
        created_at=deps.clock(),
        customer=customer,
        initial_order=initial_order,
        slot=slot,
        pricing=draft.pricing,
        campaign=draft.campaign,
        max_amount=draft.suggested_max,
        return_url=return_url if draft.redirect_url != return_url else None,
    )


def way_back(deps: Deps, row_id: str, url: str) -> str:
    """Where Vipps sends the customer: our page, which waits for the outcome and sends them on to the shop's `url`.

    An app's own scheme is left to Vipps, because no page in a browser opens it for certain.
    """
    return deps.return_url(row_id) if urlsplit(url).scheme in {"http", "https"} else url


def page_of(deps: Deps, account: Account, row_id: str) -> str:
    """Where the customer manages a new agreement: Vipps asks for a link to that very agreement (VIPPS 15.5).

    The account's own page with the agreement's reference, or ours. The reference in it also tells our draft from
    others, should Vipps' answer be lost.
    """
    if account.agreement_url is None:
        return deps.my_url(row_id, 0)
    parts = urlsplit(account.agreement_url)
    query = "&".join(part for part in (parts.query, f"agreement={row_id}") if part)
    return parts._replace(query=query).geturl()


async def draft_once(deps: Deps, caller: Caller, account: Account, row: Agreement, draft: AgreementDraft) -> Agreement:
    """Store, call, store; where the same was asked for before and still lives, that one. Raises what stood in the way.

    After a failure the row stays: whoever asks again goes on with it, under the same key.
    """
    operation = _operation(deps, caller, row, draft)
    async with deps.store.begin() as unit:
        added = await unit.agreements.add(row)
        if added:
            await unit.operations.add(operation)
            what = AuditEntry(row.shop, caller.actor, "agreement.stored", row.id, row.created_at, after=row.status)
            await unit.audit.add([what])
    if added:
        return await _send(deps, account, row, operation, draft)
    earlier = await _earlier(deps, row)
    found = await _again(deps, caller, earlier, row, operation) if earlier else None
    return found or await draft_once(deps, caller, account, row, draft)


async def _earlier(deps: Deps, row: Agreement) -> Agreement | None:
    """The agreement that holds the slot; None where it let go of it, because its draft is over.

    Raises IllegalState where the row itself, which some callers name by what it is for, has let go of it.
    """
    async with deps.store.begin() as unit:
        earlier = await unit.agreements.by_slot(row.shop, row.slot or "")
        if earlier is None and await unit.agreements.by_row(row.shop, row.id) is not None:
            raise IllegalState("this draft was never confirmed by Vipps and is over; begin anew")
        if earlier is None:
            return None
        over = not earlier.alive(deps.clock()) and (earlier.slot or "").startswith(LIKE_SLOT)
        if over:
            await unit.agreements.let_go(earlier.shop, earlier.id)
    return None if over else earlier


async def _again(deps: Deps, caller: Caller, earlier: Agreement, row: Agreement, asked: Operation) -> Agreement | None:
    """The earlier agreement as it is now; None where it turns out to be over and has let go of the slot."""
    async with deps.store.begin() as unit:
        before = await unit.operations.get(earlier.shop, earlier.idempotency_key)
    # What was given up has forgotten its terms, and a slot for the like of it holds them itself.
    like = (earlier.slot or "").startswith(LIKE_SLOT)
    same_terms = like or before is None or not before.request or _same(before.request, asked.request)
    if not same_terms or _whose(earlier) != _whose(row):
        raise Duplicate("this idempotency key was used for another agreement", field="idempotencyKey")
    if earlier.status is AgreementStatus.REJECTED:
        raise Rejected(earlier.failure or "Vipps refused this agreement")
    if earlier.agreement_id is None and earlier.created_at <= deps.clock() - DRAFT_LIFE:
        await _give_up(deps, earlier)
        return None
    if earlier.status is AgreementStatus.NEW:
        return await _resume(deps, earlier)
    if earlier.status is AgreementStatus.PENDING:
        earlier, _ = await refresh_agreement(deps, caller.actor, earlier)
    return None if earlier.status.final and earlier.slot is None else earlier


async def _give_up(deps: Deps, row: Agreement) -> None:
    """If Vipps made it, it is over by now, and its key could bring back the answer of then: begin anew."""
    async with deps.store.begin() as unit:
        if row.status is AgreementStatus.NEW:
            operation = await unit.operations.claim(row.shop, row.idempotency_key, deps.clock(), lease_end(deps))
            if operation is None:
                raise _under_way()
            failure = "the draft was never confirmed by Vipps"
            await unit.agreements.save(replace(row, status=AgreementStatus.EXPIRED, failure=failure))
            over = replace(operation, status=OperationStatus.REJECTED, failure=failure, request={}, lease_until=None)
            await unit.operations.save(over)
        await unit.agreements.let_go(row.shop, row.id)


def _whose(row: Agreement) -> tuple[str | None, ...]:
    return row.account_id, row.customer, row.initial_order


_TERMS = (
    "price",
    "currency",
    "unit",
    "count",
    "product_name",
    "product_description",
    "pricing",
    "suggested_max",
    "initial_amount",
    "initial_description",
    "initial_type",
    "campaign_price",
    "campaign_end",
)


def _same(earlier: Mapping[str, str | int], wanted: Mapping[str, str | int]) -> bool:
    """The terms, without what is ours (our row's id is in some) and without the phone number, which is not kept."""
    return all(earlier.get(name) == wanted.get(name) for name in _TERMS)


async def _resume(deps: Deps, row: Agreement) -> Agreement:
    account = await account_of(deps, row.shop, row.account_id)
    async with deps.store.begin() as unit:
        operation = await unit.operations.claim(row.shop, row.idempotency_key, deps.clock(), lease_end(deps))
    if operation is None:
        raise _under_way()
    return await _send(deps, account, row, operation, draft_of(operation.request))


def _under_way() -> Unavailable:
    return Unavailable("this agreement is being made by another request; ask again in a moment", retry_after=2)


async def _send(deps: Deps, account: Account, row: Agreement, operation: Operation, draft: AgreementDraft) -> Agreement:
    try:
        await require_permit(deps, account, DRAFT_AGREEMENT)
        drafted = await _draft(deps, account, draft, row, again=operation.attempts > 1)
    except (Rejected, InvalidInput) as error:
        await _store_refusal(deps, row, operation, error)
        raise
    except ProviderError as error:
        await told_to_wait(deps, account, DRAFT_AGREEMENT, error)
        await _store_delay(deps, row, operation, error)
        raise type(error)(
            f"{error.message}; ask for the same agreement again: it is made once", retry_after=error.retry_after
        ) from error
    return await _store_draft(deps, row, operation, draft, drafted)


async def _draft(
    deps: Deps, account: Account, draft: AgreementDraft, row: Agreement, *, again: bool
) -> DraftedAgreement:
    """v2 has no keys for drafts (facts: VIPPS 9.1), so after a lost answer the draft is looked for before it is made.

    Where it cannot be told from others' it is made anew: the first one's URL was never shown to anybody, and it
    expires unapproved.
    """
    provider = deps.provider(account)

    async def find() -> DraftedAgreement | None:
        await require_permit(deps, account, LIST_AGREEMENTS)  # which is what looking for it takes
        return await provider.find_draft(draft, row.created_at - _CLOCKS_DIFFER)

    if again and (found := await find()) is not None:
        return found
    try:
        return await _create(provider, draft, row)
    except OutcomeUnknown:
        return await find() or await _create(provider, draft, row)


async def _create(provider: RecurringProvider, draft: AgreementDraft, row: Agreement) -> DraftedAgreement:
    try:
        return await provider.create_agreement(draft, key=row.idempotency_key)
    except Rejected as error:
        if not error.in_conflict:
            raise
        raise OutcomeUnknown(f"{error.message}; Vipps may still be at it", status=error.status) from error


async def _store_refusal(deps: Deps, row: Agreement, operation: Operation, error: RecurringError) -> None:
    failed = replace(row, status=AgreementStatus.REJECTED, failure=error.message).freed()
    over = replace(_without_phone(operation), status=OperationStatus.REJECTED, failure=error.message)
    what = AuditEntry(
        row.shop, operation.actor, "agreement.rejected", row.id, deps.clock(), row.status, failed.status, error.message
    )
    async with deps.store.begin() as unit:
        if await unit.operations.save(over):
            await unit.agreements.save(failed)
            await unit.audit.add([what])


async def _store_delay(deps: Deps, row: Agreement, operation: Operation, error: RecurringError) -> None:
    open_ = replace(operation, failure_code=error.code, failure=error.message, lease_until=None)
    what = AuditEntry(
        row.shop, operation.actor, "agreement.delayed", row.id, deps.clock(), row.status, row.status, error.message
    )
    async with deps.store.begin() as unit:
        await unit.operations.save(open_)
        await unit.audit.add([what])


async def _store_draft(
    deps: Deps, row: Agreement, operation: Operation, draft: AgreementDraft, drafted: DraftedAgreement
) -> Agreement:
    now = deps.clock()
    pending = replace(
        row,
        agreement_id=drafted.agreement_id,
        confirmation_url=drafted.confirmation_url,
        status=AgreementStatus.PENDING,
        checked_at=now,
    )
    done = replace(
        _without_phone(operation),
        status=OperationStatus.DONE,
        agreement_id=drafted.agreement_id,
        failure=None,
        failure_code=None,
    )
    what = AuditEntry(row.shop, operation.actor, "agreement.drafted", drafted.agreement_id, now, "NEW", "PENDING")
    async with deps.store.begin() as unit:
        if not await unit.operations.save(done):
            # Somebody took the draft over since: theirs counts, and their URL was shown.
            theirs = await unit.agreements.by_row(row.shop, row.id)
            if theirs is None or theirs.agreement_id is None:
                raise _under_way()
            return theirs
        await unit.agreements.save(pending)
        await unit.audit.add([what])
        if draft.initial_charge and drafted.charge_id:
            session = await unit.sessions.of_agreement(row.shop, row.id)
            initial = _initial_row(pending, draft.initial_charge, drafted.charge_id, operation.actor, now)
            await unit.charges.add_all([replace(initial, saleor_transaction=session.id if session else None)])
    await deps.jobs.enqueue(Job.FOLLOW_DRAFT, row.shop, [row.id], after=FIRST_LOOK)
    return pending


def _without_phone(operation: Operation) -> Operation:
    kept = {name: value for name, value in operation.request.items() if name != "phone"}
    return replace(operation, request=kept, lock=None, lease_until=None)


def _initial_row(row: Agreement, initial: InitialCharge, charge_id: str, actor: str, now: datetime) -> Charge:
    return Charge(
        id=key_for("initial-charge", row.id),
        shop=row.shop,
        account_id=row.account_id,
        agreement_id=row.agreement_id or "",
        order_id=initial.order_id or charge_id,
        idempotency_key=row.idempotency_key,
        amount=initial.amount,
        description=initial.description,
        due=now.date(),
        retry_days=0,
        status=ChargeStatus.PENDING,
        origin=ChargeOrigin.INITIAL,
        created_at=now,
        charge_id=charge_id,
        transaction_type=initial.transaction_type,
        actor=actor,
        next_attempt_at=now,
    )


async def follow_draft(deps: Deps, shop: str, row_id: str, actor: str) -> None:
    """Look at a draft until its customer has decided or it is over: from 5 s on every 2 s (facts: VIPPS 10)."""
    async with deps.store.begin() as unit:
        row = await unit.agreements.by_row(shop, row_id)
    if row is None or row.status is not AgreementStatus.PENDING:
        return
    try:
        row, _ = await refresh_agreement(deps, actor, row)
    finally:
        if row.status is AgreementStatus.PENDING and deps.clock() < row.created_at + _LOOKS_LAST:
            await deps.jobs.enqueue(Job.FOLLOW_DRAFT, shop, [row_id], after=_NEXT_LOOK)
    if row.status is AgreementStatus.PENDING:
        return
    await start_soon(deps, row)
    async with deps.store.begin() as unit:
        charges = await unit.charges.of_agreements(shop, [row.agreement_id or ""])
    await deps.jobs.enqueue(Job.FOLLOW_UP, shop, [it.id for it in charges if it.charge_id and not it.status.final])


def _operation(deps: Deps, caller: Caller, row: Agreement, draft: AgreementDraft) -> Operation:
    """Its id is the agreement's key, so that it is found from there; the body is stored as it will be repeated."""
    return Operation(
        id=row.idempotency_key,
        shop=row.shop,
        account_id=row.account_id,
        kind=OperationKind.CREATE,
        agreement_id=row.id,
        idempotency_key=row.idempotency_key,
        request=request_of_draft(draft),
        status=OperationStatus.OPEN,
        actor=caller.actor,
        created_at=row.created_at,
        attempts=1,
        lease_until=lease_end(deps),
    )


def request_of_draft(draft: AgreementDraft) -> dict[str, str | int]:
    initial, campaign = draft.initial_charge, draft.campaign
    fields: dict[str, str | int | None] = {
        "price": draft.price.minor,
        "currency": draft.price.currency.value,
        "unit": draft.plan.unit.value,
        "count": draft.plan.count,
        "product_name": draft.product_name,
        "product_description": draft.product_description,
        "redirect_url": draft.redirect_url,
        "agreement_url": draft.agreement_url,
        "pricing": draft.pricing.value,
        "suggested_max": draft.suggested_max.minor if draft.suggested_max else None,
        "external_id": draft.external_id,
        "phone": draft.phone,
        "initial_amount": initial.amount.minor if initial else None,
        "initial_description": initial.description if initial else None,
        "initial_type": initial.transaction_type.value if initial else None,
        "initial_order_id": initial.order_id if initial else None,
        "campaign_price": campaign.price.minor if campaign else None,
        "campaign_end": campaign.end.isoformat() if campaign else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def draft_of(request: Mapping[str, str | int]) -> AgreementDraft:
    currency = currency_of(str(request["currency"]))
    initial = campaign = None
    if "initial_amount" in request:
        initial = InitialCharge(
            Money(int(request["initial_amount"]), currency),
            str(request["initial_description"]),
            TransactionType(str(request["initial_type"])),
            _text(request, "initial_order_id"),
        )
    if "campaign_price" in request:
        end = datetime.fromisoformat(str(request["campaign_end"]))
        campaign = Campaign(Money(int(request["campaign_price"]), currency), end)
    return AgreementDraft(
        price=Money(int(request["price"]), currency),
        plan=Plan(IntervalUnit(str(request["unit"])), int(request["count"])),
        product_name=str(request["product_name"]),
        redirect_url=str(request["redirect_url"]),
        agreement_url=str(request["agreement_url"]),
        product_description=str(request["product_description"]),
        initial_charge=initial,
        campaign=campaign,
        phone=_text(request, "phone"),
        pricing=Pricing(str(request["pricing"])),
        suggested_max=Money(int(request["suggested_max"]), currency) if "suggested_max" in request else None,
        external_id=_text(request, "external_id"),
    )


def _text(request: Mapping[str, str | int], name: str) -> str | None:
    return str(request[name]) if name in request else None
