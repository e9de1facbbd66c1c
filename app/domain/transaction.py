"""Saleor's transactions: which of them are ours, and what each of them has to be told (facts: SALEOR 4.3 to 4.6)."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.money import Money

_REPORTS = uuid.UUID("7f2d8c1b-0d0e-5a55-9c2b-5f0b6d9a4e21")


class ActionType(StrEnum):
    CHARGE = "CHARGE"
    AUTHORIZATION = "AUTHORIZATION"
    REFUND = "REFUND"
    CANCEL = "CANCEL"


class EventType(StrEnum):
    """Saleor's TransactionEventTypeEnum, as far as we report it."""

    AUTHORIZATION_REQUEST = "AUTHORIZATION_REQUEST"
    AUTHORIZATION_SUCCESS = "AUTHORIZATION_SUCCESS"
    AUTHORIZATION_FAILURE = "AUTHORIZATION_FAILURE"
    AUTHORIZATION_ACTION_REQUIRED = "AUTHORIZATION_ACTION_REQUIRED"
    CHARGE_REQUEST = "CHARGE_REQUEST"
    CHARGE_SUCCESS = "CHARGE_SUCCESS"
    CHARGE_FAILURE = "CHARGE_FAILURE"
    CHARGE_ACTION_REQUIRED = "CHARGE_ACTION_REQUIRED"
    REFUND_SUCCESS = "REFUND_SUCCESS"
    REFUND_FAILURE = "REFUND_FAILURE"
    CANCEL_SUCCESS = "CANCEL_SUCCESS"
    CANCEL_FAILURE = "CANCEL_FAILURE"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Session:
    """A payment that a shopper began in Saleor: its transaction, and the agreement that is made for it.

    `id` is Saleor's transaction id, `agreement_row` our agreement's row id, `source` the checkout or order that is
    paid, `order` the order that came of it, `started` that its subscription stands.
    """

    id: str
    shop: str
    account_id: str
    agreement_row: str
    action: ActionType
    amount: Money
    source: str
    created_at: datetime
    trial: str | None = None
    order: str | None = None
    started: bool = False


class ReportStatus(StrEnum):
    WAITING = "WAITING"
    DONE = "DONE"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Report:
    """One transactionEventReport: stored before it is sent, sent until Saleor has it.

    Saleor tells repeats by transaction, `psp_reference` and `type`, and so do we: `id` is made of the three.
    """

    id: str
    shop: str
    transaction: str
    psp_reference: str
    type: EventType
    amount: Money
    occurred_at: datetime
    message: str
    actions: tuple[ActionType, ...]
    status: ReportStatus
    created_at: datetime
    attempts: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    failure: str | None = None
    dead: str | None = None


def report_id(shop: str, transaction: str, psp_reference: str, type_: EventType) -> str:
    return str(uuid.uuid5(_REPORTS, f"{shop} {transaction} {psp_reference} {type_}"))


def charge_reference(agreement_id: str, charge_id: str) -> str:
    """The pspReference of a charge, which is never that of its agreement (facts: SALEOR 6.2)."""
    return f"{agreement_id}/{charge_id}"
