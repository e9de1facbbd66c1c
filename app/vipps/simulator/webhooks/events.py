"""The events of Recurring: which effect makes which, and what is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.vipps.simulator.models import Agreement, Charge, Effect, LedgerEntry

AGREEMENT_EVENTS: Mapping[Effect, str] = {
    Effect.ACTIVATE: "recurring.agreement-activated.v1",
    Effect.REJECT: "recurring.agreement-rejected.v1",
    Effect.STOP: "recurring.agreement-stopped.v1",
    Effect.EXPIRE: "recurring.agreement-expired.v1",
}
CHARGE_EVENTS: Mapping[Effect, str] = {
    Effect.RESERVE: "recurring.charge-reserved.v1",
    Effect.CHARGE: "recurring.charge-captured.v1",
    Effect.CAPTURE: "recurring.charge-captured.v1",
    Effect.CANCEL: "recurring.charge-canceled.v1",
    Effect.REFUND: "recurring.charge-refunded.v1",
    Effect.FAIL: "recurring.charge-failed.v1",
    Effect.CREATION_FAIL: "recurring.charge-creation-failed.v1",
}
EVENT_TYPES = frozenset({*AGREEMENT_EVENTS.values(), *CHARGE_EVENTS.values()})


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, whether or not anybody listens."""

    number: int
    at: datetime
    msn: str
    type: str
    payload: dict[str, Any]


def event_of(entry: LedgerEntry, agreement: Agreement, charge: Charge | None, number: int) -> Event | None:
    """None for what nobody is told: drafts, changes, and charges that are only planned."""
    if (kind := AGREEMENT_EVENTS.get(entry.effect)) is not None:
        payload = _agreement_payload(agreement, kind, stamp(entry.at, number))
        if entry.effect is Effect.STOP:
            payload["actor"] = entry.actor
    elif charge is not None and (kind := CHARGE_EVENTS.get(entry.effect)) is not None:
        payload = _charge_payload(agreement, charge, kind, stamp(entry.at, number))
    else:
        return None
    # What there is nothing to say of is left out, as it has been since December 2024.
    present = {name: value for name, value in payload.items() if value is not None}
    return Event(number, entry.at, entry.msn, kind, present)


def _agreement_payload(agreement: Agreement, kind: str, occurred: str) -> dict[str, Any]:
    return {
        "agreementId": agreement.id,
        "agreementUUID": agreement.uuid,
        "agreementExternalId": agreement.external_id,
        "eventType": kind,
        "occurred": occurred,
        "msn": agreement.msn,
    }


def _charge_payload(agreement: Agreement, charge: Charge, kind: str, occurred: str) -> dict[str, Any]:
    """The amounts are those of the whole charge so far."""
    return {
        "agreementId": agreement.id,
        "chargeId": charge.id,
        "chargeExternalId": charge.external_id,
        "transactionId": charge.transaction_id,
        "msn": agreement.msn,
        "amount": charge.amount,
        "chargeType": charge.type,
        "eventType": kind,
        "currency": agreement.currency,
        "occurred": occurred,
        "amountCaptured": charge.captured,
        "amountCanceled": charge.cancelled,
        "amountRefunded": charge.refunded,
        "failureReason": charge.failure_reason,
    }


def stamp(at: datetime, number: int) -> str:
    """With 0, 3, 6 or 9 digits of a second's fraction; the last three tell apart what happens at the same moment."""
    nanoseconds = f"{at.microsecond * 1000 + number % 1000:09d}"
    while nanoseconds.endswith("000"):
        nanoseconds = nanoseconds[:-3]
    whole = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{nanoseconds}Z" if nanoseconds else f"{whole}Z"
