"""How the events of a transaction add up."""

from datetime import timedelta

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.payments import (
    UPDATE,
    ask,
    crowns,
    make,
    payload,
    report,
    sums,
)

Shop = Simulator


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("CHARGE_REQUEST", "c", 100)], {"charge_pending": 100}),
        ([("CHARGE_REQUEST", "c", 100), ("CHARGE_SUCCESS", "c", 100)], {"charged": 100}),
        ([("CHARGE_REQUEST", "c", 100), ("CHARGE_FAILURE", "c", 100)], {}),
        ([("CHARGE_REQUEST", "c", 100), ("CHARGE_SUCCESS", "d", 100)], {"charge_pending": 100, "charged": 100}),
        ([("CHARGE_SUCCESS", "c", 100), ("CHARGE_FAILURE", "c", 100)], {}),
        ([("CHARGE_FAILURE", "c", 100), ("CHARGE_SUCCESS", "c", 100)], {"charged": 100}),
        ([("CHARGE_SUCCESS", "c", 60), ("CHARGE_SUCCESS", "d", 40)], {"charged": 100}),
        ([("CHARGE_SUCCESS", "c", 100), ("CHARGE_BACK", "c", 100)], {}),
        ([("CHARGE_ACTION_REQUIRED", "c", 100)], {}),
        ([("INFO", "c", 100)], {}),
        ([("AUTHORIZATION_REQUEST", "a", 100)], {"authorize_pending": 100}),
        ([("AUTHORIZATION_REQUEST", "a", 100), ("AUTHORIZATION_SUCCESS", "a", 100)], {"authorized": 100}),
        ([("AUTHORIZATION_SUCCESS", "a", 100), ("CHARGE_SUCCESS", "c", 30)], {"authorized": 70, "charged": 30}),
        ([("AUTHORIZATION_SUCCESS", "a", 100), ("CHARGE_REQUEST", "c", 30)], {"authorized": 70, "charge_pending": 30}),
        ([("AUTHORIZATION_SUCCESS", "a", 50), ("CHARGE_SUCCESS", "c", 80)], {"charged": 80}),
        ([("AUTHORIZATION_SUCCESS", "a", 100), ("CANCEL_SUCCESS", "x", 100)], {"canceled": 100}),
        ([("AUTHORIZATION_SUCCESS", "a", 100), ("CANCEL_REQUEST", "x", 100)], {"cancel_pending": 100}),
        ([("AUTHORIZATION_SUCCESS", "a", 100), ("AUTHORIZATION_ADJUSTMENT", "a", 40)], {"authorized": 40}),
        ([("CHARGE_SUCCESS", "c", 100), ("REFUND_SUCCESS", "r", 30)], {"charged": 70, "refunded": 30}),
        ([("CHARGE_SUCCESS", "c", 100), ("REFUND_REQUEST", "r", 30)], {"charged": 70, "refund_pending": 30}),
        (
            [("CHARGE_SUCCESS", "c", 100), ("REFUND_REQUEST", "r", 30), ("REFUND_FAILURE", "r", 30)],
            {"charged": 100},
        ),
        (
            [("CHARGE_SUCCESS", "c", 100), ("REFUND_SUCCESS", "r", 30), ("REFUND_REVERSE", "r", 30)],
            {"charged": 100},
        ),
    ],
    ids=lambda value: "+".join(f"{type_}:{psp}" for type_, psp, _amount in value) if isinstance(value, list) else "",
)
async def test_events_add_up_by_reference(
    shop: Shop, app: App, transaction: TransactionItem, events: list[tuple[str, str, int]], expected: dict[str, int]
) -> None:
    for type_, psp, amount in events:
        shop.clock.advance(1)
        assert report(shop, app, transaction, type_, psp, amount=amount)["errors"] == []
    assert sums(transaction) == expected


@pytest.mark.parametrize(("minutes", "expected"), [(-1, {}), (1, {"charged": 100})])
async def test_the_newer_time_wins_not_the_later_report(
    shop: Shop, app: App, transaction: TransactionItem, minutes: int, expected: dict[str, int]
) -> None:
    report(shop, app, transaction, "CHARGE_FAILURE", "c", amount=100)
    at = shop.clock.now() + timedelta(minutes=minutes)
    shop.clock.advance(3600)
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100, time=at.isoformat())
    assert sums(transaction) == expected


async def test_money_that_is_stated_and_reported_counts_twice(shop: Shop, app: App, order: Order) -> None:
    transaction = make(shop, app, order, pspReference="c", amountCharged=crowns(100))
    assert [(e.type, e.psp_reference, e.message) for e in transaction.events] == [
        ("CHARGE_SUCCESS", None, "Manual adjustment of the transaction.")
    ]
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100)
    assert sums(transaction) == {"charged": 200}
    assert order.charge_status == "OVERCHARGED"


async def test_update_writes_the_difference(shop: Shop, app: App, order: Order) -> None:
    transaction = make(shop, app, order, amountAuthorized=crowns(100))
    changes = {"amountAuthorized": crowns(0), "amountCharged": crowns(100)}
    payload(ask(shop, UPDATE, app, id=transaction.id, transaction=changes))
    assert sums(transaction) == {"charged": 100}
    payload(ask(shop, UPDATE, app, id=transaction.id, transaction={"amountCharged": crowns(70)}))
    assert sums(transaction) == {"charged": 70}
    assert [(e.type, int(e.amount)) for e in transaction.events] == [
        ("AUTHORIZATION_SUCCESS", 100),
        ("AUTHORIZATION_ADJUSTMENT", 0),
        ("CHARGE_SUCCESS", 100),
        ("CHARGE_SUCCESS", -30),
    ]


async def test_floats_are_read_as_they_are_written(shop: Shop, app: App, transaction: TransactionItem) -> None:
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=0.1)
    report(shop, app, transaction, "CHARGE_SUCCESS", "d", amount=0.2)
    assert str(transaction.sums.charged) == "0.30"
    assert report(shop, app, transaction, "CHARGE_SUCCESS", "d", amount="0.20")["alreadyProcessed"]
