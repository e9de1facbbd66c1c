"""Orders, their lines and their history."""

from decimal import Decimal
from typing import Any

from app.saleor.simulator import ids
from app.saleor.simulator.api.fields import Fields, Price, Request, Resolver, always, iso, moment, plain
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.models import App, Order, OrderEvent, OrderLine, ProductVariant, User

PAYMENT_STATUS = {
    "NONE": "NOT_CHARGED",
    "PARTIAL": "PARTIALLY_CHARGED",
    "FULL": "FULLY_CHARGED",
    "OVERCHARGED": "FULLY_CHARGED",
}


def _price(of: Any) -> Resolver:
    return lambda order, _request: Price(of(order), order.channel.currency)


def _user(order: Order, request: Request) -> User | None:
    if order.user and not request.requestor.is_(order.user):
        request.requestor.require_any("MANAGE_USERS", "MANAGE_ORDERS", "HANDLE_PAYMENTS")
    return order.user


def _email(order: Order, request: Request) -> str:
    """Whoever only knows the order's id sees the first letter."""
    if request.requestor.is_(order.user) or request.requestor.has_any("MANAGE_ORDERS"):
        return order.email
    name, _, domain = order.email.partition("@")
    return f"{name[:1]}...@{domain}"


def _address(order: Order, request: Request) -> Any:
    """Saleor shows strangers a blotted address; the simulator shows them none."""
    allowed = request.requestor.is_(order.user) or request.requestor.has_any("MANAGE_ORDERS")
    return order.address if allowed else None


def _events(order: Order, request: Request) -> list[OrderEvent]:
    request.requestor.require_any("MANAGE_ORDERS")
    return order.events


def _transactions(_order: Order, request: Request) -> list[Any]:
    """The simulated shop has no transactions yet; even so a customer may not ask for them."""
    request.requestor.require_any("MANAGE_ORDERS", "HANDLE_PAYMENTS")
    return []


def _shipped(order: Order, _request: Request) -> bool:
    return any(_line_shipped(line) for line in order.lines)


def _line_shipped(line: OrderLine) -> bool:
    return bool(line.variant and line.variant.product.product_type.is_shipping_required)


def _line_price(of: Any) -> Resolver:
    return lambda line, _request: Price(of(line), line.order.channel.currency)


def _variant(line: OrderLine, _request: Request) -> ProductVariant | None:
    return line.variant


ORDER: Fields = METADATA | {
    "id": plain("id"),
    "number": lambda order, _: str(order.number),
    "token": lambda order, _: str(order.token),
    "created": moment("created_at"),
    "updatedAt": moment("updated_at"),
    "status": plain("status"),
    "origin": plain("origin"),
    "original": always(None),
    "checkoutId": lambda order, _: ids.encode("Checkout", order.checkout_token),
    "externalReference": plain("external_reference"),
    "channel": plain("channel"),
    "user": _user,
    "userEmail": _email,
    "billingAddress": _address,
    "shippingAddress": lambda order, request: _address(order, request) if _shipped(order, request) else None,
    "deliveryMethod": always(None),
    "shippingMethodName": always(None),
    "shippingPrice": _price(lambda _: Decimal(0)),
    "isShippingRequired": _shipped,
    "languageCodeEnum": plain("language"),
    "voucherCode": always(None),
    "customerNote": always(""),
    "redirectUrl": always(None),
    "isPaid": plain("is_paid"),
    "chargeStatus": plain("charge_status"),
    "authorizeStatus": lambda order, _: "FULL" if order.charge_status == "OVERCHARGED" else order.charge_status,
    "paymentStatus": lambda order, _: PAYMENT_STATUS[order.charge_status],
    "total": _price(lambda order: order.total),
    "subtotal": _price(lambda order: order.total),
    "undiscountedTotal": _price(lambda order: order.total),
    "totalCharged": _price(lambda order: order.charged),
    "totalBalance": _price(lambda order: order.charged - order.total),
    "totalAuthorized": _price(lambda _: Decimal(0)),
    "totalCanceled": _price(lambda _: Decimal(0)),
    "totalRefunded": _price(lambda _: Decimal(0)),
    "lines": plain("lines"),
    "transactions": _transactions,
    "discounts": always([]),
    "fulfillments": always([]),
    "events": _events,
    "errors": always([]),
}

LINE: Fields = METADATA | {
    "id": plain("id"),
    "productName": plain("product_name"),
    "variantName": plain("variant_name"),
    "productSku": lambda line, _: line.variant and line.variant.sku,
    "productVariantId": lambda line, _: line.variant and line.variant.id,
    "isShippingRequired": lambda line, _: _line_shipped(line),
    "quantity": plain("quantity"),
    "quantityFulfilled": always(0),
    "taxRate": always(0.0),
    "isGift": always(False),  # noqa: FBT003 - the value of a field
    "isPriceOverridden": always(False),  # noqa: FBT003 - the value of a field
    "unitPrice": _line_price(lambda line: line.unit_price),
    "undiscountedUnitPrice": _line_price(lambda line: line.unit_price),
    "totalPrice": _line_price(lambda line: line.total),
    "undiscountedTotalPrice": _line_price(lambda line: line.total),
    "variant": _variant,
}

ORDER_EVENT: Fields = {
    "id": plain("id"),
    "type": plain("type"),
    "date": lambda event, _: iso(event.at),
    "message": plain("message"),
    "user": lambda event, _: event.by if isinstance(event.by, User) else None,
    "app": lambda event, _: event.by if isinstance(event.by, App) else None,
}
