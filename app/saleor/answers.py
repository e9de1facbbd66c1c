"""The answers to Saleor's payment webhooks, as it reads them (facts: SALEOR 4.2 to 4.4, 4.7).

They are answered with 200 even where the answer is no: with any other status Saleor would not read them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.checkout import ActionAnswer, SessionAnswer
from app.domain.money import Money
from app.domain.transaction import ActionType, EventType
from app.saleor.versions import PAYMENT_METHOD_DETAILS_SINCE, version_of

LONGEST_MESSAGE = 512
METHOD_NAME = "Vipps MobilePay"

_FAILURES = frozenset({EventType.CHARGE_FAILURE, EventType.AUTHORIZATION_FAILURE})
_METHOD_TYPE = "AGREEMENT"


def session_answer(answer: SessionAnswer, version: str | None) -> dict[str, Any]:
    """`version` is that of the Saleor that asks: the payload says it."""
    body = {"result": answer.result.value} | _common(
        answer.psp_reference, answer.amount, answer.message, answer.actions
    )
    if answer.data is not None:
        body["data"] = dict(answer.data)
    if answer.result not in _FAILURES and version_of(version) >= PAYMENT_METHOD_DETAILS_SINCE:
        body["paymentMethodDetails"] = {"type": "OTHER", "name": METHOD_NAME}
    return body


def action_answer(answer: ActionAnswer) -> dict[str, Any]:
    """Final with a result; without one a promise of reports under the reference, which has nothing else to say."""
    if answer.result is None:
        return _common(answer.psp_reference, None, "", answer.actions)
    return {"result": answer.result.value} | _common(
        answer.psp_reference, answer.amount, answer.message, answer.actions
    )


def gateway_answer(data: Mapping[str, object]) -> dict[str, Any]:
    """What a storefront may know before anybody pays."""
    return {"data": dict(data)}


def stored_methods_answer(methods: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Of ids and names. A storefront cannot pay with them: an agreement is charged by its schedule only."""
    return {
        "paymentMethods": [
            {"id": id_, "type": _METHOD_TYPE, "name": name, "supportedPaymentFlows": []} for id_, name in methods
        ]
    }


def delete_answer(error: str | None = None) -> dict[str, Any]:
    """Of STORED_PAYMENT_METHOD_DELETE_REQUESTED: done, or why not."""
    if error is None:
        return {"result": "SUCCESSFULLY_DELETED"}
    return {"result": "FAILED_TO_DELETE", "error": error[:LONGEST_MESSAGE]}


def _common(
    psp_reference: str | None, amount: Money | None, message: str, actions: Sequence[ActionType]
) -> dict[str, Any]:
    """What is left out stays as it is at Saleor; the amount is then what was asked for."""
    body: dict[str, Any] = {}
    if psp_reference is not None:
        body["pspReference"] = psp_reference
    if amount is not None:
        body["amount"] = str(amount.to_decimal())
    if message:
        body["message"] = message[:LONGEST_MESSAGE]
    if actions:
        body["actions"] = [action.value for action in actions]
    return body
