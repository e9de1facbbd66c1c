"""Agreements: create, read, list, change, cancel."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.account import Account, Caller, CallerKind, Scope
from app.domain.agreement import (
    LIKE_SLOT,
    Agreement,
    AgreementChanges,
    AgreementDraft,
    AgreementStatus,
    Campaign,
    InitialCharge,
    Pricing,
    TransactionType,
    check_url,
)
from app.domain.batch import BatchResult, check_size
from app.domain.charge import KEY_SLOT
from app.domain.errors import Forbidden, InvalidInput, OutcomeUnknown, RecurringError
from app.domain.money import Money, currency_of
from app.domain.operation import OperationKind, OperationStatus
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import SeenAgreement
from app.domain.records import AgreementFilter, AuditEntry, Page
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.batches import Malformed, each_once
from app.usecases.charges import digest
from app.usecases.drafts import draft_once, new_row, page_of, way_back
from app.usecases.ending import end
from app.usecases.known import account_for_channel, check_opaque, find_agreement, find_agreements, refresh_agreement
from app.usecases.operations import new_operation, perform, request_of
from app.usecases.ports import Deps


@dataclass(frozen=True, slots=True)
class InitialChargeWish:
    """`price` is minor units of the agreement's currency."""

    price: int
    description: str
    transaction_type: TransactionType = TransactionType.DIRECT_CAPTURE


@dataclass(frozen=True, slots=True)
class AgreementWish:
    """What a caller asks a new agreement to be. `customer` is a Saleor user id; customers may only name themselves."""

    price: int
    product_name: str
    redirect_url: str
    unit: IntervalUnit
    count: int = 1
    currency: str = "NOK"
    product_description: str = ""
    agreement_url: str | None = None
    channel: str | None = None
    customer: str | None = None
    initial_order: str | None = None
    initial_charge: InitialChargeWish | None = None
    campaign_price: int | None = None
    campaign_end: datetime | None = None
    phone: str | None = None
    pricing: Pricing = Pricing.LEGACY
    suggested_max: int | None = None
    idempotency_key: str | None = None


async def create_agreement(deps: Deps, caller: Caller, wish: AgreementWish) -> Agreement:
    """Draft an agreement; the customer approves it at the confirmation URL within ten minutes.

    Asked for again while the draft lives, the same wish of the same customer, or the same `idempotency_key`, gives the
    same agreement and URL.
    """
    caller.require(Scope.AGREEMENTS_WRITE)
    if caller.own_only and wish.customer not in (None, caller.id):
        raise Forbidden("customers make agreements for themselves only", field="customerId")
    check_opaque(wish.customer, "customerId")
    check_opaque(wish.initial_order, "orderId")
    account = await account_for_channel(deps, caller.shop, wish.channel)
    row_id = str(uuid.uuid4())
    draft = _draft(deps, account, wish, row_id)
    row = new_row(
        deps,
        account,
        draft,
        row_id,
        customer=caller.id if caller.own_only else wish.customer,
        initial_order=wish.initial_order,
        slot=_slot(caller, account, wish),
        return_url=wish.redirect_url,
    )
    return await draft_once(deps, caller, account, row, draft)


def _slot(caller: Caller, account: Account, wish: AgreementWish) -> str | None:
    """What is drafted once at a time: a caller's own key, or the same wish of the same customer or for the same order.

    Two customers may well wish for the same, so without a customer or an order every wish is one of its own.
    """
    if wish.idempotency_key is not None:
        return KEY_SLOT + digest(caller.actor, wish.idempotency_key)
    customer = caller.id if caller.own_only else wish.customer
    if customer is None and wish.initial_order is None:
        return None
    # Where the customer comes back to, and up to which second a campaign lasts, may differ from click to click.
    same = replace(wish, customer=customer, redirect_url="", phone=None, campaign_end=None)
    return LIKE_SLOT + digest(account.id, repr(same))


def _draft(deps: Deps, account: Account, wish: AgreementWish, row_id: str) -> AgreementDraft:
    check_url(wish.redirect_url, "redirectUrl", app_schemes=True)
    currency = currency_of(wish.currency)
    initial = campaign = None
    if wish.initial_charge:
        it = wish.initial_charge
        initial = InitialCharge(Money(it.price, currency), it.description, it.transaction_type, f"vr-{row_id}")
    end = wish.campaign_end
    if wish.campaign_price is not None:
        if end is None or end.tzinfo is None or end <= deps.clock():
            raise InvalidInput("a campaign needs an end in the future, with a time zone", field="campaign.end")
        campaign = Campaign(Money(wish.campaign_price, currency), end)
    return AgreementDraft(
        price=Money(wish.price, currency),
        plan=Plan(wish.unit, wish.count),
        product_name=wish.product_name,
        redirect_url=way_back(deps, row_id, wish.redirect_url),
        agreement_url=wish.agreement_url or page_of(deps, account, row_id),
        product_description=wish.product_description,
        initial_charge=initial,
        campaign=campaign,
        phone=wish.phone,
        pricing=wish.pricing,
        suggested_max=None if wish.suggested_max is None else Money(wish.suggested_max, currency),
        external_id=row_id,
    )


async def get_agreement(deps: Deps, caller: Caller, agreement_id: str) -> tuple[Agreement, SeenAgreement]:
    """The agreement as Vipps has it now; our row follows."""
    caller.require(Scope.AGREEMENTS_READ)
    row = await find_agreement(deps, caller, agreement_id)
    return await refresh_agreement(deps, caller.actor, row)


async def list_agreements(
    deps: Deps, caller: Caller, wanted: AgreementFilter, page: Page
) -> tuple[Sequence[Agreement], int]:
    """A page of our rows and the number of all that match; customers see their own."""
    caller.require(Scope.AGREEMENTS_READ)
    if caller.own_only:
        wanted = replace(wanted, customer=caller.id)
    check_opaque(wanted.customer, "customerId")
    async with deps.store.begin() as unit:
        return await unit.agreements.page(caller.shop, wanted, page), await unit.agreements.count(caller.shop, wanted)


@dataclass(frozen=True, slots=True)
class AgreementChange:
    """What a caller asks to change; `price` is minor units of the agreement's own currency."""

    price: int | None = None
    product_name: str | None = None
    product_description: str | None = None
    agreement_url: str | None = None
    suggested_max: int | None = None


async def update_agreement(deps: Deps, caller: Caller, agreement_id: str, change: AgreementChange) -> Agreement:
    """Change an ACTIVE agreement. Vipps does not tell the customer: the merchant has to (facts: VIPPS 6.11)."""
    caller.require(Scope.AGREEMENTS_WRITE)
    if caller.own_only:
        raise Forbidden("customers cannot change an agreement's terms; ask the shop")
    row = await find_agreement(deps, caller, agreement_id)
    changes = AgreementChanges(
        price=None if change.price is None else Money(change.price, row.price.currency),
        product_name=change.product_name,
        product_description=change.product_description,
        agreement_url=change.agreement_url,
        suggested_max=None if change.suggested_max is None else Money(change.suggested_max, row.price.currency),
    )
    row, _ = await refresh_agreement(deps, caller.actor, row)
    row.require_active()
    await perform(deps, new_operation(deps, caller, row, OperationKind.UPDATE, request_of(changes)))
    return await find_agreement(deps, caller, agreement_id)


async def cancel_agreements(deps: Deps, caller: Caller, ids: Sequence[str | Malformed]) -> BatchResult[Agreement]:
    """Stop agreements, for good. Vipps cancels their open and reserved charges with them (facts: VIPPS 6.13).

    Where there is a subscription it ends first, and what is reserved is captured.
    """
    caller.require(Scope.AGREEMENTS_WRITE)
    check_size(ids, deps.limits.max_sync_batch)
    names = list(dict.fromkeys(it for it in ids if isinstance(it, str)))
    found = await find_agreements(deps, caller, names)
    known = [name for name, row in found.items() if isinstance(row, Agreement)]
    async with deps.store.begin() as unit:
        subscriptions = await unit.subscriptions.by_agreements(caller.shop, known)

    async def stop(agreement_id: str) -> Agreement:
        row = found[agreement_id]
        if isinstance(row, RecurringError):
            raise row
        if row.status is not AgreementStatus.ACTIVE:
            row, _ = await refresh_agreement(deps, caller.actor, row)
        subscription = subscriptions.get(agreement_id)
        if subscription is not None and subscription.status is not SubscriptionStatus.ENDED:
            return await _end(deps, caller, subscription)
        row.require_active()
        await perform(deps, new_operation(deps, caller, row, OperationKind.STOP, {}))
        return await find_agreement(deps, caller, agreement_id)

    return await each_once(deps, ids, stop, "stopped once")


async def _end(deps: Deps, caller: Caller, subscription: Subscription) -> Agreement:
    """What is reserved is captured before its agreement stops, and nothing of it is renewed from now on."""
    await end(deps, caller, subscription, f"cancelled by {_WHO[caller.kind]}")
    row = await find_agreement(deps, caller, subscription.agreement_id)
    if not row.status.final:
        raise OutcomeUnknown(
            "the subscription has ended and nothing more is charged; Vipps has not confirmed yet that the agreement is "
            "stopped, which is followed up"
        )
    return row


_WHO = {
    CallerKind.CUSTOMER: "the customer",
    CallerKind.STAFF: "the shop",
    CallerKind.CLIENT: "the shop's system",
    CallerKind.SYSTEM: "the app",
}


async def settle_draft(deps: Deps, actor: str, row: Agreement) -> None:
    """Learn what became of a draft: approved, rejected, expired, or never made."""
    if row.agreement_id is None:
        await _expire(deps, actor, row)
        return
    await refresh_agreement(deps, actor, row)


async def _expire(deps: Deps, actor: str, row: Agreement) -> None:
    """Nobody asked again for a draft whose outcome was open, unless somebody does so at this moment."""
    now = deps.clock()
    async with deps.store.begin() as unit:
        current = await unit.agreements.by_row(row.shop, row.id, lock=True)
        operation = await unit.operations.get(row.shop, row.idempotency_key)
        at_it = operation is not None and operation.lease_until is not None and operation.lease_until > now
        if current is None or current.status is not AgreementStatus.NEW or at_it:
            return
        expired = replace(current, status=AgreementStatus.EXPIRED, failure="Vipps never confirmed the draft").freed()
        if operation is not None:
            over = replace(operation, status=OperationStatus.REJECTED, failure=expired.failure, request={})
            if not await unit.operations.save(over):
                return
        await unit.agreements.save(expired)
        what = AuditEntry(row.shop, actor, "agreement.status", row.id, now, current.status, expired.status)
        await unit.audit.add([what])
