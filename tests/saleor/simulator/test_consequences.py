"""What an order or a checkout makes of its transactions, and who is told."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

import pytest

from app.saleor.simulator.event_reports import Report
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, Order, Payable
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, webhook
from tests.saleor.simulator.payments import (
    ask,
    make,
    payload,
    report,
)

Shop = Simulator


async def told(shop: Shop, double: AppDouble) -> list[str]:
    await shop.deliver()
    events = double.events
    double.requests.clear()
    return events


ORDER_EVENTS = ("OrderPaid", "OrderFullyPaid", "OrderUpdated", "OrderRefunded", "OrderFullyRefunded")


async def test_order_is_told_of_in_saleors_sequence(shop: Shop, double: AppDouble) -> None:
    double.manifest = manifest(*ORDER_EVENTS)
    app = await shop.install(MANIFEST_URL)
    order = shop.create_order(email="a@example.com", amount=100)
    transaction = make(shop, app, order)
    assert await told(shop, double) == []
    steps: list[tuple[str, int, list[str], str]] = [
        ("AUTHORIZATION_SUCCESS", 100, ["order_updated"], "NONE"),
        ("CHARGE_REQUEST", 60, ["order_updated"], "NONE"),
        ("CHARGE_SUCCESS", 60, ["order_paid", "order_updated"], "PARTIAL"),
        ("CHARGE_SUCCESS", 40, ["order_paid", "order_fully_paid", "order_updated"], "FULL"),
        ("CHARGE_SUCCESS", 1, ["order_paid", "order_fully_paid", "order_updated"], "OVERCHARGED"),
        ("REFUND_SUCCESS", 1, ["order_refunded", "order_updated"], "FULL"),
        ("REFUND_SUCCESS", 99, ["order_refunded", "order_updated", "order_fully_refunded"], "PARTIAL"),
        ("INFO", 0, [], "PARTIAL"),
    ]
    for number, (type_, amount, events, status) in enumerate(steps):
        psp = "60" if amount == 60 else str(number)
        shop.clock.advance(1)
        assert report(shop, app, transaction, type_, psp, amount=amount)["errors"] == []
        assert (await told(shop, double), order.charge_status) == (events, status)


async def test_draft_is_silent(shop: Shop, double: AppDouble) -> None:
    double.manifest = manifest(*ORDER_EVENTS)
    app = await shop.install(MANIFEST_URL)
    order = shop.create_order(email="a@example.com", amount=100)
    order.status = "DRAFT"
    transaction = make(shop, app, order)
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100)
    assert await told(shop, double) == []
    assert order.charge_status == "FULL"


async def test_order_shows_what_was_authorized_charged_and_refunded(
    shop: Shop, app: App, order: Order, transaction: TransactionItem
) -> None:
    report(shop, app, transaction, "AUTHORIZATION_SUCCESS", "a", amount=80)
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=30)
    report(shop, app, transaction, "REFUND_SUCCESS", "r", amount=10)
    query = """query($id: ID!) { order(id: $id) { chargeStatus authorizeStatus isPaid totalCharged { amount }
      totalAuthorized { amount } totalRefunded { amount } totalBalance { amount } } }"""
    assert payload(ask(shop, query, app, id=order.id)) == {
        "chargeStatus": "PARTIAL",
        "authorizeStatus": "PARTIAL",
        "isPaid": False,
        "totalCharged": {"amount": 20.0},
        "totalAuthorized": {"amount": 50.0},
        "totalRefunded": {"amount": 10.0},
        "totalBalance": {"amount": -80.0},
    }


async def test_metadata_of_a_transaction_is_told(shop: Shop, double: AppDouble) -> None:
    query = "subscription { event { ... on TransactionItemMetadataUpdated { transaction { id } } } }"
    double.manifest = manifest(webhooks=[webhook("TransactionItemMetadataUpdated", query=query)])
    app = await shop.install(MANIFEST_URL)
    transaction = make(shop, app, shop.create_order(email="a@example.com", amount=1))
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=1, metadata=[{"key": "a", "value": "1"}])
    change = 'mutation($id: ID!) { updateMetadata(id: $id, input: [{key: "b", value: "2"}]) { errors { code } } }'
    payload(ask(shop, change, app, id=transaction.id))
    await shop.deliver()
    assert double.bodies == [{"transaction": {"id": transaction.id}}] * 2


# Checkouts


@dataclass(eq=False, kw_only=True)
class Basket(Payable):
    """A checkout as far as payments know it."""

    counts_pending: ClassVar[bool] = True

    @property
    def key(self) -> object:
        return 1

    @property
    def total(self) -> Decimal:
        return Decimal(100)


async def test_a_checkout_counts_what_is_pending_and_its_order_does_not(shop: Shop, app: App, order: Order) -> None:
    basket = Basket(channel=order.channel)
    transaction = shop.transactions.add(basket, app=app)
    told: list[str] = []
    shop.listeners.append(lambda event: told.append(event.name))
    shop.transactions.report(transaction, Report("c", "CHARGE_REQUEST", Decimal(100)), app)
    assert (basket.charge_status, basket.authorize_status) == ("FULL", "FULL")
    assert told == ["CHECKOUT_FULLY_PAID", "CHECKOUT_FULLY_AUTHORIZED"]
    shop.transactions.move(basket, order)
    assert (basket.transactions, order.transactions, transaction.source) == ([], [transaction], order)
    assert order.charge_status == "NONE"
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100)
    assert order.charge_status == "FULL"


async def test_no_payment_begins_while_a_checkout_is_being_completed(shop: Shop, app: App, order: Order) -> None:
    basket = Basket(channel=order.channel, is_locked=True)
    with pytest.raises(InputError, match="completed"):
        await shop.initialize_transaction(basket, gateway=app.identifier)
    assert basket.transactions == []
