"""Draft orders as apps and staff make them: what is checked when, what they cost, and the events that follow."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import (
    ADDRESS,
    CREATE_DRAFT,
    DELETE_DRAFT,
    UPDATE_DRAFT,
    codes,
    complete_draft,
    draft_input,
    listen,
    make_draft,
)
from tests.saleor.simulator.payments import ask, error_codes, make, payload

Shop = Simulator

LOOK = """query($id: ID!) { order(id: $id) {
  status number origin userEmail user { email } externalReference languageCodeEnum voucherCode checkoutId
  billingAddress { city } shippingAddress { city } deliveryMethod { ... on ShippingMethod { id name price { amount } } }
  lines { quantity productName isPriceOverridden isGift unitPrice { gross { amount } net { amount } }
    undiscountedUnitPrice { gross { amount } } totalPrice { gross { amount } } variant { id } }
  total { gross { amount } net { amount } tax { amount } } undiscountedTotal { gross { amount } }
  shippingPrice { gross { amount } net { amount } }
  metadata { key value } privateMetadata { key value } errors { field code } } }"""


def look(shop: Shop, app: App, order: Order) -> Any:
    return payload(ask(shop, LOOK, app, id=order.id))


def create(shop: Shop, app: App, **changes: Any) -> list[tuple[str | None, str]]:
    return codes(payload(ask(shop, CREATE_DRAFT, app, input=draft_input(shop, **changes))))


async def test_draft_has_everything_that_it_was_given(shop: Shop, app: App) -> None:
    shop.create_voucher("TENTH", 10)
    order = make_draft(
        shop,
        app,
        externalReference="vr:1:2",
        voucherCode="TENTH",
        languageCode="NB",
        metadata=[{"key": "a", "value": "1"}],
        privateMetadata=[{"key": "b", "value": "2"}],
    )
    seen = look(shop, app, order)
    line, method = seen["lines"][0], seen["deliveryMethod"]
    assert (seen["status"], seen["origin"], seen["checkoutId"], seen["errors"]) == ("DRAFT", "DRAFT", None, [])
    assert (seen["externalReference"], seen["languageCodeEnum"], seen["voucherCode"]) == ("vr:1:2", "NB", "TENTH")
    assert seen["user"] == {"email": "ola.nordmann@example.com"}
    assert (seen["billingAddress"], seen["shippingAddress"]) == ({"city": "OSLO"}, {"city": "OSLO"})
    assert method == {"id": shop.shipping_methods[0].shown_id, "name": "Posten", "price": {"amount": 49.0}}
    assert line["unitPrice"] == {"gross": {"amount": 179.1}, "net": {"amount": 143.28}}
    assert line["undiscountedUnitPrice"] == {"gross": {"amount": 199.0}}
    assert (line["isPriceOverridden"], line["isGift"]) == (False, False)
    assert seen["shippingPrice"] == {"gross": {"amount": 49.0}, "net": {"amount": 39.2}}
    assert seen["total"]["gross"] == {"amount": 228.1}
    assert seen["total"]["net"] == {"amount": 182.48}
    assert seen["undiscountedTotal"] == {"gross": {"amount": 248.0}}
    assert seen["metadata"] == [{"key": "a", "value": "1"}]
    assert seen["privateMetadata"] == [{"key": "b", "value": "2"}]


async def test_draft_is_told_and_is_in_no_list(shop: Shop, app: App) -> None:
    heard = listen(shop)
    order = make_draft(shop, app)
    assert heard[-1] == "DRAFT_ORDER_CREATED"
    assert payload(ask(shop, "{ orders(first: 10) { totalCount } }", app)) == {"totalCount": 0}
    assert look(shop, app, order)["number"] == "1"


async def test_external_reference_is_taken_once_and_found_again(shop: Shop, app: App) -> None:
    order = make_draft(shop, app, externalReference="vr:1")
    assert create(shop, app, externalReference="vr:1") == [("externalReference", "UNIQUE")]
    assert len(shop.orders) == 1
    query = "query($r: String!) { order(externalReference: $r) { id } }"
    assert payload(ask(shop, query, app, r="vr:1")) == {"id": order.id}
    assert error_codes(ask(shop, query, r="vr:1")) == ["PermissionDenied"]
    assert create(shop, app, externalReference="x" * 251) == [("externalReference", "INVALID")]


async def test_price_may_be_overridden(shop: Shop, app: App) -> None:
    variant = shop.create_product(price=199).variants[0]
    order = make_draft(shop, app, lines=[{"variantId": variant.id, "quantity": 2, "price": 150.5}])
    line = look(shop, app, order)["lines"][0]
    assert (line["isPriceOverridden"], line["totalPrice"]) == (True, {"gross": {"amount": 301.0}})
    shop.set_price(variant, 500)
    shop.clock.advance(timedelta(hours=25).total_seconds())
    assert look(shop, app, order)["total"]["gross"] == {"amount": 350.0}


async def test_prices_stand_until_they_thaw(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    shop.set_price(shop.products[0].variants[0], 249)
    shop.clock.advance(timedelta(hours=23).total_seconds())
    assert look(shop, app, order)["total"]["gross"] == {"amount": 248.0}
    shop.clock.advance(timedelta(hours=2).total_seconds())
    assert look(shop, app, order)["total"]["gross"] == {"amount": 298.0}


async def test_prices_of_a_channel_that_never_thaws_stand(shop: Shop, app: App) -> None:
    shop.channels["norway"].price_freeze = None
    order = make_draft(shop, app)
    shop.set_price(shop.products[0].variants[0], 249)
    shop.clock.advance(timedelta(days=30).total_seconds())
    assert look(shop, app, order)["total"]["gross"] == {"amount": 248.0}


async def test_completing_late_asks_for_the_price_of_the_day(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    shop.set_price(shop.products[0].variants[0], 249)
    shop.clock.advance(timedelta(hours=25).total_seconds())
    assert complete_draft(shop, app, order)["errors"] == []
    assert order.total == Decimal(298)


async def test_lines_of_one_variant_are_one_unless_forced_apart(shop: Shop, app: App) -> None:
    variant = shop.create_product().variants[0].id
    lines = [{"variantId": variant, "quantity": 1}, {"variantId": variant, "quantity": 2}]
    assert [line.quantity for line in make_draft(shop, app, lines=lines).lines] == [3]
    apart = [lines[0], lines[1] | {"forceNewLine": True}]
    assert sorted(line.quantity for line in make_draft(shop, app, lines=apart).lines) == [1, 2]


async def test_customer_by_email_wins_over_the_customer_by_id(shop: Shop, app: App) -> None:
    other = shop.create_customer("kari@example.com")
    assert make_draft(shop, app, userEmail="kari@example.com").user is other
    order = make_draft(shop, app, userEmail="nobody@example.com")
    assert (order.user, order.email) == (None, "nobody@example.com")


async def test_account_made_meanwhile_gets_the_order_when_it_is_completed(shop: Shop, app: App) -> None:
    order = make_draft(shop, app, userEmail="kari@example.com")
    kari = shop.create_customer("kari@example.com")
    assert complete_draft(shop, app, order)["errors"] == []
    assert order.user is kari


WRONG: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no channel": ({"channelId": None}, ("channel", "REQUIRED")),
    "unknown channel": ({"channelId": "Q2hhbm5lbDo5OQ=="}, ("id", "NOT_FOUND")),
    "unknown user": ({"user": "VXNlcjo5OTk="}, ("user", "NOT_FOUND")),
    "user of another kind": ({"user": "T3JkZXI6MQ=="}, ("user", "GRAPHQL_ERROR")),
    "unknown method": ({"shippingMethod": "U2hpcHBpbmdNZXRob2RUeXBlOjk5"}, ("shippingMethod", "NOT_FOUND")),
    "method of another kind": ({"shippingMethod": "VXNlcjo0Ng=="}, ("shippingMethod", "INVALID")),
    "unknown voucher": ({"voucherCode": "NONE"}, ("voucherCode", "INVALID_VOUCHER_CODE")),
    "unknown variant": (
        {"lines": [{"variantId": "UHJvZHVjdFZhcmlhbnQ6OTk5OQ==", "quantity": 1}]},
        ("variantId", "NOT_FOUND"),
    ),
    "half an address": ({"billingAddress": ADDRESS | {"city": ""}}, ("city", "REQUIRED")),
    "impossible postal code": ({"shippingAddress": ADDRESS | {"postalCode": "1"}}, ("postalCode", "INVALID")),
    "empty metadata key": ({"metadata": [{"key": " ", "value": ""}]}, ("metadata", "REQUIRED")),
}


@pytest.mark.parametrize("case", WRONG)
async def test_wrong_input_makes_no_draft(shop: Shop, app: App, case: str) -> None:
    changes, expected = WRONG[case]
    assert create(shop, app, **changes) == [expected]
    assert shop.orders == []


async def test_address_error_names_the_address(shop: Shop, app: App) -> None:
    given = draft_input(shop, shippingAddress=ADDRESS | {"city": ""})
    (error,) = payload(ask(shop, CREATE_DRAFT, app, input=given))["errors"]
    assert error["addressType"] == "SHIPPING"


async def test_what_cannot_be_sold_makes_no_draft(shop: Shop, app: App) -> None:
    product = shop.create_product()
    (variant,) = product.variants
    assert create(shop, app, lines=[{"variantId": variant.id, "quantity": 0}]) == [("quantity", "ZERO_QUANTITY")]
    shop.set_listed(variant, listed=False)
    assert create(shop, app) == [("lines", "NOT_AVAILABLE_IN_CHANNEL")]
    shop.unpublish(product)
    assert create(shop, app) == [("lines", "PRODUCT_NOT_PUBLISHED")]


async def test_stock_and_purchase_are_asked_for_at_completion_only(shop: Shop, app: App) -> None:
    product = shop.create_product(stock=0)
    shop.set_available_for_purchase(product, available=False)
    assert create(shop, app) == []


async def test_drafts_need_manage_orders(shop: Shop) -> None:
    customer = shop.create_customer()
    assert error_codes(ask(shop, CREATE_DRAFT, customer, input=draft_input(shop))) == ["PermissionDenied"]
    assert shop.orders == []


# Changing and deleting


async def test_update_changes_what_is_given_and_the_price(shop: Shop, app: App) -> None:
    order = make_draft(shop, app, shippingMethod=None, externalReference="a")
    express = shop.create_shipping_method("Express", 99)
    heard = listen(shop)
    changes = {"shippingMethod": express.shown_id, "externalReference": "b", "metadata": [{"key": "k", "value": "v"}]}
    assert payload(ask(shop, UPDATE_DRAFT, app, reference="a", input=changes))["errors"] == []
    assert (order.total, order.external_reference, order.metadata) == (Decimal(298), "b", {"k": "v"})
    assert heard == ["DRAFT_ORDER_UPDATED"]


async def test_update_with_a_mistake_changes_nothing(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    make_draft(shop, app, externalReference="taken")
    changes = {"userEmail": "kari@example.com", "externalReference": "taken"}
    answer = payload(ask(shop, UPDATE_DRAFT, app, id=order.id, input=changes))
    assert codes(answer) == [("externalReference", "UNIQUE")]
    assert (order.email, order.external_reference) == ("ola.nordmann@example.com", None)
    assert codes(payload(ask(shop, UPDATE_DRAFT, app, id=order.id, input={"channelId": order.channel.id}))) == [
        ("channelId", "NOT_EDITABLE")
    ]


async def test_completed_order_is_neither_updated_nor_deleted_as_a_draft(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    complete_draft(shop, app, order)
    assert codes(payload(ask(shop, UPDATE_DRAFT, app, id=order.id, input={}))) == [("id", "INVALID")]
    assert codes(payload(ask(shop, DELETE_DRAFT, app, id=order.id))) == [("id", "INVALID")]
    assert shop.orders == [order]


async def test_deleted_draft_is_gone_and_its_reference_is_free(shop: Shop, app: App) -> None:
    order = make_draft(shop, app, externalReference="a")
    heard = listen(shop)
    assert payload(ask(shop, DELETE_DRAFT, app, reference="a")) == {"order": {"id": order.id}, "errors": []}
    assert (shop.orders, heard) == ([], ["DRAFT_ORDER_DELETED"])
    assert codes(payload(ask(shop, DELETE_DRAFT, app, reference="a"))) == [("externalReference", "NOT_FOUND")]
    assert create(shop, app, externalReference="a") == []


async def test_draft_with_a_transaction_cannot_be_deleted(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    make(shop, app, order)
    assert error_codes(ask(shop, DELETE_DRAFT, app, id=order.id)) == ["ProtectedError"]
    assert shop.orders == [order]
