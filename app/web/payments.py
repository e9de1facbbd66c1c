"""Saleor's payment webhooks, which wait for their answer: whatever happens, one that Saleor can read."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi.responses import JSONResponse

from app.domain.account import Installation
from app.domain.checkout import ActionAnswer
from app.domain.errors import InvalidInput, RecurringError, Unavailable
from app.domain.money import Currency, Money
from app.domain.session_answers import NOT_HERE, failure
from app.domain.transaction import ActionType, EventType
from app.saleor import answers, payment_payloads
from app.usecases.batches import unforeseen
from app.usecases.checkout import gateway_initialize, initialize, process
from app.usecases.installations import Webhook
from app.usecases.payment_requests import act
from app.usecases.ports import Deps
from app.usecases.stored_methods import delete_stored_method, stored_methods

_BROKEN = "Something went wrong; please try again."
_NOTHING = Money(0, Currency.NOK)
Answer = Callable[[Deps, Installation, str], Awaitable[dict[str, Any]]]


async def answer(deps: Deps, installation: Installation, sent: Webhook) -> JSONResponse:
    """To a webhook that is verified. With any other status than 200 Saleor would not read what is said."""
    return JSONResponse(await ANSWERS[sent.event](deps, installation, sent.body))


async def _initialize(deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    return await _session(deps, installation, body, initialize)


async def _process(deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    return await _session(deps, installation, body, process)


async def _session(deps: Deps, installation: Installation, body: str, work: Callable[..., Any]) -> dict[str, Any]:
    version = payment_payloads.version_of(body)
    try:
        request = payment_payloads.session_request(body)
    except InvalidInput as error:
        return answers.session_answer(failure(ActionType.CHARGE, _NOTHING, error.message), version)
    try:
        told = await work(deps, installation, request)
    except Exception as error:  # noqa: BLE001  # a 500 would lose what the storefront is to be told
        deps.bug(error)
        told = failure(request.action, request.amount, _BROKEN)
    return answers.session_answer(told, version)


async def _gateway(deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    try:
        channel, currency = payment_payloads.gateway_request(body)
        return answers.gateway_answer(await gateway_initialize(deps, installation, channel, currency))
    except RecurringError:
        return answers.gateway_answer({"ok": False, "reason": NOT_HERE})


async def _act(action: ActionType, deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    """What cannot be done now is raised: after a 5xx Saleor asks again (facts: SALEOR 4.4)."""
    try:
        request = payment_payloads.action_request(body)
    except InvalidInput as error:
        return answers.action_answer(ActionAnswer(EventType(f"{action}_FAILURE"), message=error.message))
    try:
        return answers.action_answer(await act(deps, installation, request))
    except RecurringError:
        raise
    except Exception as error:
        raise Unavailable(unforeseen(deps, error).args[0]) from error


async def _stored(deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    user, channel = payment_payloads.stored_methods_request(body)
    found = await stored_methods(deps, installation, user, channel)
    return answers.stored_methods_answer([(row.agreement_id or "", row.product_name) for row in found])


async def _delete(deps: Deps, installation: Installation, body: str) -> dict[str, Any]:
    user, channel, method = payment_payloads.delete_method_request(body)
    return answers.delete_answer(await delete_stored_method(deps, installation, user, channel, method))


ANSWERS: dict[str, Answer] = {
    "payment_gateway_initialize_session": _gateway,
    "transaction_initialize_session": _initialize,
    "transaction_process_session": _process,
    "transaction_charge_requested": partial(_act, ActionType.CHARGE),
    "transaction_refund_requested": partial(_act, ActionType.REFUND),
    "transaction_cancelation_requested": partial(_act, ActionType.CANCEL),
    "list_stored_payment_methods": _stored,
    "stored_payment_method_delete_requested": _delete,
}
