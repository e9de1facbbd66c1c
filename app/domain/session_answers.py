"""What Saleor and the shopper are told of a payment session: derived from the agreement's and the charge's state."""

from app.domain.agreement import Agreement, AgreementStatus, TransactionType
from app.domain.charge import Charge, ChargeStatus
from app.domain.checkout import SessionAnswer
from app.domain.money import Money
from app.domain.reports import actions_of, reference_of
from app.domain.transaction import ActionType, EventType, Session

NOT_HERE = "Vipps MobilePay cannot be used for this payment right now; please choose another way to pay."
_NOT_COLLECTED = "Vipps MobilePay could not collect the payment; please try again or choose another way to pay."
_OVER = {
    AgreementStatus.EXPIRED: "The payment was not approved in time; please begin again.",
    AgreementStatus.STOPPED: "The payment was declined in Vipps MobilePay; please try again or pay in another way.",
    AgreementStatus.REJECTED: "Vipps MobilePay did not accept this payment; please choose another way to pay.",
}
_RESERVED = frozenset({ChargeStatus.RESERVED, ChargeStatus.PARTIALLY_CAPTURED})
_TAKEN = _RESERVED | {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED}


def answer_of(session: Session, agreement: Agreement, charge: Charge | None) -> SessionAnswer:
    """What money shows comes first; the references and amounts are those of the reports, so either may be first.

    A failure has no reference: should money be found after it, its report counts by itself.
    """
    if charge is not None and charge.status in _TAKEN:
        return _with_charge(charge, "SUCCESS")
    if charge is not None and charge.status is ChargeStatus.PROCESSING:
        return _with_charge(charge, "REQUEST")
    if agreement.status in _OVER:
        return failure(session.action, session.amount, _OVER[agreement.status])
    if agreement.status is not AgreementStatus.ACTIVE:
        return _action_required(session, agreement, charge)
    if not session.amount.minor:
        return SessionAnswer(_event(session.action, "SUCCESS"), session.amount, psp_reference=agreement.agreement_id)
    if charge is None:
        # Vipps has the money's story and we do not know it yet: what is asked for again is not final.
        return _action_required(session, agreement, charge)
    if charge.status.holds_no_money:
        return failure(session.action, session.amount, _NOT_COLLECTED)
    return _with_charge(charge, "REQUEST")


def failure(action: ActionType, amount: Money, message: str) -> SessionAnswer:
    return SessionAnswer(_event(action, "FAILURE"), amount, message)


def _with_charge(charge: Charge, outcome: str) -> SessionAnswer:
    reserves = charge.transaction_type is TransactionType.RESERVE_CAPTURE or charge.status in _RESERVED
    action = ActionType.AUTHORIZATION if reserves else ActionType.CHARGE
    return SessionAnswer(
        _event(action, outcome), charge.amount, psp_reference=reference_of(charge), actions=actions_of(charge)
    )


def _action_required(session: Session, agreement: Agreement, charge: Charge | None) -> SessionAnswer:
    """The customer has to go to Vipps, or has been there and nothing is decided yet."""
    url = agreement.confirmation_url or ""
    return SessionAnswer(
        _event(session.action, "ACTION_REQUIRED"),
        session.amount,
        psp_reference=reference_of(charge) if charge else agreement.agreement_id,
        data={"confirmationUrl": url, "redirectUrl": url, "agreementId": agreement.agreement_id or ""},
    )


def _event(action: ActionType, outcome: str) -> EventType:
    return EventType(f"{action}_{outcome}")
