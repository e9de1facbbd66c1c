"""What a customer has paid, will pay and need not pay on an agreement: one line for each period and other charge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from enum import StrEnum
from typing import assert_never

from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.money import Money
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus


class ReceiptState(StrEnum):
    """UNPAID failed and is tried again or may be paid; NOT_PAID failed for good; LEFT_OUT was not to be paid."""

    PAID = "PAID"
    RESERVED = "RESERVED"
    COMING = "COMING"
    UNDER_WAY = "UNDER_WAY"
    UNPAID = "UNPAID"
    NOT_PAID = "NOT_PAID"
    SKIPPED = "SKIPPED"
    PAUSED = "PAUSED"
    LEFT_OUT = "LEFT_OUT"
    PARTLY_REFUNDED = "PARTLY_REFUNDED"
    REFUNDED = "REFUNDED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Receipt:
    """`refunded` is how much of the amount was given back; `first` is the payment with which it all began."""

    day: date
    state: ReceiptState
    amount: Money | None
    refunded: Money | None
    order_number: str | None
    first: bool = False


def receipts_of(
    renewals: Sequence[Renewal], charges: Sequence[Charge], initial_number: str | None, zone: tzinfo
) -> Sequence[Receipt]:
    """Newest first. What failed before a period was paid belongs to that period; what Vipps never made to nothing."""
    by_row = {it.id: it for it in charges}
    of_periods = {it.charge_row for it in renewals}
    found = [_of_period(it, by_row) for it in renewals]
    for it in charges:
        if it.id in of_periods or it.origin is ChargeOrigin.RENEWAL or it.status is ChargeStatus.REJECTED:
            continue
        if it.origin is ChargeOrigin.INITIAL:
            found.append(_of_charge(it, it.created_at.astimezone(zone).date(), initial_number, first=True))
        else:
            found.append(_of_charge(it, it.due, None))
    return sorted(found, key=lambda it: (it.day, not it.first), reverse=True)


def _of_period(it: Renewal, charges: Mapping[str, Charge]) -> Receipt:
    charge = charges.get(it.charge_row or "")
    if charge is not None and not charge.status.holds_no_money:
        return _of_charge(charge, it.due, it.order_number)
    return Receipt(it.due, _state_of_period(it), it.amount, None, it.order_number)


def _state_of_period(it: Renewal) -> ReceiptState:
    """Of a period without a charge that holds money."""
    match it.status:
        case RenewalStatus.PAID | RenewalStatus.COLLECTED:
            return ReceiptState.PAID
        case RenewalStatus.FAILED:
            return ReceiptState.NOT_PAID
        case RenewalStatus.PLANNED | RenewalStatus.CHARGING | RenewalStatus.WAITING:
            return ReceiptState.COMING if it.failed_on is None else ReceiptState.UNPAID
        case RenewalStatus.SKIPPED:
            by_customer = {
                RenewalReason.SKIPPED: ReceiptState.SKIPPED,
                RenewalReason.PAUSED: ReceiptState.PAUSED,
            }
            return by_customer.get(it.reason or RenewalReason.ENDED, ReceiptState.LEFT_OUT)
    assert_never(it.status)


def _of_charge(it: Charge, day: date, order_number: str | None, *, first: bool = False) -> Receipt:
    refunded = Money(it.refunded, it.amount.currency) if it.refunded else None
    return Receipt(day, _state_of_charge(it.status), it.amount, refunded, order_number, first=first)


def _state_of_charge(status: ChargeStatus) -> ReceiptState:
    match status:
        case ChargeStatus.CHARGED:
            return ReceiptState.PAID
        case ChargeStatus.RESERVED | ChargeStatus.PARTIALLY_CAPTURED:
            return ReceiptState.RESERVED
        case ChargeStatus.NEW | ChargeStatus.PENDING | ChargeStatus.DUE:
            return ReceiptState.COMING
        case ChargeStatus.PROCESSING | ChargeStatus.UNKNOWN:
            return ReceiptState.UNDER_WAY
        case ChargeStatus.FAILED | ChargeStatus.REJECTED:
            return ReceiptState.NOT_PAID
        case ChargeStatus.PARTIALLY_REFUNDED:
            return ReceiptState.PARTLY_REFUNDED
        case ChargeStatus.REFUNDED:
            return ReceiptState.REFUNDED
        case ChargeStatus.CANCELLED:
            return ReceiptState.CANCELLED
    assert_never(status)
