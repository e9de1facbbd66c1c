"""What an app may answer to a payment webhook. What breaks a rule is a failure, with a text that says why."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from app.saleor.simulator.transaction_models import (
    CardPaymentMethodDetails,
    GiftCardPaymentMethodDetails,
    OtherPaymentMethodDetails,
    PaymentMethodDetails,
)

NO_ANSWER = "Failed to delivery request."
ACTIONS = ("CHARGE", "REFUND", "CANCEL")
PLACES = Decimal("0.001")
ALL_TYPES = (
    "AUTHORIZATION_SUCCESS, AUTHORIZATION_FAILURE, AUTHORIZATION_ADJUSTMENT, AUTHORIZATION_REQUEST, "
    "AUTHORIZATION_ACTION_REQUIRED, CHARGE_ACTION_REQUIRED, CHARGE_SUCCESS, CHARGE_FAILURE, CHARGE_BACK, "
    "CHARGE_REQUEST, REFUND_SUCCESS, REFUND_FAILURE, REFUND_REVERSE, REFUND_REQUEST, CANCEL_SUCCESS, CANCEL_FAILURE, "
    "CANCEL_REQUEST, INFO"
)
WITH_REFERENCE = {"CHARGE_SUCCESS", "AUTHORIZATION_SUCCESS", "CHARGE_REQUEST", "AUTHORIZATION_REQUEST"}
WITHOUT_REFERENCE = {
    "CHARGE_ACTION_REQUIRED",
    "AUTHORIZATION_ACTION_REQUIRED",
    "CHARGE_FAILURE",
    "AUTHORIZATION_FAILURE",
}
AMOUNT_IS_OPTIONAL = (3, 21)
DETAILS = (3, 22)
LONGEST_NAME = 256
CANCEL_ENDS_A_SESSION = (3, 23)

Version = tuple[int, int]
Content = dict[str, Any]


class BadAnswer(Exception):
    """The text becomes the message of the failure event."""


@dataclass(frozen=True)
class Answer:
    """`result` is absent where the app only promises to report later. No amount means the requested one."""

    result: str | None
    psp_reference: str | None
    amount: Decimal | None = None
    time: datetime | None = None
    external_url: str = ""
    message: str = ""
    actions: list[str] | None = None
    method: PaymentMethodDetails | None = None


def read_session(answer: Any, version: Version) -> Answer:
    """The answer to TRANSACTION_INITIALIZE_SESSION and TRANSACTION_PROCESS_SESSION."""
    content = _content(answer)
    without = WITHOUT_REFERENCE | ({"CANCEL_SUCCESS"} if version >= CANCEL_ENDS_A_SESSION else set())
    result = _result(content, WITH_REFERENCE | without, ALL_TYPES)
    return _read(content, result, version, needs_reference=result in WITH_REFERENCE)


def read_action(answer: Any, kind: str, version: Version) -> Answer:
    """The answer to a *_REQUESTED webhook: final with a result, or a reference under which news will come."""
    content = _content(answer)
    if content.get("result") is None:
        return Answer(None, _reference(content, needed=True), actions=_actions(content))
    possible = [f"{kind}_SUCCESS", f"{kind}_FAILURE"]
    result = _result(content, possible, ", ".join(possible))
    return _read(content, result, version, needs_reference=result.endswith("_SUCCESS"))


def _content(answer: Any) -> Content:
    if not isinstance(answer, dict):
        raise BadAnswer(NO_ANSWER)
    return answer


def _read(content: Content, result: str, version: Version, *, needs_reference: bool) -> Answer:
    if version < AMOUNT_IS_OPTIONAL and content.get("amount") is None:
        raise BadAnswer("Missing value for field: amount.")
    return Answer(
        result=result,
        psp_reference=_reference(content, needed=needs_reference),
        amount=_amount(content.get("amount")),
        time=_time(content.get("time")),
        external_url=_url(content.get("externalUrl")),
        message=str(content.get("message") or ""),
        actions=_actions(content),
        method=_method(content.get("paymentMethodDetails")) if version >= DETAILS else None,
    )


def _result(content: Content, possible: Collection[str], shown: str) -> str:
    """Exactly these words, in capitals."""
    result = content.get("result")
    if not isinstance(result, str) or result not in possible:
        raise BadAnswer(f"Missing or invalid value for `result`: {result}. Possible values: {shown}.")
    return result


def _reference(content: Content, *, needed: bool) -> str | None:
    reference = content.get("pspReference")
    if reference is None and not needed:
        return None
    if reference is None:
        raise BadAnswer("Missing value for field: pspReference.")
    if not isinstance(reference, str) or (needed and not reference):
        raise _wrong("pspReference", reference)
    return reference


def _amount(value: Any) -> Decimal | None:
    """Zero counts as not given."""
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise _wrong("amount", value) from error
    if isinstance(value, bool) or not amount.is_finite():
        raise _wrong("amount", value)
    return amount.quantize(PLACES) or None


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _wrong("time", value) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _url(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
        raise _wrong("externalUrl", value)
    return value


def _actions(content: Content) -> list[str] | None:
    """Actions that Saleor does not know are skipped."""
    given = content.get("actions")
    if given is None:
        return None
    if not isinstance(given, list):
        raise _wrong("actions", given)
    return [action for action in dict.fromkeys(map(str, given)) if action in ACTIONS]


def _method(given: Any) -> PaymentMethodDetails | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("name"), str) or len(given["name"]) > LONGEST_NAME:
        raise _wrong("paymentMethodDetails", given)
    match given.get("type"):
        case "CARD":
            return CardPaymentMethodDetails(
                given["name"],
                given.get("brand"),
                given.get("firstDigits"),
                given.get("lastDigits"),
                given.get("expMonth"),
                given.get("expYear"),
            )
        case "OTHER":
            return OtherPaymentMethodDetails(given["name"])
        case "GIFT_CARD":
            return GiftCardPaymentMethodDetails(given["name"], given.get("brand"), given.get("lastChars"))
        case _:
            raise _wrong("paymentMethodDetails", given)


def _wrong(field: str, value: Any) -> BadAnswer:
    return BadAnswer(f"Incorrect value ({value}) for field: {field}.")
