"""What happens to an order, and the events that follow, in Saleor's order."""

from decimal import Decimal

import pytest

from app.saleor.simulator import ids
from app.saleor.simulator.records import Event
from app.saleor.simulator.simulator import Simulator


@pytest.fixture
def heard(shop: Simulator) -> list[str]:
    names: list[str] = []

    def listen(event: Event) -> None:
        names.append(event.name)

    shop.listeners.append(listen)
    return names


def test_order_is_created_then_confirmed_where_the_channel_confirms(shop: Simulator, heard: list[str]) -> None:
    order = shop.create_order(email="guest@example.com", amount="199.50")
    assert heard == ["ORDER_CREATED", "ORDER_CONFIRMED"]
    assert order.status == "UNFULFILLED"
    assert order.total == Decimal("199.50")


def test_order_waits_for_confirmation_where_the_channel_does_not(shop: Simulator, heard: list[str]) -> None:
    shop.channels["norway"].auto_confirms = False
    order = shop.create_order(email="guest@example.com", amount=1)
    assert heard == ["ORDER_CREATED"]
    assert order.status == "UNCONFIRMED"


def test_paid_order_tells_payment_between_creation_and_confirmation(shop: Simulator, heard: list[str]) -> None:
    order = shop.create_order(email="guest@example.com", amount=1, paid=True)
    assert heard == ["ORDER_CREATED", "ORDER_PAID", "ORDER_FULLY_PAID", "ORDER_UPDATED", "ORDER_CONFIRMED"]
    assert order.is_paid


def test_lines_are_variants_with_quantities(shop: Simulator) -> None:
    product = shop.create_product(price="199", metadata={"vipps-recurring.interval": "MONTH:1"})
    large = shop.add_variant(product, "500 g", 349)
    order = shop.create_order(shop.create_customer(), [product, (large, 2)])
    assert order.total == Decimal(199 + 2 * 349)
    assert [line.variant for line in order.lines] == [product.variants[0], large]


def test_partial_payment_is_not_full_payment(shop: Simulator, heard: list[str]) -> None:
    order = shop.create_order(email="guest@example.com", amount=100)
    heard.clear()
    shop.mark_charged(order, 40)
    assert (heard, order.charge_status, order.is_paid) == (["ORDER_PAID", "ORDER_UPDATED"], "PARTIAL", False)
    heard.clear()
    shop.mark_charged(order)
    assert (heard, order.charge_status) == (["ORDER_PAID", "ORDER_FULLY_PAID", "ORDER_UPDATED"], "FULL")
    shop.mark_charged(order, 1)
    assert order.charge_status == "OVERCHARGED"


def test_cancelling_tells_two_events(shop: Simulator, heard: list[str]) -> None:
    order = shop.create_order(email="guest@example.com", amount=100)
    heard.clear()
    shop.cancel_order(order)
    assert (heard, order.status) == (["ORDER_CANCELLED", "ORDER_UPDATED"], "CANCELED")


def test_external_reference_is_unique(shop: Simulator) -> None:
    shop.create_order(email="guest@example.com", amount=1, external_reference="a")
    with pytest.raises(ValueError, match="external reference a"):
        shop.create_order(email="guest@example.com", amount=1, external_reference="a")


def test_order_needs_lines_or_an_amount(shop: Simulator) -> None:
    with pytest.raises(ValueError, match="one of them"):
        shop.create_order(email="guest@example.com")
    with pytest.raises(ValueError, match="customer or an e-mail"):
        shop.create_order(amount=1)


def test_ids_have_saleors_form(shop: Simulator) -> None:
    customer = shop.create_customer()
    order = shop.create_order(customer, amount=1)
    assert customer.id == "VXNlcjo0Ng=="  # User:46
    assert ids.decode(order.id) == ("Order", str(order.token))
    with pytest.raises(ids.UnknownId):
        ids.decode("not base64")
