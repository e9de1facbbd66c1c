"""Stored payment methods: only their owner sees and deletes them."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from app.saleor.simulator.api.fields import Fields, Request, always, plain
from app.saleor.simulator.api.inputs import Payload, answering_later
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, Channel, User
from app.saleor.simulator.permissions import PermissionDenied


@dataclass(frozen=True)
class PaymentApp:
    """An app as a payment gateway of one channel."""

    app: App
    currency: str


def gateways_of(channel: Channel, request: Request) -> list[PaymentApp]:
    """Every app that begins payments, for `availablePaymentGateways`."""
    return [PaymentApp(app, channel.currency) for app in request.shop.sessions.payment_apps()]


def methods_of(user: User | None, channel: Channel | None, request: Request) -> Any:
    """An awaitable list. Whoever is not the user is shown none; a payload, in which no app can be asked, neither."""
    if channel is None:
        raise GraphQLError("There is no such channel.")
    if user is None or not request.requestor.is_(user):
        return []
    request.require_waiting()
    return request.shop.stored_methods.of(user, channel)


def of_user(user: User, request: Request, channel: str) -> Any:
    return methods_of(user, request.shop.channels.get(channel), request)


@answering_later("result")
async def _request_delete(_root: Any, request: Request, id: str, channel: str) -> Payload:  # noqa: A002
    user = request.requestor.user
    if user is None:
        raise PermissionDenied("AUTHENTICATED_USER")
    found = request.shop.channels.get(channel)
    if found is None:
        return _failed(InputError("channel", "NOT_FOUND", "There is no such channel."))
    deletion = await request.shop.stored_methods.delete(user, id, found)
    if deletion.result == "SUCCESSFULLY_DELETED":
        return {"result": deletion.result}
    error = InputError(None, "GATEWAY_ERROR", deletion.error or "The payment method was not deleted.")
    return _failed(error, deletion.result)


def _failed(error: InputError, result: str = "FAILED_TO_DELIVER") -> Payload:
    """Unlike other payloads this one always has a result."""
    return {"result": result, "errors": [{"field": error.field, "code": error.code, "message": error.message}]}


MUTATION: Fields = {"storedPaymentMethodRequestDelete": _request_delete}

STORED_METHOD: Fields = {
    "id": plain("id"),
    "paymentMethodId": plain("external_id"),
    "gateway": lambda method, _: PaymentApp(method.app, method.currency),
    "creditCardInfo": plain("card"),
    "supportedPaymentFlows": plain("flows"),
    "type": plain("type"),
    "name": plain("name"),
    "data": plain("data"),
}


GATEWAY: Fields = {
    "id": lambda gateway, _: gateway.app.identifier,
    "name": lambda gateway, _: gateway.app.name,
    "currencies": lambda gateway, _: [gateway.currency],
    "config": always([]),
}
