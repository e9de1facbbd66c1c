"""Checkouts that become orders: what has to be there first, and what the order takes over."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.models import App
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.baskets import (
    LOOK,
    closed,
    complete,
    new,
    not_for_sale,
    order_of,
    pay,
    unlisted,
    unpublished,
)
from tests.saleor.simulator.buying import (
    codes,
    home,
    listen,
)
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, webhook
from tests.saleor.simulator.payments import (
    ask,
    ask_app,
    begin_with,
    make,
    payload,
    payment_manifest,
    report,
)

Shop = Simulator


async def test_paid_checkout_becomes_an_order_with_everything(shop: Shop, app: App) -> None:
    customer = shop.create_customer()
    shop.create_voucher("TENTH", 10)
    checkout = new(shop, customer)
    checkout.metadata["source"], checkout.lines[0].metadata["plan"] = "web", "month"
    shop.add_promo_code(checkout, "TENTH")
    pay(shop, app, checkout)
    heard = listen(shop)
    order = order_of(shop, complete(shop, checkout, customer, metadata=[{"key": "more", "value": "1"}]))
    assert heard == ["ORDER_CREATED", "ORDER_PAID", "ORDER_FULLY_PAID", "ORDER_UPDATED", "ORDER_CONFIRMED"]
    assert (order.origin, order.status, order.user, order.email) == (
        "CHECKOUT",
        "UNFULFILLED",
        customer,
        "guest@example.com",
    )
    assert (order.checkout_id, order.shipping_method) == (checkout.id, checkout.shipping_method)
    assert (order.total, order.voucher_code) == (Decimal("228.10"), "TENTH")
    assert order.metadata == {"source": "web", "more": "1"}
    assert order.lines[0].metadata == {"plan": "month"}
    assert order.billing_address is not checkout.billing_address
    assert (order.transactions[0].source, order.charge_status) == (order, "FULL")
    assert shop.vouchers[0].used_by == ["guest@example.com"]
    assert payload(ask(shop, LOOK, id=checkout.id)) is None


async def test_completing_again_gives_the_same_order(shop: Shop, app: App) -> None:
    checkout = new(shop)
    pay(shop, app, checkout)
    first, heard = complete(shop, checkout), listen(shop)
    assert complete(shop, checkout) == first
    assert (len(shop.orders), heard) == (1, [])


async def test_what_is_on_its_way_is_enough_but_the_order_is_not_paid(shop: Shop, app: App) -> None:
    checkout = new(shop)
    pay(shop, app, checkout, "CHARGE_REQUEST")
    assert (checkout.charge_status, checkout.authorize_status) == ("FULL", "FULL")
    heard = listen(shop)
    order = order_of(shop, complete(shop, checkout))
    assert (order.charge_status, heard) == ("NONE", ["ORDER_CREATED", "ORDER_CONFIRMED"])


async def test_authorized_money_is_enough(shop: Shop, app: App) -> None:
    checkout = new(shop)
    pay(shop, app, checkout, "AUTHORIZATION_SUCCESS")
    order = order_of(shop, complete(shop, checkout))
    assert (order.authorize_status, order.charge_status) == ("FULL", "NONE")


async def test_payment_that_waits_for_the_customer_is_not_enough(shop: Shop, double: AppDouble) -> None:
    double.manifest = payment_manifest()
    await shop.install(MANIFEST_URL)
    checkout = new(shop)
    answer = {"result": "CHARGE_ACTION_REQUIRED", "amount": 248, "data": {"redirectUrl": "https://vipps.example"}}
    await begin_with(shop, double, checkout, answer)
    assert codes(complete(shop, checkout)) == [("id", "CHECKOUT_NOT_FULLY_PAID")]
    assert shop.orders == []


async def test_partial_payment_is_not_enough(shop: Shop, app: App) -> None:
    checkout = new(shop)
    report(shop, app, make(shop, app, checkout), "CHARGE_SUCCESS", "agr/chr", amount=247.99)
    assert codes(complete(shop, checkout)) == [("id", "CHECKOUT_NOT_FULLY_PAID")]


def test_unpaid_checkout_is_completed_only_where_the_channel_allows_it(shop: Shop) -> None:
    checkout = new(shop)
    assert codes(complete(shop, checkout)) == [(None, "CHECKOUT_NOT_FULLY_PAID")]
    shop.channels["norway"].allows_unpaid_orders = True
    assert order_of(shop, complete(shop, checkout)).charge_status == "NONE"


def test_free_checkout_needs_no_payment(shop: Shop) -> None:
    goods = shop.create_product(price=0, is_shipping_required=False)
    checkout = shop.create_checkout(None, [goods], email="a@example.com", billing=home(shop))
    heard = listen(shop)
    assert order_of(shop, complete(shop, checkout)).charge_status == "FULL"
    assert heard[:2] == ["ORDER_CREATED", "ORDER_PAID"]


async def test_payment_then_dearer_goods_is_not_enough(shop: Shop, app: App) -> None:
    checkout = new(shop)
    pay(shop, app, checkout)
    shop.set_price(shop.products[0].variants[0], 299)
    assert codes(complete(shop, checkout)) == [("id", "CHECKOUT_NOT_FULLY_PAID")]


def _no_email(_shop: Shop, checkout: Checkout) -> None:
    checkout.email = ""


def _without(attribute: str) -> Callable[[Shop, Checkout], None]:
    return lambda _shop, checkout: setattr(checkout, attribute, None)


def _moved(shop: Shop, checkout: Checkout) -> None:
    assert checkout.shipping_method
    checkout.shipping_address = home(shop, "SE")
    checkout.shipping_method.countries = frozenset({"NO"})


def _voucher_ended(shop: Shop, checkout: Checkout) -> None:
    shop.add_promo_code(checkout, shop.create_voucher("TENTH", 10).code)
    shop.vouchers[0].is_active = False


def _bought_by_another(shop: Shop, _checkout: Checkout) -> None:
    shop.set_stock(shop.products[0].variants[0], 0)


OBSTACLES: dict[str, tuple[Callable[[Shop, Checkout], None], tuple[str | None, str]]] = {
    "no e-mail": (_no_email, (None, "EMAIL_NOT_SET")),
    "no lines": (lambda _shop, checkout: checkout.lines.clear(), ("lines", "NO_LINES")),
    "no method": (_without("shipping_method"), ("shippingMethod", "SHIPPING_METHOD_NOT_SET")),
    "no shipping address": (_without("shipping_address"), ("shippingAddress", "SHIPPING_ADDRESS_NOT_SET")),
    "moved abroad": (_moved, ("shippingMethod", "INVALID_SHIPPING_METHOD")),
    "no billing address": (_without("billing_address"), ("billingAddress", "BILLING_ADDRESS_NOT_SET")),
    "unpublished": (lambda shop, _checkout: unpublished(shop), ("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL")),
    "not for purchase": (lambda shop, _checkout: not_for_sale(shop), ("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL")),
    "not listed": (lambda shop, _checkout: unlisted(shop), ("lines", "UNAVAILABLE_VARIANT_IN_CHANNEL")),
    "inactive channel": (lambda shop, _checkout: closed(shop), ("channel", "CHANNEL_INACTIVE")),
    "voucher ended": (_voucher_ended, ("voucherCode", "VOUCHER_NOT_APPLICABLE")),
    "sold out": (_bought_by_another, (None, "INSUFFICIENT_STOCK")),
}


@pytest.mark.parametrize("case", OBSTACLES)
async def test_obstacle_leaves_the_checkout_as_it_is(shop: Shop, app: App, case: str) -> None:
    obstruct, expected = OBSTACLES[case]
    checkout = new(shop)
    pay(shop, app, checkout)
    obstruct(shop, checkout)
    heard = listen(shop)
    assert codes(complete(shop, checkout)) == [expected]
    assert (shop.orders, shop.checkouts, heard) == ([], [checkout], [])
    assert checkout.transactions[0].source is checkout


async def test_order_takes_from_the_stock(shop: Shop, app: App) -> None:
    (variant,) = shop.create_product(stock=3).variants
    checkout = new(shop, quantity=2)
    pay(shop, app, checkout)
    assert variant.available == 3
    complete(shop, checkout)
    assert variant.available == 1


def test_unknown_checkout_is_not_found(shop: Shop) -> None:
    checkout = new(shop)
    shop.checkouts.clear()
    assert codes(complete(shop, checkout)) == [("id", "NOT_FOUND")]


async def test_payment_app_sees_the_checkout_that_is_paid(shop: Shop, double: AppDouble) -> None:
    source = """sourceObject { __typename ... on Checkout { id email channel { slug } user { id } languageCode
      lines { quantity unitPrice { gross { amount } } variant { product { metadata { key value } } } }
      totalPrice { gross { amount } } shippingPrice { gross { amount } } voucherCode } }"""
    hook = webhook("TransactionInitializeSession", syncEvents=["TRANSACTION_INITIALIZE_SESSION"])
    hook["query"] = f"subscription {{ event {{ ... on TransactionInitializeSession {{ {source} }} }} }}"
    double.manifest = manifest(webhooks=[hook])
    await shop.install(MANIFEST_URL)
    shop.create_product(metadata={"vipps-recurring.interval": "MONTH:1"})
    customer = shop.create_customer()
    checkout = new(shop, customer)
    await begin_with(shop, double, checkout, {"result": "CHARGE_SUCCESS", "pspReference": "a"})
    seen = double.bodies[-1]["sourceObject"]
    assert (seen["__typename"], seen["id"], seen["user"]) == ("Checkout", checkout.id, {"id": customer.id})
    assert (seen["totalPrice"], seen["shippingPrice"]) == ({"gross": {"amount": 248.0}}, {"gross": {"amount": 49.0}})
    assert seen["lines"][0]["variant"]["product"]["metadata"] == [
        {"key": "vipps-recurring.interval", "value": "MONTH:1"}
    ]


async def test_only_the_customer_sees_stored_payment_methods(shop: Shop) -> None:
    checkout = new(shop, shop.create_customer())
    query = "query($id: ID!) { checkout(id: $id) { storedPaymentMethods { id } } }"
    assert payload(await ask_app(shop, query, id=checkout.id)) == {"storedPaymentMethods": []}
    assert payload(await ask_app(shop, query, checkout.user, id=checkout.id)) == {"storedPaymentMethods": []}


def test_metadata_of_a_checkout_is_open_to_whoever_knows_it(shop: Shop) -> None:
    checkout = new(shop)
    heard = listen(shop)
    mutation = """mutation($id: ID!) { updateMetadata(id: $id, input: [{key: "a", value: "1"}]) {
      item { metadata { key } } errors { code } } }"""
    assert payload(ask(shop, mutation, id=checkout.id))["errors"] == []
    assert (checkout.metadata, heard) == ({"a": "1"}, ["CHECKOUT_METADATA_UPDATED"])
