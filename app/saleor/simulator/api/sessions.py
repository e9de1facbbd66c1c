"""The mutations by which storefronts begin payments and staff ask for more: each makes an app answer."""

import ipaddress
from typing import Any

from app.saleor.simulator.api.fields import Fields, NotServed, Request
from app.saleor.simulator.api.inputs import (
    Payload,
    answering,
    answering_later,
    positive,
    source_of,
    transaction_of,
)
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.sessions import Configuration, Gateway, Outcome

Input = dict[str, Any]
OUTCOME = ("transaction", "transactionEvent", "data")
LOCAL = "127.0.0.1"


@answering_later("gatewayConfigs")
async def _gateway_initialize(
    _root: Any,
    request: Request,
    id: str,  # noqa: A002 - Saleor's argument name
    amount: Any = None,
    paymentGateways: list[Input] | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    source = source_of(request, id)
    gateways = [_gateway(given) for given in paymentGateways or []]
    configurations = await request.shop.sessions.configure(
        source, gateways, positive(amount), request.requestor.principal
    )
    return {"gatewayConfigs": [_configuration(configuration) for configuration in configurations]}


def _gateway(given: Input) -> Gateway:
    return Gateway(given["id"], given.get("data"))


def _configuration(configuration: Configuration) -> Payload:
    error = configuration.error
    errors = [{"field": error.field, "code": error.code, "message": error.message}] if error else []
    return {"id": configuration.id, "data": configuration.data, "errors": errors}


@answering_later(*OUTCOME)
async def _initialize(_root: Any, request: Request, **arguments: Any) -> Payload:
    source = source_of(request, arguments["id"])
    if arguments.get("action"):
        _require_payment_app(request)
    outcome = await request.shop.sessions.initialize(
        source,
        _gateway(arguments["paymentGateway"]),
        amount=positive(arguments.get("amount")),
        action=arguments.get("action"),
        idempotency_key=arguments.get("idempotencyKey"),
        customer_ip=_customer_ip(request, arguments),
        by=request.requestor.principal,
    )
    return _outcome(outcome)


@answering_later(*OUTCOME)
async def _process(_root: Any, request: Request, **arguments: Any) -> Payload:
    """Whoever knows the transaction's id may do this: storefronts have nothing else."""
    transaction = transaction_of(request, arguments.get("id"), arguments.get("token"))
    outcome = await request.shop.sessions.process(
        transaction,
        arguments.get("data"),
        customer_ip=_customer_ip(request, arguments),
        by=request.requestor.principal,
    )
    return _outcome(outcome)


def _outcome(outcome: Outcome) -> Payload:
    return {"transaction": outcome.transaction, "transactionEvent": outcome.event, "data": outcome.data}


def _customer_ip(request: Request, arguments: Input) -> str:
    given = arguments.get("customerIpAddress")
    if not given:
        return LOCAL
    _require_payment_app(request)
    try:
        return str(ipaddress.ip_address(given))
    except ValueError as error:
        raise InputError("customerIpAddress", "INVALID", "Enter a valid IPv4 or IPv6 address.") from error


def _require_payment_app(request: Request) -> None:
    if request.requestor.app is None or not request.requestor.has_any("HANDLE_PAYMENTS"):
        raise PermissionDenied("HANDLE_PAYMENTS")


@answering("transaction")
def _request_action(_root: Any, request: Request, **arguments: Any) -> Payload:
    request.requestor.require_any("HANDLE_PAYMENTS")
    action, reason = arguments["actionType"], arguments.get("refundReason")
    if reason and action != "REFUND":
        raise InputError("refundReason", "INVALID", "Reason can be set only for REFUND action.")
    if arguments.get("refundReasonReference"):
        raise NotServed("The simulator has no pages that a refund could refer to.")
    transaction = transaction_of(request, arguments.get("id"), arguments.get("token"))
    amount, by = positive(arguments.get("amount")), request.requestor.principal
    request.shop.action_requests.request(transaction, action, amount, by=by, reason=reason)
    return {"transaction": transaction}


MUTATION: Fields = {
    "paymentGatewayInitialize": _gateway_initialize,
    "transactionInitialize": _initialize,
    "transactionProcess": _process,
    "transactionRequestAction": _request_action,
}
