"""What a merchant can do with a charge: create, cancel, capture, refund, list."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from app.vipps.simulator import rules
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.models import Agreement, AgreementStatus, Charge, ChargeStatus, Effect
from app.vipps.simulator.payloads import CreateCharge, Refund
from app.vipps.simulator.refusals import refuse

OPEN = {ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.PROCESSING}
# Amounts that the test environment answers with a refused refund.
MAGIC_REFUNDS = {123: "The user can no longer receive money.", 124: "The time for refunds is over."}


def create(book: Book, caller: Caller, agreement: Agreement, request: CreateCharge) -> Charge:
    if agreement.status is not AgreementStatus.ACTIVE:
        message = "Only an active agreement can be charged."
        code = "recurring.core.charges.create.invalid_agreement"
        raise refuse(400, message, code=code, field="agreement.status")
    today = book.clock.now().date()
    due = rules.check_due(request.due, today, book.config)
    rules.check_retry_days(request.retry_days, book.config)
    rules.check_amount(agreement, request.amount, due, book.config)
    visible_from = due - timedelta(days=book.config.visible_days)
    charge = Charge(
        id=book.claim_charge_id(caller.msn, request.order_id, "orderId"),
        type="RECURRING",
        amount=request.amount,
        description=request.description,
        due=due,
        status=ChargeStatus.DUE if visible_from <= today else ChargeStatus.PENDING,
        order_id=request.order_id,
        retry_days=request.retry_days,
    )
    _enter(book, agreement, charge, visible_from)
    book.record(Effect.CREATE, agreement, charge, charge.amount, caller.idempotency_key)
    return charge


def _enter(book: Book, agreement: Agreement, charge: Charge, visible_from: date) -> None:
    agreement.charges[charge.id] = charge
    interval = rules.charge_interval(agreement, charge.due)
    agreement.interval_totals[interval] = agreement.interval_totals.get(interval, 0) + charge.amount
    book.awaiting.setdefault(charge.due.isoformat(), []).append((agreement, charge))
    if charge.status is ChargeStatus.PENDING:
        book.timeline.plan(datetime.combine(visible_from, time(), UTC), lambda _: _come_into_view(charge))


def _come_into_view(charge: Charge) -> None:
    if charge.status is ChargeStatus.PENDING:
        charge.status = ChargeStatus.DUE


def cancel(book: Book, caller: Caller, agreement: Agreement, charge: Charge) -> None:
    """PROCESSING is refused: the money may be on its way."""
    if charge.status not in {ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED}:
        raise _not_deletable()
    if agreement.status is AgreementStatus.PENDING:
        # The initial charge of a draft is part of what the user is being asked; it goes with the draft.
        raise _not_deletable()
    if charge.status is ChargeStatus.RESERVED:
        _check_reservation(book, charge)
    close(agreement, charge, ChargeStatus.CANCELLED)
    book.record(Effect.CANCEL, agreement, charge, charge.amount, caller.idempotency_key)


def _not_deletable() -> Exception:
    message = "The charge is not in a deletable state; it may have been paid already."
    return refuse(409, message, code="cancel-charge-failed", field="charge.status")


def close(agreement: Agreement, charge: Charge, status: ChargeStatus) -> None:
    """A charge that ends without money no longer counts towards its interval's limit."""
    charge.status = status
    if charge.type == "RECURRING":
        agreement.interval_totals[rules.charge_interval(agreement, charge.due)] -= charge.amount


def cancel_open_charges(
    book: Book,
    agreement: Agreement,
    *,
    including_reserved: bool,
    actor: Literal["MERCHANT", "USER", "VIPPS"],
    at: datetime | None = None,
) -> None:
    for charge in agreement.charges.values():
        if charge.status in OPEN or (including_reserved and charge.status is ChargeStatus.RESERVED):
            close(agreement, charge, ChargeStatus.CANCELLED)
            book.record(Effect.CANCEL, agreement, charge, charge.amount, actor=actor, at=at)


def capture(book: Book, caller: Caller, agreement: Agreement, charge: Charge) -> None:
    if charge.status is not ChargeStatus.RESERVED:
        message = "Only a reserved charge can be captured."
        raise refuse(400, message, code="charge-capture-failed", field="charge.status")
    _check_reservation(book, charge)
    charge.status = ChargeStatus.CHARGED
    charge.captured = charge.amount
    charge.captured_at = book.clock.now()
    book.record(Effect.CAPTURE, agreement, charge, charge.amount, caller.idempotency_key)


def _check_reservation(book: Book, charge: Charge) -> None:
    deadline = (charge.reserved_at or book.clock.now()) + timedelta(days=book.config.capture_days)
    if book.clock.now() > deadline:
        message = f"The reservation is older than {book.config.capture_days} days."
        raise refuse(400, message, code="operation-failed", field="charge.status")


def refund(book: Book, caller: Caller, agreement: Agreement, charge: Charge, request: Refund) -> None:
    _check_refund(book, charge, request.amount)
    charge.refunded += request.amount
    is_all = charge.refunded == charge.captured
    charge.status = ChargeStatus.REFUNDED if is_all else ChargeStatus.PARTIALLY_REFUNDED
    book.record(Effect.REFUND, agreement, charge, request.amount, caller.idempotency_key)


def _check_refund(book: Book, charge: Charge, amount: int) -> None:
    if charge.status not in {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED}:
        message = "There is nothing to refund on this charge."
        raise refuse(400, message, code="operation-failed", field="charge.status")
    if amount > charge.captured - charge.refunded:
        raise refuse(400, "More than what is left of the payment.", code="operation-failed", field="amount")
    deadline = (charge.captured_at or book.clock.now()) + timedelta(days=book.config.refund_days)
    if book.clock.now() > deadline:
        message = f"The payment is older than {book.config.refund_days} days."
        raise refuse(400, message, code="operation-failed", field="charge.status")
    if amount in MAGIC_REFUNDS:
        raise refuse(400, MAGIC_REFUNDS[amount], code="operation-failed", field="amount")


def list_charges(agreement: Agreement, status: str | None) -> list[Charge]:
    """In the order of creation; Vipps documents no order."""
    if status is None:
        return list(agreement.charges.values())
    if status not in {*ChargeStatus}:
        raise refuse(400, "There is no such status.", code="validation-error", field="chargeStatus")
    return [charge for charge in agreement.charges.values() if charge.status == status]
