"""Checkouts before they are paid: what a storefront may put into them, change and see, and what that costs."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from app.saleor.simulator.models import App
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.baskets import closed, given, look, new, not_for_sale, sold_out, unlisted, unpublished
from tests.saleor.simulator.buying import (
    ADD_CODE,
    ADDRESS,
    ATTACH,
    CREATE_CHECKOUT,
    DELIVER_BY,
    codes,
    home,
    listen,
)
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import (
    ask,
    error_codes,
    payload,
    payment_manifest,
)

Shop = Simulator

# Making


def test_checkout_is_made_by_a_guest(shop: Shop) -> None:
    shop.create_product(metadata={"vipps-recurring.interval": "MONTH:1"})
    heard = listen(shop)
    line = given(shop)["lines"][0] | {"metadata": [{"key": "plan", "value": "month"}]}
    details = given(shop, lines=[line], email="guest@example.com", languageCode="NB", metadata=[])
    made = payload(ask(shop, CREATE_CHECKOUT, input=details))
    (checkout,) = shop.checkouts
    seen = look(shop, checkout)
    assert (made["errors"], heard, made["checkout"]["id"]) == ([], ["CHECKOUT_CREATED"], checkout.id)
    assert (seen["email"], seen["languageCode"], seen["channel"]) == ("guest@example.com", "NB", {"slug": "norway"})
    (shown,) = seen["lines"]
    assert shown["unitPrice"] == {"gross": {"amount": 199.0}, "net": {"amount": 159.2}}
    assert shown["undiscountedUnitPrice"] == {"amount": 199.0}
    assert shown["variant"]["product"] == {"metafield": "MONTH:1"}
    assert shown["metadata"] == [{"key": "plan", "value": "month"}]
    assert (seen["totalPrice"]["gross"], seen["quantity"]) == ({"amount": 398.0}, 2)
    assert (checkout.user, seen["availablePaymentGateways"]) == (None, [])


async def test_customer_is_known_and_their_address_is_not_taken_for_granted(shop: Shop) -> None:
    customer = shop.create_customer()
    details = given(shop, billingAddress=None, shippingAddress=None)
    assert payload(ask(shop, CREATE_CHECKOUT, customer, input=details))["errors"] == []
    (checkout,) = shop.checkouts
    assert (checkout.user, checkout.email, checkout.billing_address) == (customer, customer.email, None)


async def test_every_payment_app_is_a_gateway(shop: Shop, double: AppDouble) -> None:
    double.manifest = payment_manifest()
    app = await shop.install(MANIFEST_URL)
    checkout = new(shop)
    assert look(shop, checkout)["availablePaymentGateways"] == [{"id": "recurring.example", "name": app.name}]
    shop.deactivate_app(app)
    assert look(shop, checkout)["availablePaymentGateways"] == []


NOT_SOLD: dict[str, tuple[Callable[[Shop], None], tuple[str, str]]] = {
    "not listed": (unlisted, ("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL")),
    "not for purchase": (not_for_sale, ("lines", "PRODUCT_UNAVAILABLE_FOR_PURCHASE")),
    "unpublished": (unpublished, ("lines", "PRODUCT_NOT_PUBLISHED")),
    "sold out": (sold_out, ("quantity", "INSUFFICIENT_STOCK")),
    "inactive channel": (closed, ("channel", "CHANNEL_INACTIVE")),
}


@pytest.mark.parametrize("case", NOT_SOLD)
def test_what_is_not_sold_makes_no_checkout(shop: Shop, case: str) -> None:
    obstruct, expected = NOT_SOLD[case]
    details = given(shop)
    obstruct(shop)
    assert codes(payload(ask(shop, CREATE_CHECKOUT, input=details))) == [expected]
    assert shop.checkouts == []


WRONG: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no channel": ({"channel": None}, ("channel", "MISSING_CHANNEL_SLUG")),
    "unknown channel": ({"channel": "iceland"}, ("channel", "NOT_FOUND")),
    "half an address": ({"billingAddress": ADDRESS | {"postalCode": ""}}, ("postalCode", "REQUIRED")),
    "unknown variant": (
        {"lines": [{"variantId": "UHJvZHVjdFZhcmlhbnQ6OTk5OQ==", "quantity": 1}]},
        ("variantId", "NOT_FOUND"),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_makes_no_checkout(shop: Shop, case: str) -> None:
    changes, expected = WRONG[case]
    assert codes(payload(ask(shop, CREATE_CHECKOUT, input=given(shop, **changes)))) == [expected]
    assert shop.checkouts == []


@pytest.mark.parametrize(("quantity", "code"), [(0, "ZERO_QUANTITY"), (51, "QUANTITY_GREATER_THAN_LIMIT")])
def test_quantity_has_limits(shop: Shop, quantity: int, code: str) -> None:
    line = {"variantId": shop.create_product().variants[0].id, "quantity": quantity}
    assert codes(payload(ask(shop, CREATE_CHECKOUT, input=given(shop, lines=[line])))) == [("quantity", code)]


# Changing


def test_delivery_method_costs_and_is_told(shop: Shop) -> None:
    checkout = shop.create_checkout(None, [shop.create_product()], email="a@example.com", shipping=home(shop))
    method = shop.create_shipping_method()
    heard = listen(shop)
    assert look(shop, checkout)["shippingMethods"] == [
        {"id": method.shown_id, "name": "Posten", "price": {"amount": 49.0}}
    ]
    assert payload(ask(shop, DELIVER_BY, id=checkout.id, method=method.shown_id))["errors"] == []
    seen = look(shop, checkout)
    assert (seen["deliveryMethod"], seen["shippingPrice"]) == ({"id": method.shown_id}, {"gross": {"amount": 49.0}})
    assert (seen["totalPrice"]["gross"], heard) == ({"amount": 248.0}, ["CHECKOUT_UPDATED"])


def test_delivery_method_must_go_there(shop: Shop) -> None:
    checkout = shop.create_checkout(None, [shop.create_product()], email="a@example.com", shipping=home(shop))
    danish = shop.create_shipping_method("PostNord", countries={"DK"})
    refused = [("deliveryMethodId", "DELIVERY_METHOD_NOT_APPLICABLE")]
    assert codes(payload(ask(shop, DELIVER_BY, id=checkout.id, method=danish.shown_id))) == refused
    checkout.shipping_address = None
    anywhere = shop.create_shipping_method()
    assert codes(payload(ask(shop, DELIVER_BY, id=checkout.id, method=anywhere.shown_id))) == refused
    assert codes(payload(ask(shop, DELIVER_BY, id=checkout.id, method=anywhere.id))) == [
        ("deliveryMethodId", "GRAPHQL_ERROR")
    ]


def test_what_is_not_shipped_takes_no_delivery_method(shop: Shop) -> None:
    checkout = shop.create_checkout(None, [shop.create_product(is_shipping_required=False)], email="a@example.com")
    method = shop.create_shipping_method()
    assert codes(payload(ask(shop, DELIVER_BY, id=checkout.id, method=method.shown_id))) == [
        ("deliveryMethodId", "SHIPPING_NOT_REQUIRED")
    ]


def test_voucher_cuts_every_line(shop: Shop) -> None:
    checkout = new(shop, quantity=2)
    shop.create_voucher("TENTH", 10)
    assert payload(ask(shop, ADD_CODE, id=checkout.id, code="TENTH"))["checkout"] == {"voucherCode": "TENTH"}
    seen = look(shop, checkout)
    assert seen["lines"][0]["totalPrice"] == {"gross": {"amount": 358.2}}
    assert seen["lines"][0]["undiscountedUnitPrice"] == {"amount": 199.0}
    assert seen["totalPrice"]["gross"] == {"amount": 407.2}


def test_voucher_once_per_order_cuts_one_piece_of_the_cheapest(shop: Shop) -> None:
    checkout = new(shop, quantity=2)
    shop.create_voucher("FIFTY", 50, is_percentage=False, once_per_order=True)
    shop.add_promo_code(checkout, "FIFTY")
    assert checkout.lines[0].total == Decimal(348)


def test_fixed_voucher_is_spread_over_the_lines(shop: Shop) -> None:
    goods = [shop.create_product(price=price) for price in (100, 200)]
    checkout = shop.create_checkout(None, goods, email="a@example.com")
    shop.create_voucher("FIFTY", 50, is_percentage=False)
    shop.add_promo_code(checkout, "FIFTY")
    assert [line.total for line in checkout.lines] == [Decimal("83.33"), Decimal("166.67")]


def test_void_code_is_refused(shop: Shop) -> None:
    checkout = new(shop)
    assert codes(payload(ask(shop, ADD_CODE, id=checkout.id, code="NONE"))) == [("promoCode", "INVALID")]
    shop.create_voucher("ONE", 10, usage_limit=0)
    assert codes(payload(ask(shop, ADD_CODE, id=checkout.id, code="ONE"))) == [("promoCode", "VOUCHER_NOT_APPLICABLE")]


def test_checkout_follows_the_catalogue(shop: Shop) -> None:
    checkout = new(shop)
    shop.set_price(shop.products[0].variants[0], 299)
    assert look(shop, checkout)["totalPrice"]["gross"] == {"amount": 348.0}


def test_customer_attaches_themselves_and_nobody_takes_over(shop: Shop) -> None:
    customer, other = shop.create_customer(), shop.create_customer("kari@example.com")
    checkout = new(shop)
    assert error_codes(ask(shop, ATTACH, id=checkout.id)) == ["PermissionDenied"]
    assert error_codes(ask(shop, ATTACH, other, id=checkout.id, customer=customer.id)) == ["PermissionDenied"]
    assert payload(ask(shop, ATTACH, customer, id=checkout.id))["errors"] == []
    assert (checkout.user, checkout.email) == (customer, customer.email)
    assert error_codes(ask(shop, ATTACH, other, id=checkout.id)) == ["PermissionDenied"]


async def test_user_of_a_checkout_is_for_payment_apps(shop: Shop, app: App) -> None:
    checkout = new(shop, shop.create_customer())
    query = "query($id: ID!) { checkout(id: $id) { user { email } } }"
    assert error_codes(ask(shop, query, id=checkout.id)) == ["PermissionDenied"]
    assert payload(ask(shop, query, app, id=checkout.id)) == {"user": {"email": "ola.nordmann@example.com"}}
