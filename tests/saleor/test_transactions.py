"""Transactions by our client in the simulated shop: made once without money, and told each thing once."""

import uuid
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.domain.account import Installation
from app.domain.errors import Misconfigured, OutcomeUnknown, Rejected, Unavailable
from app.domain.transaction import ActionType, EventType, Report, ReportStatus, report_id
from app.saleor.client import SaleorClient
from app.saleor.simulator.models import Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import OtherPaymentMethodDetails, TransactionItem
from tests.builders import SHOP, nok
from tests.saleor.conftest import START
from tests.saleor.simulator.doubles import MANIFEST_URL
from tests.saleor.simulator.payments import make, report, sums
from tests.saleor.wire import Wire, installed

REFERENCE = "agr_1/chr_1"


def an_order(shop: Simulator, amount: int = 100) -> Order:
    return shop.create_order(email="a@example.com", amount=amount)


async def made(wire: Wire, installation: Installation, order: Order) -> TransactionItem:
    found = await wire.client.create_transaction(installation, order.id, REFERENCE, "Vipps MobilePay", "agr_1")
    [transaction] = [it for it in order.transactions if it.id == found]
    return transaction


def a_report(transaction: TransactionItem, type_: EventType = EventType.CHARGE_SUCCESS, **over: Any) -> Report:
    default = Report(
        id=report_id(SHOP, transaction.id, REFERENCE, type_),
        shop=SHOP,
        transaction=transaction.id,
        psp_reference=REFERENCE,
        type=type_,
        amount=nok(10000),
        occurred_at=START - timedelta(hours=2),
        message="charged",
        actions=(ActionType.REFUND,),
        status=ReportStatus.WAITING,
        created_at=START,
    )
    return replace(default, **over)


async def test_every_version_is_told_of_a_charge(any_shop: Simulator) -> None:
    wire = Wire(any_shop)
    installation = installed(await any_shop.install(MANIFEST_URL), any_shop.site.full_version)
    order = an_order(any_shop)
    transaction = await made(wire, installation, order)
    assert (transaction.psp_reference, transaction.name, sums(transaction)) == (REFERENCE, "Vipps MobilePay", {})
    await wire.client.report_event(installation, a_report(transaction))
    [event] = transaction.events
    assert (event.type, event.psp_reference, event.amount) == ("CHARGE_SUCCESS", REFERENCE, Decimal(100))
    assert (event.at, event.message) == (START - timedelta(hours=2), "charged")
    assert (transaction.actions, sums(transaction)) == (["REFUND"], {"charged": 100})
    assert order.charge_status == "FULL"
    shown = isinstance(transaction.method, OtherPaymentMethodDetails)
    assert shown is (any_shop.site.number >= (3, 22))
    assert "paymentMethodDetails" not in wire.bodies[-1]["query"] or shown


async def test_a_transaction_is_made_without_amounts(shop: Simulator, wire: Wire, installation: Installation) -> None:
    """They would be counted once more with the report of the same money."""
    transaction = await made(wire, installation, an_order(shop))
    assert (transaction.events, sums(transaction)) == ([], {})
    assert set(wire.bodies[-1]["variables"]) == {"source", "pspReference", "name", "message"}


async def test_the_amount_is_sent_as_exact_text(shop: Simulator, wire: Wire, installation: Installation) -> None:
    transaction = await made(wire, installation, an_order(shop))
    for minor, text in ((29, "0.29"), (10001, "100.01"), (1, "0.01"), (123456789, "1234567.89")):
        reference = str(uuid.uuid4())
        await wire.client.report_event(installation, a_report(transaction, amount=nok(minor), psp_reference=reference))
        assert wire.bodies[-1]["variables"]["amount"] == text
        assert transaction.events[0].amount == Decimal(text) or transaction.events[-1].amount == Decimal(text)


async def test_a_repeat_is_a_success_and_counts_once(shop: Simulator, wire: Wire, installation: Installation) -> None:
    transaction = await made(wire, installation, an_order(shop))
    for _ in range(3):
        await wire.client.report_event(installation, a_report(transaction))
    assert (len(transaction.events), sums(transaction)) == (1, {"charged": 100})


async def test_a_second_authorisation_is_a_success(shop: Simulator, wire: Wire, installation: Installation) -> None:
    """Saleor says ALREADY_EXISTS: there is nothing to do about it."""
    transaction = await made(wire, installation, an_order(shop))
    first = a_report(transaction, EventType.AUTHORIZATION_SUCCESS)
    await wire.client.report_event(installation, first)
    await wire.client.report_event(installation, replace(first, psp_reference="another"))
    assert sums(transaction) == {"authorized": 100}


async def test_a_lost_answer_is_told_as_such_and_its_repeat_is_harmless(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    transaction = await made(wire, installation, an_order(shop))
    wire.lose = True
    with pytest.raises(OutcomeUnknown):
        await wire.client.report_event(installation, a_report(transaction))
    wire.lose = False
    await wire.client.report_event(installation, a_report(transaction))
    assert sums(transaction) == {"charged": 100}


async def test_after_a_lost_answer_the_order_shows_the_transaction(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    order = an_order(shop)
    wire.lose = True
    with pytest.raises(OutcomeUnknown):
        await wire.client.create_transaction(installation, order.id, REFERENCE, "Vipps MobilePay", "")
    wire.lose = False
    [found] = await wire.client.transactions_of(installation, order.id)
    assert (found.id, found.psp_reference, found.money) == (order.transactions[0].id, REFERENCE, False)
    assert found.actor_app == installation.app_id


async def test_the_same_reference_with_another_amount_is_refused_for_good(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    transaction = await made(wire, installation, an_order(shop))
    await wire.client.report_event(installation, a_report(transaction))
    with pytest.raises(Rejected) as refusal:
        await wire.client.report_event(installation, a_report(transaction, amount=nok(9900)))
    assert refusal.value.provider_code == "INCORRECT_DETAILS"
    assert sums(transaction) == {"charged": 100}


async def test_an_unknown_transaction_or_source_is_refused_for_good(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    transaction = await made(wire, installation, an_order(shop))
    unknown = "VHJhbnNhY3Rpb25JdGVtOjQxNDc5ZDZiLTE4NTktNDg4YS1hMzYzLWNmMzc3ZTBlZjAzZA=="
    with pytest.raises(Rejected) as refusal:
        await wire.client.report_event(installation, replace(a_report(transaction), transaction=unknown))
    assert refusal.value.provider_code == "NOT_FOUND"
    with pytest.raises(Rejected) as refusal:
        await wire.client.create_transaction(installation, "T3JkZXI6MWQxNzkyNzg=", REFERENCE, "Vipps", "")
    assert refusal.value.provider_code


async def test_long_texts_are_cut_and_other_actions_left_out(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    transaction = await made(wire, installation, an_order(shop))
    actions = (ActionType.AUTHORIZATION, ActionType.CHARGE, ActionType.CANCEL)
    await wire.client.report_event(installation, a_report(transaction, message="x" * 600, actions=actions))
    assert transaction.events[0].message == "x" * 512
    assert transaction.actions == ["CHARGE", "CANCEL"]


@pytest.mark.parametrize(
    ("type_", "money"),
    [
        ("AUTHORIZATION_SUCCESS", True),
        ("AUTHORIZATION_REQUEST", True),
        ("CHARGE_SUCCESS", True),
        ("CHARGE_REQUEST", True),
        ("CHARGE_FAILURE", False),
        ("CHARGE_ACTION_REQUIRED", False),
    ],
)
async def test_an_orders_transactions_tell_of_money_that_is_there_or_on_its_way(
    shop: Simulator, wire: Wire, type_: str, *, money: bool
) -> None:
    app = await shop.install(MANIFEST_URL)
    order = an_order(shop)
    report(shop, app, make(shop, app, order), type_, "psp-1", amount=40)
    make(shop, shop.create_staff("staff@example.com", permissions={"HANDLE_PAYMENTS"}), order)
    [first, second] = await wire.client.transactions_of(installed(app), order.id)
    assert (first.money, first.actor_app) == (money, app.id)
    assert (second.money, second.actor_app) == (False, None)
    seen = await wire.client.order(installed(app), order.id)
    assert seen is not None
    assert seen.transactions == (first, second)
    assert not seen.unexplained


async def test_money_that_no_transaction_explains_is_told(
    shop: Simulator, wire: Wire, installation: Installation
) -> None:
    paid = shop.create_order(email="a@example.com", amount=100, paid=True)
    seen = await wire.client.order(installation, paid.id)
    assert seen is not None
    assert (seen.unexplained, seen.transactions) == (True, ())


async def test_refunded_money_is_gone(shop: Simulator, wire: Wire, installation: Installation) -> None:
    order = an_order(shop)
    transaction = await made(wire, installation, order)
    await wire.client.report_event(installation, a_report(transaction))
    refund = a_report(transaction, EventType.REFUND_SUCCESS, psp_reference="refund-1")
    await wire.client.report_event(installation, refund)
    [found] = await wire.client.transactions_of(installation, order.id)
    assert not found.money


async def test_an_unknown_order_has_no_transactions(wire: Wire, installation: Installation) -> None:
    assert await wire.client.transactions_of(installation, "T3JkZXI6eA==") == ()


async def test_without_the_right_to_handle_payments_the_merchant_has_to_act(shop: Simulator, wire: Wire) -> None:
    app = await shop.install(MANIFEST_URL, ["MANAGE_ORDERS"])
    with pytest.raises(Misconfigured, match="HANDLE_PAYMENTS"):
        await wire.client.create_transaction(installed(app), an_order(shop).id, REFERENCE, "Vipps", "")


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Unavailable), (500, Unavailable), (503, Unavailable), (502, OutcomeUnknown)]
)
async def test_a_shop_that_is_away_is_told_from_one_whose_answer_is_lost(
    shop: Simulator, wire: Wire, installation: Installation, status: int, kind: type[Exception]
) -> None:
    transaction = await made(wire, installation, an_order(shop))
    shop.go_away(600, status)
    with pytest.raises(kind):
        await wire.client.report_event(installation, a_report(transaction))
    with pytest.raises(Unavailable):  # reading does nothing, whoever lost the answer
        await wire.client.transactions_of(installation, "T3JkZXI6eA==")


@pytest.mark.parametrize(
    "answer", [{"data": {}}, {"data": {"transactionCreate": None}}, {"data": {"transactionCreate": {"errors": []}}}, []]
)
async def test_an_answer_of_another_shape_is_no_transaction(installation: Installation, answer: object) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, json=answer))
    client = SaleorClient(httpx.AsyncClient(transport=transport))
    with pytest.raises(Unavailable):
        await client.create_transaction(installation, "order", REFERENCE, "Vipps", "")
