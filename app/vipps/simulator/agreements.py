"""What a merchant can do with an agreement: draft it, change it, stop it, list it."""

import secrets
from datetime import UTC, datetime

from app.vipps.simulator import rules
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.charges import cancel_open_charges
from app.vipps.simulator.models import Agreement, AgreementStatus, Campaign, Charge, ChargeStatus, Effect
from app.vipps.simulator.payloads import DraftAgreement, InitialCharge, UpdateAgreement, UpdateCampaign, read_date_time
from app.vipps.simulator.refusals import refuse
from app.vipps.simulator.user import expire


def draft(book: Book, caller: Caller, request: DraftAgreement) -> Agreement:
    now = book.clock.now()
    rules.check_draft(request, now, book.config)
    charge = _initial_charge(book, caller, request.initial_charge, now)
    agreement = _from_draft(book, caller, request, now)
    if charge is not None:
        agreement.charges[charge.id] = charge
    book.add(agreement)
    book.record(Effect.DRAFT, agreement, charge, charge.amount if charge else None, caller.idempotency_key)
    book.timeline.plan(agreement.expires, lambda at: expire(book, agreement, at))
    return agreement


def _from_draft(book: Book, caller: Caller, request: DraftAgreement, now: datetime) -> Agreement:
    campaign, variable = request.campaign, request.variable_amount
    return Agreement(
        id=book.new_agreement_id(),
        msn=caller.msn,
        approval_token=secrets.token_urlsafe(32),
        created=now,
        expires=now + book.config.pending_ttl,
        product_name=request.product_name,
        product_description=request.product_description,
        price=0 if variable else request.price or 0,
        interval=request.interval,
        interval_count=request.interval_count,
        merchant_agreement_url=request.merchant_agreement_url,
        merchant_redirect_url=request.merchant_redirect_url,
        scope=request.scope or None,
        # The start of a campaign is not the merchant's to choose on a draft.
        campaign=Campaign(campaign.campaign_price, now, read_date_time(campaign.end)) if campaign else None,
        suggested_max_amount=variable.suggested_max_amount if variable else None,
    )


def _initial_charge(book: Book, caller: Caller, request: InitialCharge | None, now: datetime) -> Charge | None:
    if request is None:
        return None
    return Charge(
        id=book.claim_charge_id(caller.msn, request.order_id, "initialCharge.orderId"),
        type="INITIAL",
        amount=request.amount,
        description=request.description,
        due=now.date(),
        status=ChargeStatus.PENDING,
        order_id=request.order_id,
        reserve_only=request.transaction_type == "RESERVE_CAPTURE",
    )


def update(book: Book, caller: Caller, agreement: Agreement, request: UpdateAgreement) -> None:
    if request.status is not None and len(request.model_fields_set) > 1:
        raise refuse(400, "The status must be changed alone.", code="illegal-agreement-update", field="status")
    if agreement.status is not AgreementStatus.ACTIVE:
        message = "Missing message for error: status.notActive"
        raise refuse(400, message, code="status.notActive", field="status")
    if request.status == "STOPPED":
        stop(book, caller, agreement)
    elif request.status is None and request.model_fields_set:
        _check_change(book, agreement, request)
        _change(agreement, request)
        book.record(Effect.UPDATE, agreement, amount=request.price, key=caller.idempotency_key)


def _check_change(book: Book, agreement: Agreement, request: UpdateAgreement) -> None:
    is_variable = agreement.suggested_max_amount is not None
    for name in ("interval", "intervalCount"):
        if name in request.model_fields_set:
            raise refuse(400, "The interval cannot be changed.", code="illegal-agreement-update", field=name)
    if request.price is not None and is_variable:
        message = "A variable agreement has no price."
        raise refuse(400, message, code="illegal-agreement-update", field="price")
    if request.suggested_max_amount is not None and not is_variable:
        message = "Only a variable agreement has a maximum amount."
        raise refuse(400, message, code="invalid-suggested-max-amount", field="suggestedMaxAmount")
    if request.merchant_agreement_url is not None:
        rules.check_agreement_url(request.merchant_agreement_url, book.config)
    if request.campaign is not None:
        if is_variable:
            message = "A variable amount and a campaign exclude each other."
            raise refuse(400, message, code="illegal-agreement-update", field="campaign")
        rules.check_campaign_end(read_date_time(request.campaign.end), book.clock.now())


def _change(agreement: Agreement, request: UpdateAgreement) -> None:
    """Only what was sent changes; `campaign: null` takes the campaign away."""
    for name in ("product_name", "product_description", "merchant_agreement_url", "price", "suggested_max_amount"):
        if (value := getattr(request, name)) is not None:
            setattr(agreement, name, value)
    if "campaign" in request.model_fields_set:
        agreement.campaign = _changed_campaign(request.campaign)


def _changed_campaign(given: UpdateCampaign | None) -> Campaign | None:
    if given is None:
        return None
    return Campaign(given.campaign_price, read_date_time(given.start), read_date_time(given.end))


def stop(book: Book, caller: Caller, agreement: Agreement) -> None:
    """A merchant's stop takes every open charge with it, reservations included."""
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.clock.now()
    book.record(Effect.STOP, agreement, key=caller.idempotency_key)
    cancel_open_charges(book, agreement, including_reserved=True, actor="MERCHANT")


def list_agreements(book: Book, caller: Caller, status: str | None, created_after: str | None) -> list[Agreement]:
    """Oldest first; Vipps documents no order."""
    wanted = status or AgreementStatus.ACTIVE
    if wanted not in {*AgreementStatus}:
        raise refuse(400, "There is no such status.", code="validation-error", field="status")
    after = None if created_after is None else _read_milliseconds(created_after)
    return [
        agreement
        for agreement in book.of_merchant(caller.msn)
        if agreement.status == wanted and (after is None or agreement.created > after)
    ]


def _read_milliseconds(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        message = "This is not a time in milliseconds since 1970."
        raise refuse(400, message, code="validation-error", field="createdAfter") from None
