"""Reports of events: each is written once, and what contradicts it is refused."""

import pytest

from app.saleor.simulator.models import App
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.payments import (
    REPORT,
    ask,
    error_codes,
    payload,
    report,
    sums,
)

Shop = Simulator


async def test_a_repeated_report_is_already_processed_and_drops_metadata(
    shop: Shop, app: App, transaction: TransactionItem
) -> None:
    pair = [{"key": "a", "value": "1"}]
    first = report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100, metadata=pair, private=pair)
    other = [{"key": "a", "value": "2"}]
    again = report(
        shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100, metadata=other, private=other, actions=["REFUND"]
    )
    assert (first["alreadyProcessed"], again["alreadyProcessed"]) == (False, True)
    assert again["transactionEvent"] == first["transactionEvent"]
    assert again["errors"] == []
    assert again["transaction"]["actions"] == ["REFUND"]
    assert (transaction.metadata, transaction.private_metadata) == ({"a": "1"}, {"a": "1"})
    assert sums(transaction) == {"charged": 100}


async def test_another_amount_is_an_error_and_leaves_an_uncounted_failure(
    shop: Shop, app: App, transaction: TransactionItem
) -> None:
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=100)
    clash = report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=99, actions=["REFUND"])
    assert clash["errors"] == [{"field": "pspReference", "code": "INCORRECT_DETAILS"}]
    assert [clash[name] for name in ("alreadyProcessed", "transaction", "transactionEvent")] == [None] * 3
    failure = transaction.events[-1]
    assert (failure.type, int(failure.amount), failure.counts) == ("CHARGE_FAILURE", 99, False)
    assert (sums(transaction), transaction.actions) == ({"charged": 100}, ["CANCEL"])


@pytest.mark.parametrize("type_", ["CHARGE_ACTION_REQUIRED", "AUTHORIZATION_ACTION_REQUIRED", "INFO"])
async def test_what_only_informs_may_be_reported_again(
    shop: Shop, app: App, transaction: TransactionItem, type_: str
) -> None:
    for amount in (100, 100, 50):
        assert report(shop, app, transaction, type_, "c", amount=amount)["alreadyProcessed"] is False
    assert len(transaction.events) == 3


async def test_only_one_authorization(shop: Shop, app: App, transaction: TransactionItem) -> None:
    report(shop, app, transaction, "AUTHORIZATION_SUCCESS", "a", amount=100)
    second = report(shop, app, transaction, "AUTHORIZATION_SUCCESS", "b", amount=50)
    assert second["errors"] == [{"field": "type", "code": "ALREADY_EXISTS"}]
    assert [(e.type, e.counts) for e in transaction.events] == [
        ("AUTHORIZATION_SUCCESS", True),
        ("AUTHORIZATION_FAILURE", False),
    ]


@pytest.mark.parametrize(
    ("before", "type_", "found"),
    [
        ("CHARGE_REQUEST", "CHARGE_FAILURE", 100),
        ("CHARGE_SUCCESS", "CHARGE_BACK", 100),
        ("REFUND_SUCCESS", "REFUND_REVERSE", 100),
        ("REFUND_REQUEST", "REFUND_FAILURE", 100),
        ("CHARGE_REQUEST", "INFO", 0),
        ("CHARGE_REQUEST", "CHARGE_SUCCESS", None),
        ("REFUND_REQUEST", "REFUND_REVERSE", None),
        ("CHARGE_REQUEST", "AUTHORIZATION_ADJUSTMENT", None),
    ],
)
async def test_amount_may_be_found_among_earlier_events(
    shop: Shop, app: App, transaction: TransactionItem, before: str, type_: str, found: int | None
) -> None:
    report(shop, app, transaction, before, "p", amount=100)
    other = report(shop, app, transaction, type_, "q")
    assert other["errors"] == ([] if type_ == "INFO" else [{"field": "amount", "code": "REQUIRED"}])
    same = report(shop, app, transaction, type_, "p")
    if found is None:
        assert same["errors"] == [{"field": "amount", "code": "REQUIRED"}]
    else:
        assert same["errors"] == []
        assert transaction.events[-1].amount == found


async def test_reference_of_the_transaction_is_filled_once(shop: Shop, app: App, transaction: TransactionItem) -> None:
    report(shop, app, transaction, "CHARGE_ACTION_REQUIRED", "x", amount=1)
    report(shop, app, transaction, "CHARGE_FAILURE", "x", amount=1)
    assert transaction.psp_reference is None
    report(shop, app, transaction, "CHARGE_REQUEST", "y", amount=1)
    report(shop, app, transaction, "CHARGE_SUCCESS", "z", amount=1)
    assert transaction.psp_reference == "y"


async def test_inputs_of_a_report_are_checked(shop: Shop, app: App, transaction: TransactionItem) -> None:
    assert report(shop, app, transaction, "CHARGE_SUCCESS", "c" * 513, amount=1)["errors"][0]["code"] == "INVALID"
    assert report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=1, url="nonsense")["errors"] == [
        {"field": "externalUrl", "code": "INVALID"}
    ]
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=1, message="x" * 600)
    assert len(transaction.events[-1].message) == 512
    negative = ask(shop, REPORT, app, id=transaction.id, psp="d", type="CHARGE_SUCCESS", amount=-1)
    assert error_codes(negative) == ["GraphQLError"]
    unknown = payload(ask(shop, REPORT, app, token=str(order_token(shop)), psp="d", type="CHARGE_SUCCESS", amount=1))
    assert unknown["errors"] == [{"field": "id", "code": "NOT_FOUND"}]
    neither = payload(ask(shop, REPORT, app, psp="d", type="CHARGE_SUCCESS", amount=1))
    assert neither["errors"] == [{"field": "id", "code": "GRAPHQL_ERROR"}]


def order_token(shop: Shop) -> object:
    return shop.orders[0].token
