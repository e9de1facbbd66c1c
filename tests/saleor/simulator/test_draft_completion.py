"""Completing draft orders: everything that may stand in the way, and the events when nothing does."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import (
    codes,
    complete_draft,
    listen,
    make_draft,
)
from tests.saleor.simulator.payments import make, report
from tests.saleor.simulator.test_drafts import look

Shop = Simulator


Obstruct = Callable[[Shop, Order], None]


def _without(attribute: str) -> Obstruct:
    return lambda _shop, order: setattr(order, attribute, None)


def _other_country(shop: Shop, order: Order) -> None:
    assert order.shipping_method
    order.shipping_method.countries = frozenset({"DK"})
    assert shop.orders == [order]


def _other_channel(_shop: Shop, order: Order) -> None:
    assert order.shipping_method
    order.shipping_method.channels = frozenset({"denmark"})


def _void_voucher(shop: Shop, order: Order) -> None:
    order.channel.counts_vouchers_of_drafts = True
    order.voucher = shop.create_voucher("GONE", 10)
    order.voucher.is_active = False


def _close(_shop: Shop, order: Order) -> None:
    order.channel.is_active = False


def _sell_out(shop: Shop, _order: Order) -> None:
    shop.set_stock(shop.products[0].variants[0], 0)


OBSTACLES: dict[str, tuple[Obstruct, tuple[str, str]]] = {
    "no billing address": (_without("billing_address"), ("order", "BILLING_ADDRESS_NOT_SET")),
    "no shipping address": (_without("shipping_address"), ("order", "ORDER_NO_SHIPPING_ADDRESS")),
    "no method": (_without("shipping_method"), ("shipping", "SHIPPING_METHOD_REQUIRED")),
    "method of other countries": (_other_country, ("shipping", "SHIPPING_METHOD_NOT_APPLICABLE")),
    "method of other channels": (_other_channel, ("shipping", "SHIPPING_METHOD_NOT_APPLICABLE")),
    "no lines": (lambda _shop, order: order.lines.clear(), ("lines", "REQUIRED")),
    "deleted variant": (
        lambda shop, _order: shop.delete_variant(shop.products[0].variants[0]),
        ("lines", "NOT_FOUND"),
    ),
    "sold out": (_sell_out, ("lines", "INSUFFICIENT_STOCK")),
    "unpublished": (lambda shop, _order: shop.unpublish(shop.products[0]), ("lines", "PRODUCT_NOT_PUBLISHED")),
    "not for purchase": (
        lambda shop, _order: shop.set_available_for_purchase(shop.products[0], available=False),
        ("lines", "PRODUCT_UNAVAILABLE_FOR_PURCHASE"),
    ),
    "not listed": (
        lambda shop, _order: shop.set_listed(shop.products[0].variants[0], listed=False),
        ("lines", "NOT_AVAILABLE_IN_CHANNEL"),
    ),
    "inactive channel": (_close, ("channel", "CHANNEL_INACTIVE")),
    "void voucher": (_void_voucher, ("voucher", "INVALID_VOUCHER")),
}


@pytest.mark.parametrize("case", OBSTACLES)
async def test_obstacle_is_shown_by_the_draft_and_stops_its_completion(shop: Shop, app: App, case: str) -> None:
    obstruct, expected = OBSTACLES[case]
    order = make_draft(shop, app)
    obstruct(shop, order)
    heard = listen(shop)
    assert look(shop, app, order)["errors"] == [{"field": expected[0], "code": expected[1]}]
    answer = complete_draft(shop, app, order)
    assert (answer["order"], codes(answer)) == (None, [expected])
    assert (order.status, heard) == ("DRAFT", [])


async def test_all_obstacles_are_told_at_once(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    order.billing_address = order.shipping_method = None
    shop.set_stock(shop.products[0].variants[0], 0)
    answer = complete_draft(shop, app, order)
    assert [code for _field, code in codes(answer)] == [
        "BILLING_ADDRESS_NOT_SET",
        "SHIPPING_METHOD_REQUIRED",
        "INSUFFICIENT_STOCK",
    ]
    assert answer["errors"][-1]["orderLines"] == [order.lines[0].id]


async def test_completing_tells_everything_at_once(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    heard = listen(shop)
    answer = complete_draft(shop, app, order)
    assert (answer["errors"], answer["order"]["status"], answer["order"]["origin"]) == ([], "UNFULFILLED", "DRAFT")
    assert heard == ["ORDER_CREATED", "ORDER_CONFIRMED"]
    assert [event.type for event in order.events] == ["DRAFT_CREATED", "PLACED_FROM_DRAFT", "CONFIRMED"]
    assert look(shop, app, order)["errors"] == []


async def test_paid_draft_tells_of_its_payment_when_it_is_completed(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    heard = listen(shop)
    transaction = make(shop, app, order, name="Vipps")
    report(shop, app, transaction, "CHARGE_SUCCESS", "agr/chr", amount=248)
    assert heard == []
    assert complete_draft(shop, app, order)["errors"] == []
    assert heard == ["ORDER_CREATED", "ORDER_PAID", "ORDER_FULLY_PAID", "ORDER_UPDATED", "ORDER_CONFIRMED"]


async def test_part_payment_of_a_draft_is_not_told(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    report(shop, app, make(shop, app, order), "CHARGE_SUCCESS", "agr/chr", amount=100)
    heard = listen(shop)
    assert complete_draft(shop, app, order)["errors"] == []
    assert (heard, order.charge_status) == (["ORDER_CREATED", "ORDER_CONFIRMED"], "PARTIAL")


async def test_channel_that_does_not_confirm_leaves_the_order_unconfirmed(shop: Shop, app: App) -> None:
    shop.channels["norway"].auto_confirms = False
    order = make_draft(shop, app)
    heard = listen(shop)
    assert complete_draft(shop, app, order)["order"]["status"] == "UNCONFIRMED"
    assert heard == ["ORDER_CREATED"]


async def test_completing_again_is_invalid(shop: Shop, app: App) -> None:
    order = make_draft(shop, app)
    complete_draft(shop, app, order)
    heard = listen(shop)
    assert codes(complete_draft(shop, app, order)) == [("id", "INVALID")]
    assert heard == []


async def test_stock_is_allocated_at_completion(shop: Shop, app: App) -> None:
    (variant,) = shop.create_product(stock=1).variants
    first, second = make_draft(shop, app), make_draft(shop, app)
    assert variant.available == 1
    assert complete_draft(shop, app, first)["errors"] == []
    assert variant.available == 0
    assert codes(complete_draft(shop, app, second)) == [("lines", "INSUFFICIENT_STOCK")]
    shop.cancel_order(first)
    assert complete_draft(shop, app, second)["errors"] == []


async def test_what_is_not_shipped_needs_no_shipping_and_keeps_none(shop: Shop, app: App) -> None:
    shop.create_product(is_shipping_required=False)
    order = make_draft(shop, app)
    assert order.total == Decimal(199)
    assert complete_draft(shop, app, order)["errors"] == []
    assert (order.shipping_address, order.shipping_method, order.total) == (None, None, Decimal(199))


async def test_voucher_counts_only_where_the_channel_counts_drafts(shop: Shop, app: App) -> None:
    voucher = shop.create_voucher("ONCE", 10, once_per_customer=True)
    complete_draft(shop, app, make_draft(shop, app, voucherCode="ONCE"))
    assert voucher.used_by == []
    shop.channels["norway"].counts_vouchers_of_drafts = True
    assert complete_draft(shop, app, make_draft(shop, app, voucherCode="ONCE"))["errors"] == []
    again = complete_draft(shop, app, make_draft(shop, app, voucherCode="ONCE"))
    assert codes(again) == [("voucher", "INVALID_VOUCHER")]
