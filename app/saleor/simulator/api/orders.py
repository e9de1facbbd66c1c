"""Orders, their lines and their history."""

from typing import Any

from app.saleor.simulator.api.fields import Fields, Request, Resolver, always, iso, moment, plain
from app.saleor.simulator.api.inputs import Payload, described
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.api.prices import LINE_PRICES, TOTALS
from app.saleor.simulator.api.shipping import method_of, methods_for
from app.saleor.simulator.catalog import is_published
from app.saleor.simulator.catalog_models import ProductVariant
from app.saleor.simulator.models import App, Order, OrderEvent, OrderLine, User
from app.saleor.simulator.obstacles import obstacles_of
from app.saleor.simulator.transaction_models import TransactionItem

PAYMENT_STATUS = {
    "NONE": "NOT_CHARGED",
    "PARTIAL": "PARTIALLY_CHARGED",
    "FULL": "FULLY_CHARGED",
    "OVERCHARGED": "FULLY_CHARGED",
}


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


def _address(of: str) -> Resolver:
    """Saleor shows strangers a blotted address; the simulator shows them none."""

    def resolve(order: Order, request: Request) -> Any:
        allowed = request.requestor.is_(order.user) or request.requestor.has_any("MANAGE_ORDERS")
        return getattr(order, of) if allowed else None

    return resolve


def _events(order: Order, request: Request) -> list[OrderEvent]:
    request.requestor.require_any("MANAGE_ORDERS")
    return order.events


def _transactions(order: Order, request: Request) -> list[TransactionItem]:
    """Customers may not ask for the transactions even of their own orders."""
    request.requestor.require_any("MANAGE_ORDERS", "HANDLE_PAYMENTS")
    return order.transactions


def _errors(order: Order, request: Request) -> list[Payload]:
    """What stands in the way of completing a draft; an order has none."""
    request.shop.refresh_draft(order)
    return [described(obstacle) for obstacle in obstacles_of(order)] if order.is_draft else []


def _variant(line: OrderLine, request: Request) -> ProductVariant | None:
    """One that the channel does not show is hidden from all who may not see what is sold behind the scenes."""
    variant = line.variant
    if variant is None or is_published(variant, line.channel):
        return variant
    behind_the_scenes = request.requestor.has_any("MANAGE_ORDERS", "MANAGE_DISCOUNTS", "MANAGE_PRODUCTS")
    return variant if behind_the_scenes else None


ORDER: Fields = (
    METADATA
    | TOTALS
    | {
        "id": plain("id"),
        "number": lambda order, _: str(order.number),
        "token": lambda order, _: str(order.token),
        "created": moment("created_at"),
        "updatedAt": moment("updated_at"),
        "status": plain("status"),
        "origin": plain("origin"),
        "original": always(None),
        "checkoutId": plain("checkout_id"),
        "externalReference": plain("external_reference"),
        "channel": plain("channel"),
        "user": _user,
        "userEmail": _email,
        "billingAddress": _address("billing_address"),
        "shippingAddress": _address("shipping_address"),
        "deliveryMethod": method_of,
        "shippingMethod": method_of,
        "shippingMethods": methods_for,
        "shippingMethodName": lambda order, _: order.shipping_method and order.shipping_method.name,
        "isShippingRequired": plain("is_shipped"),
        "languageCodeEnum": plain("language"),
        "voucherCode": plain("voucher_code"),
        "customerNote": plain("customer_note"),
        "redirectUrl": plain("redirect_url"),
        "isPaid": plain("is_paid"),
        "chargeStatus": plain("charge_status"),
        "authorizeStatus": plain("authorize_status"),
        "paymentStatus": lambda order, _: PAYMENT_STATUS[order.charge_status],
        "lines": plain("lines"),
        "transactions": _transactions,
        "payments": always([]),  # Saleor's older kind of payment
        "discounts": always([]),
        "fulfillments": always([]),
        "events": _events,
        "errors": _errors,
    }
)

LINE: Fields = (
    METADATA
    | LINE_PRICES
    | {
        "id": plain("id"),
        "productName": plain("product_name"),
        "variantName": plain("variant_name"),
        "productSku": lambda line, _: line.variant and line.variant.sku,
        "productVariantId": lambda line, _: line.variant and line.variant.id,
        "isShippingRequired": plain("is_shipped"),
        "quantity": plain("quantity"),
        "quantityFulfilled": always(0),
        "taxRate": lambda line, _: float(line.channel.tax_rate),
        "isGift": always(False),  # noqa: FBT003 - the value of a field
        "isPriceOverridden": plain("is_price_overridden"),
        "variant": _variant,
    }
)

ORDER_EVENT: Fields = {
    "id": plain("id"),
    "type": plain("type"),
    "date": lambda event, _: iso(event.at),
    "message": plain("message"),
    "user": lambda event, _: event.by if isinstance(event.by, User) else None,
    "app": lambda event, _: event.by if isinstance(event.by, App) else None,
}
