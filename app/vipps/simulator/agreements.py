"""What a merchant can do with an agreement: draft it, change it, stop it, list it."""

import secrets
from datetime import UTC, datetime

from app.vipps.simulator import rules
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.charges import cancel_open_charges, count_again
from app.vipps.simulator.intents import AgreementChange, NewAgreement, NewInitialCharge
from app.vipps.simulator.models import Agreement, AgreementStatus, Charge, ChargeStatus, Currency, Effect
from app.vipps.simulator.refusals import RefusedError, refuse
from app.vipps.simulator.user import expire

COUNTRIES: dict[Currency, str] = {"NOK": "NO", "DKK": "DK", "EUR": "FI"}


def draft(book: Book, caller: Caller, request: NewAgreement) -> Agreement:
    now = book.now()
    rules.check_draft(request, book.currency_of(caller.msn), now, book.config)
    charge = _initial_charge(book, caller, request.initial_charge, now)
    agreement = _from_draft(book, caller, request, now)
    if charge is not None:
        agreement.charges[charge.id] = charge
    book.add(agreement)
    book.record(Effect.DRAFT, agreement, charge, charge.amount if charge else None, caller.idempotency_key)
    book.timeline.plan(agreement.expires, lambda _: expire(book, agreement))
    return agreement


def _from_draft(book: Book, caller: Caller, request: NewAgreement, now: datetime) -> Agreement:
    interval = request.interval
    has_price = request.suggested_max_amount is None and not request.is_flexible
    return Agreement(
        id=book.new_agreement_id(),
        msn=caller.msn,
        approval_token=secrets.token_urlsafe(32),
        created=now,
        expires=now + book.config.pending_ttl,
        product_name=request.product_name,
        product_description=request.product_description,
        price=(request.price or 0) if has_price else 0,
        interval=interval.unit if interval else None,
        interval_count=interval.count if interval else None,
        merchant_agreement_url=request.agreement_url,
        merchant_redirect_url=request.redirect_url,
        scope=request.scope or None,
        campaign=request.campaign,
        suggested_max_amount=request.suggested_max_amount,
        currency=request.currency,
        country_code=request.country_code or COUNTRIES[request.currency],
        is_flexible=request.is_flexible,
        is_app=request.is_app,
        external_id=request.external_id,
        payment_method=request.payment_method,
    )


def _initial_charge(book: Book, caller: Caller, request: NewInitialCharge | None, now: datetime) -> Charge | None:
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
        reserve_only=request.reserve_only,
        external_id=request.external_id,
    )


def check_active(agreement: Agreement) -> None:
    if agreement.status is not AgreementStatus.ACTIVE:
        message = "Missing message for error: status.notActive"
        raise refuse(400, message, code="status.notActive", field="status")


def refuse_company_of_status() -> RefusedError:
    return refuse(400, "The status must be changed alone.", code="illegal-agreement-update", field="status")


def check_change(book: Book, agreement: Agreement, change: AgreementChange) -> None:
    check_active(agreement)
    if change.price is not None and (agreement.is_variable or agreement.is_flexible):
        message = "Only an agreement with a fixed price has a price."
        raise refuse(400, message, code="illegal-agreement-update", field="price")
    if change.suggested_max_amount is not None:
        if not agreement.is_variable:
            message = "Only a variable agreement has a maximum amount."
            raise refuse(400, message, code="invalid-suggested-max-amount", field="suggestedMaxAmount")
        rules.check_suggestion(change.suggested_max_amount, agreement.currency)
    if change.agreement_url is not None:
        rules.check_agreement_url(change.agreement_url, book.config)
    if change.campaign is not None:
        if agreement.is_variable or agreement.is_flexible:
            message = "Only a fixed price can have a campaign."
            raise refuse(400, message, code="illegal-agreement-update", field="campaign")
        rules.check_campaign_end(change.campaign, book.now())


def update(book: Book, caller: Caller, agreement: Agreement, change: AgreementChange) -> None:
    check_change(book, agreement, change)
    wanted = {
        "product_name": change.product_name,
        "product_description": change.product_description,
        "merchant_agreement_url": change.agreement_url,
        "external_id": change.external_id,
        "price": change.price,
        "suggested_max_amount": change.suggested_max_amount,
    }
    for name, value in wanted.items():
        if value is not None:
            setattr(agreement, name, value)
    if change.changes_campaign:
        agreement.campaign = change.campaign
    if change.changes_interval:
        agreement.interval = change.interval.unit if change.interval else None
        agreement.interval_count = change.interval.count if change.interval else None
        count_again(agreement)
    book.record(Effect.UPDATE, agreement, amount=change.price, key=caller.idempotency_key)


def stop(book: Book, caller: Caller, agreement: Agreement) -> None:
    """A merchant's stop takes every open charge with it, reservations included."""
    check_active(agreement)
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.now()
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
        if agreement.visible_status == wanted and (after is None or agreement.created > after)
    ]


def _read_milliseconds(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        message = "This is not a time in milliseconds since 1970."
        raise refuse(400, message, code="validation-error", field="createdAfter") from None
