"""What a merchant can do with a charge: create, cancel, capture, refund, list."""

from datetime import UTC, date, datetime, time, timedelta

from app.vipps.simulator import rules
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.intents import NewCharge
from app.vipps.simulator.models import Actor, Agreement, AgreementStatus, Charge, ChargeStatus, Effect
from app.vipps.simulator.refusals import refuse

OPEN = {ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.PROCESSING}
CANCELLABLE = {ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED}
CAPTURABLE = {ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED}
# The money of a first part can go back while the rest is still reserved: plausible, not documented.
REFUNDABLE = {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.PARTIALLY_CAPTURED}
# Amounts that the test environment answers with a refused refund.
MAGIC_REFUNDS = {123: "The user can no longer receive money.", 124: "The time for refunds is over."}


def create(book: Book, caller: Caller, agreement: Agreement, request: NewCharge) -> Charge:
    due = check_new(book, agreement, request)
    charge_id = book.claim_charge_id(caller.msn, request.order_id, "orderId")
    return enter(book, caller, agreement, new_charge(charge_id, due, request))


def check_new(book: Book, agreement: Agreement, request: NewCharge) -> date:
    """The day it is due, where everything but the order id is in order."""
    check_chargeable(agreement)
    due = rules.check_due(request.due, book.now().date(), book.config)
    rules.check_retry_days(request.retry_days, book.config)
    if request.currency not in {None, agreement.currency}:
        message = f"The agreement's currency is {agreement.currency}."
        raise refuse(400, message, code="validation-error", field="currency")
    rules.check_amount(agreement, request.amount, due, book.config)
    return due


def check_chargeable(agreement: Agreement) -> None:
    if agreement.status is not AgreementStatus.ACTIVE:
        message = "Only an active agreement can be charged."
        code = "recurring.core.charges.create.invalid_agreement"
        raise refuse(400, message, code=code, field="agreement.status")


def new_charge(charge_id: str, due: date, request: NewCharge) -> Charge:
    return Charge(
        id=charge_id,
        type="RECURRING",
        amount=request.amount,
        description=request.description,
        due=due,
        status=ChargeStatus.PENDING,
        order_id=request.order_id,
        retry_days=request.retry_days,
        reserve_only=request.reserve_only,
        external_id=request.external_id,
        single_attempt=request.single_attempt,
    )


def enter(book: Book, caller: Caller, agreement: Agreement, charge: Charge) -> Charge:
    """From now on the charge exists: it counts, it is seen when its time comes, and it will be tried."""
    agreement.charges[charge.id] = charge
    _count(agreement, charge, charge.amount)
    book.awaiting.setdefault(charge.due.isoformat(), []).append((agreement, charge))
    visible_from = charge.due - timedelta(days=book.config.visible_days)
    if visible_from <= book.now().date():
        charge.status = ChargeStatus.DUE
    else:
        book.timeline.plan(datetime.combine(visible_from, time(), UTC), lambda _: _come_into_view(charge))
    book.record(Effect.CREATE, agreement, charge, charge.amount, caller.idempotency_key)
    return charge


def _come_into_view(charge: Charge) -> None:
    if charge.status is ChargeStatus.PENDING:
        charge.status = ChargeStatus.DUE


def _count(agreement: Agreement, charge: Charge, amount: int) -> None:
    """Towards what may be asked for in the charge's interval."""
    interval = rules.charge_interval(agreement, charge.due)
    if charge.type == "RECURRING" and interval is not None:
        agreement.interval_totals[interval] = agreement.interval_totals.get(interval, 0) + amount


def count_again(agreement: Agreement) -> None:
    """After the interval has changed."""
    agreement.interval_totals.clear()
    for charge in agreement.charges.values():
        if charge.status is not ChargeStatus.FAILED:
            _count(agreement, charge, charge.amount - charge.cancelled)


def check_cancel(book: Book, agreement: Agreement, charge: Charge) -> None:
    """PROCESSING is refused: the money may be on its way."""
    # The initial charge of a draft is part of what the user is being asked; it goes with the draft.
    if charge.status not in CANCELLABLE or agreement.status is AgreementStatus.PENDING:
        message = "The charge is not in a deletable state; it may have been paid already."
        raise refuse(409, message, code="cancel-charge-failed", field="charge.status")
    if charge.status in CAPTURABLE:
        _check_reservation(book, charge)


def cancel(book: Book, caller: Caller, agreement: Agreement, charge: Charge) -> None:
    check_cancel(book, agreement, charge)
    _release(book, agreement, charge, "MERCHANT", caller.idempotency_key)


def _release(book: Book, agreement: Agreement, charge: Charge, actor: Actor, key: str | None = None) -> None:
    """What has not been captured goes back; where something has, the charge ends as paid."""
    remainder = charge.amount - charge.captured
    charge.cancelled += remainder
    close(agreement, charge, _settled(charge) if charge.captured else ChargeStatus.CANCELLED, remainder)
    book.record(Effect.CANCEL, agreement, charge, remainder, key, actor)


def _settled(charge: Charge) -> ChargeStatus:
    """What a charge is called once money has been taken."""
    if charge.captured + charge.cancelled < charge.amount:
        return ChargeStatus.PARTIALLY_CAPTURED
    if not charge.refunded:
        return ChargeStatus.CHARGED
    return ChargeStatus.REFUNDED if charge.refunded == charge.captured else ChargeStatus.PARTIALLY_REFUNDED


def close(agreement: Agreement, charge: Charge, status: ChargeStatus, unpaid: int) -> None:
    """Money that will not be paid no longer counts towards its interval's limit."""
    charge.status = status
    _count(agreement, charge, -unpaid)


def cancel_open_charges(book: Book, agreement: Agreement, *, including_reserved: bool, actor: Actor) -> None:
    for charge in agreement.charges.values():
        if charge.status in OPEN or (including_reserved and charge.status is ChargeStatus.RESERVED):
            _release(book, agreement, charge, actor)


def check_capture(book: Book, charge: Charge, amount: int) -> None:
    if charge.status not in CAPTURABLE:
        message = "Only a reserved charge can be captured."
        raise refuse(400, message, code="charge-capture-failed", field="charge.status")
    _check_reservation(book, charge)
    if amount > charge.amount - charge.captured:
        message = "More than what is left of the reservation."
        raise refuse(400, message, code="charge-capture-failed", field="amount")


def capture(book: Book, caller: Caller, agreement: Agreement, charge: Charge, amount: int) -> None:
    check_capture(book, charge, amount)
    charge.captured += amount
    charge.captured_at = book.now()
    charge.status = _settled(charge)
    book.record(Effect.CAPTURE, agreement, charge, amount, caller.idempotency_key)


def _check_reservation(book: Book, charge: Charge) -> None:
    deadline = (charge.reserved_at or book.now()) + timedelta(days=book.config.capture_days)
    if book.now() > deadline:
        message = f"The reservation is older than {book.config.capture_days} days."
        raise refuse(400, message, code="operation-failed", field="charge.status")


def refund(book: Book, caller: Caller, agreement: Agreement, charge: Charge, amount: int) -> None:
    check_refund(book, charge, amount)
    charge.refunded += amount
    charge.status = _settled(charge)
    book.record(Effect.REFUND, agreement, charge, amount, caller.idempotency_key)


def check_refund(book: Book, charge: Charge, amount: int) -> None:
    if charge.status not in REFUNDABLE:
        message = "There is nothing to refund on this charge."
        raise refuse(400, message, code="operation-failed", field="charge.status")
    if amount > charge.captured - charge.refunded:
        raise refuse(400, "More than what is left of the payment.", code="operation-failed", field="amount")
    deadline = (charge.captured_at or book.now()) + timedelta(days=book.config.refund_days)
    if book.now() > deadline:
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
    return [charge for charge in agreement.charges.values() if charge.visible_status == status]
