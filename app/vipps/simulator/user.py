"""What the user does in the app, and what befalls an agreement when the user does nothing."""

import uuid
from datetime import datetime

from app.vipps.simulator.book import Book, new_transaction_id
from app.vipps.simulator.charges import cancel_open_charges
from app.vipps.simulator.models import Agreement, AgreementStatus, Charge, ChargeStatus, Effect
from app.vipps.simulator.processing import fail, failure_of


class NotPossibleError(Exception):
    """The user cannot do this now: the draft is gone, or the agreement has ended."""


def approve(book: Book, agreement: Agreement, max_amount: int | None = None) -> None:
    """The initial charge runs first: without its money there is no agreement."""
    if agreement.status is not AgreementStatus.PENDING:
        raise NotPossibleError(f"The agreement is {agreement.status}, not PENDING.")
    if agreement.suggested_max_amount is not None:
        agreement.max_amount = max_amount or agreement.suggested_max_amount
    charge = agreement.initial_charge
    if charge is not None and not _run_initial_charge(book, agreement, charge):
        expire(book, agreement, book.clock.now())
        return
    agreement.status = AgreementStatus.ACTIVE
    agreement.start = book.clock.now()
    if agreement.scope is not None:
        agreement.sub = str(uuid.uuid4())
    book.record(Effect.ACTIVATE, agreement, actor="USER")


def _run_initial_charge(book: Book, agreement: Agreement, charge: Charge) -> bool:
    now = book.clock.now()
    reason = failure_of(agreement, charge)
    if reason is not None:
        fail(book, agreement, charge, reason, now)
        return False
    charge.transaction_id = new_transaction_id()
    if charge.reserve_only:
        charge.status, charge.reserved_at = ChargeStatus.RESERVED, now
        book.record(Effect.RESERVE, agreement, charge, charge.amount, actor="USER")
    else:
        charge.status, charge.captured, charge.captured_at = ChargeStatus.CHARGED, charge.amount, now
        book.record(Effect.CHARGE, agreement, charge, charge.amount, actor="USER")
    return True


def reject(book: Book, agreement: Agreement) -> None:
    if agreement.status is not AgreementStatus.PENDING:
        raise NotPossibleError(f"The agreement is {agreement.status}, not PENDING.")
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.clock.now()
    book.record(Effect.REJECT, agreement, actor="USER")
    cancel_open_charges(book, agreement, including_reserved=True, actor="USER")


def stop_in_app(book: Book, agreement: Agreement) -> None:
    """Unlike the merchant's stop, the user's leaves reservations standing."""
    if agreement.status is not AgreementStatus.ACTIVE:
        raise NotPossibleError(f"The agreement is {agreement.status}, not ACTIVE.")
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.clock.now()
    book.record(Effect.STOP, agreement, actor="USER")
    cancel_open_charges(book, agreement, including_reserved=False, actor="USER")


def expire(book: Book, agreement: Agreement, at: datetime) -> None:
    """What becomes of the initial charge of a draft that expires is not documented; here it is cancelled."""
    if agreement.status is not AgreementStatus.PENDING:
        return
    agreement.status = AgreementStatus.EXPIRED
    book.record(Effect.EXPIRE, agreement, actor="VIPPS", at=at)
    cancel_open_charges(book, agreement, including_reserved=True, actor="VIPPS", at=at)


def set_max_amount(agreement: Agreement, amount: int) -> None:
    if agreement.suggested_max_amount is None:
        raise NotPossibleError("Only a variable agreement has a limit of the user's own.")
    agreement.max_amount = amount
