"""What is sold: prices, tax, stock, switches, vouchers, and who may note something on a product."""

from decimal import Decimal

import pytest

from app.saleor.simulator.catalog import is_available_for_purchase, is_listed, is_published
from app.saleor.simulator.pricing import Taxed, taxed, total_of
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.buying import home
from tests.saleor.simulator.payments import ask, error_codes, payload

Shop = Simulator

NOTE = """mutation($id: ID!) { updateMetadata(id: $id, input: [{key: "vipps-recurring.interval", value: "MONTH:1"}]) {
  item { metadata { key value } } errors { code } } }"""


@pytest.mark.parametrize(
    ("gross", "net"), [("199", "159.20"), ("0", "0.00"), ("0.01", "0.01"), ("99.99", "79.99"), ("49.03", "39.22")]
)
def test_net_price_is_what_the_tax_leaves(gross: str, net: str) -> None:
    assert taxed(Decimal(gross), Decimal("0.25")) == Taxed(Decimal(gross), Decimal(net))


def test_total_adds_up_rounded_lines(shop: Shop) -> None:
    order = shop.create_order(email="a@example.com", lines=[shop.create_product(price="0.03") for _ in range(3)])
    assert total_of(order) == Taxed(Decimal("0.09"), Decimal("0.06"))


def test_tax_is_the_channels(shop: Shop) -> None:
    shop.channels["norway"].tax_rate = Decimal("0.15")
    order = shop.create_order(email="a@example.com", amount=115)
    assert total_of(order) == Taxed(Decimal(115), Decimal(100))


def test_price_change_leaves_orders_alone(shop: Shop) -> None:
    product = shop.create_product(price=199)
    order = shop.create_order(email="a@example.com", lines=[product])
    shop.set_price(product.variants[0], 249)
    assert order.total == Decimal(199)


def test_switches_are_for_one_channel_or_all(shop: Shop) -> None:
    product = shop.create_product()
    (variant,) = product.variants
    norway, denmark = shop.channels["norway"], shop.channels["denmark"]
    shop.unpublish(product, "norway")
    shop.set_available_for_purchase(product, available=False)
    shop.set_listed(variant, listed=False)
    shop.set_listed(variant, listed=True, channel="denmark")
    assert (is_published(variant, norway), is_published(variant, denmark)) == (False, True)
    assert (is_available_for_purchase(variant, norway), is_available_for_purchase(variant, denmark)) == (False, False)
    assert (is_listed(variant, norway), is_listed(variant, denmark)) == (False, True)
    shop.publish(product)
    assert is_published(variant, norway)


def test_stock_that_is_not_tracked_never_ends(shop: Shop) -> None:
    (variant,) = shop.create_product().variants
    shop.create_order(email="a@example.com", lines=[(variant, 1000)])
    assert variant.available is None
    shop.set_stock(variant, 5)
    shop.create_order(email="a@example.com", lines=[(variant, 2)])
    assert variant.available == 3


def test_lines_of_one_variant_share_its_stock(shop: Shop) -> None:
    (variant,) = shop.create_product(stock=3).variants
    with pytest.raises(Exception, match="Not enough"):
        shop.create_checkout(None, [(variant, 2), (variant, 2)], email="a@example.com")
    assert shop.create_checkout(None, [(variant, 2), (variant, 1)], email="a@example.com").lines


def test_voucher_that_was_used_up_is_refused(shop: Shop) -> None:
    shop.create_voucher("ONE", 100, usage_limit=1)
    goods = shop.create_product(is_shipping_required=False)
    for _ in range(2):
        shop.create_checkout(None, [goods], email="a@example.com", billing=home(shop))
    first, second = shop.checkouts
    shop.add_promo_code(first, "ONE")
    shop.add_promo_code(second, "ONE")
    assert shop.complete_checkout(first).total == 0
    with pytest.raises(Exception, match="Voucher not applicable"):
        shop.complete_checkout(second)
    with pytest.raises(ValueError, match="already a voucher ONE"):
        shop.create_voucher("ONE", 5)


def test_staff_who_manage_products_write_their_metadata(shop: Shop) -> None:
    product = shop.create_product()
    staff, clerk = shop.create_staff(), shop.create_staff("clerk@example.com", {"MANAGE_ORDERS"})
    for record in (product, product.variants[0]):
        assert payload(ask(shop, NOTE, staff, id=record.id))["errors"] == []
        assert record.metadata == {"vipps-recurring.interval": "MONTH:1"}
        assert error_codes(ask(shop, NOTE, clerk, id=record.id)) == ["PermissionDenied"]
