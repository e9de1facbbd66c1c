"""The daily batch: charges whose day has come are paid, tried again, or fail for good."""

from datetime import datetime, timedelta

from app.vipps.simulator.book import Book, new_transaction_id
from app.vipps.simulator.charges import OPEN, close
from app.vipps.simulator.models import Actor, Agreement, Charge, ChargeStatus, Effect, FailureReason

# What the test environment's amounts stand for, told apart no further than Vipps tells a merchant.
MAGIC_AMOUNTS: dict[int, FailureReason] = {
    151: "user_action_required",  # not enough money on the account
    182: "non_technical_error",  # refused by the issuer
    183: "non_technical_error",  # suspected fraud
    184: "charge_amount_too_high",  # above the card's limit
    186: "user_action_required",  # expired card
    187: "user_action_required",  # invalid card
    197: "user_action_required",  # 3-D Secure denied
    201: "technical_error",  # outcome unknown for an hour
    202: "user_action_required",  # strong authentication needed
}

DESCRIPTIONS: dict[FailureReason, str] = {
    "user_action_required": "User action required",
    "charge_amount_too_high": "Amount higher than the user's limit",
    "non_technical_error": "Non technical error",
    "technical_error": "Technical error",
}


def failure_of(agreement: Agreement, charge: Charge) -> FailureReason | None:
    """Why a payment attempt made now would fail, if it would."""
    if agreement.payment_failure is not None:
        return agreement.payment_failure
    if charge.type == "RECURRING" and agreement.max_amount is not None and charge.amount > agreement.max_amount:
        return "charge_amount_too_high"
    return MAGIC_AMOUNTS.get(charge.amount)


def process_due(book: Book, at: datetime, *, last_of_day: bool) -> int:
    """Try every charge that has come due; the last attempt is the last batch of the last retry day."""
    today = at.date().isoformat()
    attempts = 0
    for due in sorted(day for day in book.awaiting if day <= today):
        remaining = []
        for agreement, charge in book.awaiting.pop(due):
            if charge.status in OPEN:
                attempts += 1
                _attempt(book, agreement, charge, at, last_of_day=last_of_day)
            if charge.status in OPEN:
                remaining.append((agreement, charge))
        if remaining:
            book.awaiting[due] = remaining
    return attempts


def _attempt(book: Book, agreement: Agreement, charge: Charge, at: datetime, *, last_of_day: bool) -> None:
    reason = failure_of(agreement, charge)
    if reason is None:
        pay(book, agreement, charge, actor="VIPPS")
    elif charge.single_attempt or (last_of_day and at.date() >= charge.due + timedelta(days=charge.retry_days)):
        fail(book, agreement, charge, reason)
    else:
        charge.status = ChargeStatus(book.config.retry_status)


def pay(book: Book, agreement: Agreement, charge: Charge, actor: Actor) -> None:
    """The money is taken, or set aside where the merchant takes it later."""
    charge.transaction_id = new_transaction_id()
    if charge.reserve_only:
        charge.status, charge.reserved_at = ChargeStatus.RESERVED, book.now()
        book.record(Effect.RESERVE, agreement, charge, charge.amount, actor=actor)
    else:
        charge.status, charge.captured, charge.captured_at = ChargeStatus.CHARGED, charge.amount, book.now()
        book.record(Effect.CHARGE, agreement, charge, charge.amount, actor=actor)


def fail(book: Book, agreement: Agreement, charge: Charge, reason: FailureReason) -> None:
    close(agreement, charge, ChargeStatus.FAILED, charge.amount)
    charge.failure_reason = reason
    charge.failure_description = DESCRIPTIONS[reason]
    book.record(Effect.FAIL, agreement, charge, charge.amount, actor="VIPPS")
