"""The subscription side: which events exist, what they are called in the schema, and who may hear them."""

import re
from typing import Any

from graphql import GraphQLEnumType, GraphQLSchema

from app.saleor.simulator.api.fields import Fields, Request, Resolver, iso
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.records import Event
from app.saleor.simulator.transaction_models import TransactionItem

# Saleor tells these to the app that they concern; the others need a permission.
LIFECYCLE = frozenset({"APP_INSTALLED", "APP_UPDATED", "APP_STATUS_CHANGED", "APP_DELETED"})

# The body of these is made when it is sent, from the state of that moment (from 3.23 on).
DEFERRED = frozenset(
    {
        "ORDER_CREATED",
        "ORDER_CONFIRMED",
        "ORDER_PAID",
        "ORDER_FULLY_PAID",
        "ORDER_REFUNDED",
        "ORDER_FULLY_REFUNDED",
        "ORDER_UPDATED",
        "ORDER_CANCELLED",
        "ORDER_EXPIRED",
        "ORDER_FULFILLED",
        "ORDER_METADATA_UPDATED",
        "DRAFT_ORDER_CREATED",
        "DRAFT_ORDER_UPDATED",
        "CHECKOUT_CREATED",
        "CHECKOUT_UPDATED",
    }
)

_PERMISSION_BY_PREFIX = {
    "ORDER_": "MANAGE_ORDERS",
    "DRAFT_ORDER_": "MANAGE_ORDERS",
    "CUSTOMER_": "MANAGE_USERS",
    "STAFF_": "MANAGE_STAFF",
    "APP_": "MANAGE_APPS",
    "ACCOUNT_": "MANAGE_USERS",
    "TRANSACTION_": "HANDLE_PAYMENTS",
    "CHECKOUT_": "MANAGE_CHECKOUTS",
}


def permission_for(event_name: str) -> str:
    return next(needed for prefix, needed in _PERMISSION_BY_PREFIX.items() if event_name.startswith(prefix))


def type_of(event_name: str) -> str:
    """ORDER_CREATED is the type OrderCreated."""
    return "".join(word.capitalize() for word in event_name.split("_"))


def name_of(type_or_field: str) -> str:
    """OrderCreated and orderCreated are ORDER_CREATED."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_or_field).upper()


def names(schema: GraphQLSchema, *, asynchronous: bool) -> frozenset[str]:
    kind = schema.type_map[f"WebhookEventType{'Async' if asynchronous else 'Sync'}Enum"]
    return frozenset(kind.values) if isinstance(kind, GraphQLEnumType) else frozenset()


class SubscriptionFields(dict[str, Any]):
    """`event`, and one root field for each event, such as orderCreated."""

    def get(self, field: str, default: Any = None) -> Any:
        if field == "event":
            return lambda _root, request: request.event
        wanted = name_of(field)
        return lambda _root, request, **_filters: _if_it_is(request, wanted) or default


def _if_it_is(request: Request, name: str) -> Event | None:
    return request.event if request.event and request.event.name == name else None


def _recipient(_event: Event, request: Request) -> App | None:
    return request.requestor.app


def _detail(name: str) -> Resolver:
    """What only questions to payment apps have."""
    return lambda event, _request: event.details.get(name)


EVENT: Fields = {
    "issuedAt": lambda event, _: iso(event.at),
    "version": lambda _, request: request.site.full_version,
    "issuingPrincipal": lambda event, _: event.by,
    "recipient": _recipient,
    "order": lambda event, _: event.subject if isinstance(event.subject, Order) else None,
    "checkout": lambda event, _: event.subject if isinstance(event.subject, Checkout) else None,
    "app": lambda event, _: event.subject if isinstance(event.subject, App) else None,
    "user": lambda event, _: event.subject if isinstance(event.subject, User) else None,
    **{
        name: _detail(name)
        for name in (
            "sourceObject",
            "data",
            "amount",
            "action",
            "merchantReference",
            "customerIpAddress",
            "idempotencyKey",
            "grantedRefund",
            "channel",
            "paymentMethodId",
        )
    },
    "transaction": lambda event, _: event.subject if isinstance(event.subject, TransactionItem) else None,
}
