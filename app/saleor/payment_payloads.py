"""What Saleor's payment webhooks ask for. They are answered at once, so what is wrong is said in a shopper's words."""

import hashlib
from collections.abc import Mapping
from typing import Any

from app.domain.checkout import ActionRequest, SessionRequest
from app.domain.errors import InvalidInput
from app.domain.transaction import ActionType
from app.saleor.carts import amount_of, cart_of, object_at, text_at
from app.saleor.payloads import parse


def session_request(body: str | bytes) -> SessionRequest:
    """Of TRANSACTION_INITIALIZE_SESSION and TRANSACTION_PROCESS_SESSION; the latter brings no idempotency key."""
    data = parse(body)
    wanted = object_at(data, "action")
    told, key = data.get("data"), data.get("idempotencyKey")
    return SessionRequest(
        transaction=text_at(object_at(data, "transaction"), "id"),
        action=_action(wanted, ActionType.CHARGE, ActionType.AUTHORIZATION),
        amount=amount_of(wanted.get("amount"), wanted.get("currency")),
        idempotency_key=key if isinstance(key, str) else "",
        cart=cart_of(object_at(data, "sourceObject")),
        data=told if isinstance(told, dict) else {},
    )


def gateway_request(body: str | bytes) -> tuple[str, str]:
    """Of PAYMENT_GATEWAY_INITIALIZE_SESSION: the channel's slug and its currency's code."""
    channel = object_at(object_at(parse(body), "sourceObject"), "channel")
    return text_at(channel, "slug"), text_at(channel, "currencyCode")


def action_request(body: str | bytes) -> ActionRequest:
    """Of TRANSACTION_CHARGE_REQUESTED, _REFUND_REQUESTED and _CANCELATION_REQUESTED.

    Saleor repeats a request with the same bytes, and another one like it names another time: the bytes are its key.
    """
    data = parse(body)
    wanted = object_at(data, "action")
    return ActionRequest(
        transaction=text_at(object_at(data, "transaction"), "id"),
        action=_action(wanted, ActionType.CHARGE, ActionType.REFUND, ActionType.CANCEL),
        amount=amount_of(wanted.get("amount"), wanted.get("currency")),
        key=hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest(),
    )


def stored_methods_request(body: str | bytes) -> tuple[str, str]:
    """Of LIST_STORED_PAYMENT_METHODS: the user's id and the channel's slug."""
    data = parse(body)
    return text_at(object_at(data, "user"), "id"), text_at(object_at(data, "channel"), "slug")


def delete_method_request(body: str | bytes) -> tuple[str, str, str]:
    """Of STORED_PAYMENT_METHOD_DELETE_REQUESTED: the user's id, the channel's slug and the payment method's id."""
    return *stored_methods_request(body), text_at(parse(body), "paymentMethodId")


def version_of(body: str | bytes) -> str | None:
    """The version of the Saleor that sent this."""
    version = parse(body).get("version")
    return version if isinstance(version, str) else None


def _action(wanted: Mapping[str, Any], *possible: ActionType) -> ActionType:
    found = wanted.get("actionType")
    action = next((it for it in possible if it.value == found), None)
    if action is None:
        raise InvalidInput(f"the action {found!s:.40} is not one of {', '.join(possible)}", field="actionType")
    return action
