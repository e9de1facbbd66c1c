"""Checkouts of a simulated shop: filled, paid, looked at and completed."""

from typing import Any

from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import (
    ADDRESS,
    COMPLETE_CHECKOUT,
    home,
)
from tests.saleor.simulator.payments import (
    ask,
    make,
    payload,
    report,
)

Shop = Simulator

LOOK = """query($id: ID!) { checkout(id: $id) { __typename
  id email languageCode channel { slug } billingAddress { city } shippingAddress { city } voucherCode quantity
  shippingMethods { id name price { amount } } deliveryMethod { ... on ShippingMethod { id } }
  lines { id quantity requiresShipping unitPrice { gross { amount } net { amount } } undiscountedUnitPrice { amount }
    totalPrice { gross { amount } } variant { id name product { metafield(key: "vipps-recurring.interval") } }
    metadata { key value } }
  subtotalPrice { gross { amount } } shippingPrice { gross { amount } } totalPrice { gross { amount } net { amount } }
  totalBalance { amount } chargeStatus authorizeStatus metadata { key value }
  availablePaymentGateways { id name } } }"""


def look(shop: Shop, checkout: Checkout) -> Any:
    return payload(ask(shop, LOOK, id=checkout.id))


def new(shop: Shop, customer: User | None = None, quantity: int = 1) -> Checkout:
    """A basket with everything but a payment."""
    product = shop.products[0] if shop.products else shop.create_product()
    checkout = shop.create_checkout(
        customer, [(product, quantity)], email="guest@example.com", billing=home(shop), shipping=home(shop)
    )
    shop.deliver_by(checkout, shop.create_shipping_method())
    return checkout


def pay(shop: Shop, app: App, checkout: Checkout, type_: str = "CHARGE_SUCCESS") -> None:
    report(shop, app, make(shop, app, checkout, name="Vipps"), type_, "agr/chr", amount=float(checkout.total))


def complete(shop: Shop, checkout: Checkout, by: User | None = None, **arguments: Any) -> Any:
    return payload(ask(shop, COMPLETE_CHECKOUT, by, id=checkout.id, **arguments))


def order_of(shop: Shop, answer: Any) -> Order:
    assert answer["errors"] == []
    order = shop.order(answer["order"]["id"])
    assert order is not None
    return order


def given(shop: Shop, **changes: Any) -> dict[str, Any]:
    product = shop.products[0] if shop.products else shop.create_product()
    line = {"variantId": product.variants[0].id, "quantity": 2}
    return {"channel": "norway", "lines": [line], "billingAddress": ADDRESS, "shippingAddress": ADDRESS} | changes


def unlisted(shop: Shop) -> None:
    shop.set_listed(shop.products[0].variants[0], listed=False)


def not_for_sale(shop: Shop) -> None:
    shop.set_available_for_purchase(shop.products[0], available=False)


def unpublished(shop: Shop) -> None:
    shop.unpublish(shop.products[0])


def sold_out(shop: Shop) -> None:
    shop.set_stock(shop.products[0].variants[0], 1)


def closed(shop: Shop) -> None:
    shop.channels["norway"].is_active = False
