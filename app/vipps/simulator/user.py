"""What the user does in the app, and what befalls an agreement when the user does nothing."""

import uuid
from typing import Literal

from app.vipps.simulator.book import Book
from app.vipps.simulator.charges import cancel_open_charges
from app.vipps.simulator.models import Agreement, AgreementStatus, Charge, Effect
from app.vipps.simulator.processing import fail, failure_of, pay


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
        expire(book, agreement)
        return
    agreement.status = AgreementStatus.ACTIVE
    agreement.start = book.now()
    if agreement.scope is not None:
        agreement.sub = str(uuid.uuid4())
    book.record(Effect.ACTIVATE, agreement, actor="USER")


def _run_initial_charge(book: Book, agreement: Agreement, charge: Charge) -> bool:
    reason = failure_of(agreement, charge)
    if reason is not None:
        fail(book, agreement, charge, reason)
        return False
    pay(book, agreement, charge, actor="USER")
    return True


def reject(book: Book, agreement: Agreement) -> None:
    if agreement.status is not AgreementStatus.PENDING:
        raise NotPossibleError(f"The agreement is {agreement.status}, not PENDING.")
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.now()
    book.record(Effect.REJECT, agreement, actor="USER")
    cancel_open_charges(book, agreement, including_reserved=True, actor="USER")


def stop_from_outside(book: Book, agreement: Agreement, actor: Literal["USER", "ADMIN"]) -> None:
    """Unlike the merchant's stop, the user's leaves reservations standing; Vipps' own is taken to do the same."""
    if agreement.status is not AgreementStatus.ACTIVE:
        raise NotPossibleError(f"The agreement is {agreement.status}, not ACTIVE.")
    agreement.status = AgreementStatus.STOPPED
    agreement.stop = book.now()
    book.record(Effect.STOP, agreement, actor=actor)
    cancel_open_charges(book, agreement, including_reserved=False, actor=actor)


def expire(book: Book, agreement: Agreement) -> None:
    """What becomes of the initial charge of a draft that expires is not documented; here it is cancelled."""
    if agreement.status is not AgreementStatus.PENDING:
        return
    agreement.status = AgreementStatus.EXPIRED
    book.record(Effect.EXPIRE, agreement, actor="VIPPS")
    cancel_open_charges(book, agreement, including_reserved=True, actor="VIPPS")


def set_max_amount(agreement: Agreement, amount: int) -> None:
    if agreement.suggested_max_amount is None:
        raise NotPossibleError("Only a variable agreement has a limit of the user's own.")
    agreement.max_amount = amount
