"""Answers to payment sessions: which hold, and what becomes of those that do not."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.saleor.simulator.deliveries import Status
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import OtherPaymentMethodDetails
from tests.saleor.conftest import START
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import (
    begin,
    begin_with,
    events_of,
    payment_manifest,
    sums,
)

Shop = Simulator
INIT = "transaction_initialize_session"
UNDELIVERED = "Failed to delivery request."


@pytest.fixture
async def app(shop: Shop, double: AppDouble) -> App:
    double.manifest = payment_manifest()
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def order(shop: Shop) -> Order:
    return shop.create_order(email="a@example.com", amount=248)


# Answers that hold


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("result", "expected", "added"),
    [
        ("CHARGE_SUCCESS", {"charged": 248}, [("CHARGE_SUCCESS", "p", 248, True)]),
        ("CHARGE_REQUEST", {"charge_pending": 248}, []),
        ("CHARGE_ACTION_REQUIRED", {}, [("CHARGE_ACTION_REQUIRED", "p", 248, True)]),
        ("CHARGE_FAILURE", {}, [("CHARGE_FAILURE", "p", 248, True)]),
        ("AUTHORIZATION_SUCCESS", {"authorized": 248}, [("AUTHORIZATION_SUCCESS", "p", 248, True)]),
        ("AUTHORIZATION_REQUEST", {"authorize_pending": 248}, []),
        ("AUTHORIZATION_ACTION_REQUIRED", {}, [("AUTHORIZATION_ACTION_REQUIRED", "p", 248, True)]),
        ("AUTHORIZATION_FAILURE", {}, [("AUTHORIZATION_FAILURE", "p", 248, True)]),
        ("CANCEL_SUCCESS", {"canceled": 248}, [("CANCEL_SUCCESS", "p", 248, True)]),
    ],
)
async def test_results(
    shop: Shop,
    double: AppDouble,
    order: Order,
    result: str,
    expected: dict[str, int],
    added: list[tuple[str, str, int, bool]],
) -> None:
    answer = {"result": result, "pspReference": "p", "actions": ["REFUND", "DANCE"]}
    transaction = await begin_with(shop, double, order, answer)
    asked = result.endswith("_REQUEST")
    request = (result if asked else "CHARGE_REQUEST", "p", 248, asked)
    assert events_of(transaction) == [request, *added]
    assert sums(transaction) == expected
    assert transaction.psp_reference == "p"
    takes_actions = result.endswith(("_SUCCESS", "_REQUEST"))
    assert transaction.actions == (["REFUND"] if takes_actions else [])


@pytest.mark.usefixtures("app")
async def test_details_of_an_answer_are_kept(shop: Shop, double: AppDouble, order: Order) -> None:
    answer = {
        "result": "CHARGE_SUCCESS",
        "pspReference": "p",
        "amount": "48.5",
        "time": "2026-11-22T04:00:00Z",
        "externalUrl": "https://portal.example/p",
        "message": "x" * 600,
        "paymentMethodDetails": {"type": "OTHER", "name": "Vipps"},
    }
    transaction = await begin_with(shop, double, order, answer)
    event = transaction.events[-1]
    assert (event.amount, event.at.isoformat()) == (Decimal("48.5"), "2026-11-22T04:00:00+00:00")
    assert (event.external_url, len(event.message)) == ("https://portal.example/p", 512)
    assert transaction.method == OtherPaymentMethodDetails("Vipps")
    assert order.charge_status == "PARTIAL"


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("amount", [0, None, "0.00"])
async def test_no_amount_means_the_requested_one(shop: Shop, double: AppDouble, order: Order, amount: Any) -> None:
    answer = {"result": "CHARGE_SUCCESS", "pspReference": "p", "amount": amount}
    assert sums(await begin_with(shop, double, order, answer)) == {"charged": 248}


# Answers that do not hold


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "Missing or invalid value for `result`: None. Possible values: AUTHORIZATION_SUCCESS, "),
        ({"result": None, "pspReference": "p"}, "Missing or invalid value for `result`: None."),
        ({"result": "charge_success", "pspReference": "p"}, "Missing or invalid value for `result`: charge_success."),
        ({"result": "REFUND_SUCCESS", "pspReference": "p"}, "Missing or invalid value for `result`: REFUND_SUCCESS."),
        ({"result": "CHARGE_SUCCESS"}, "Missing value for field: pspReference"),
        ({"result": "CHARGE_REQUEST", "pspReference": None}, "Missing value for field: pspReference"),
        ({"result": "CHARGE_SUCCESS", "pspReference": 7}, "Incorrect value (7) for field: pspReference"),
        ({"result": "CHARGE_SUCCESS", "pspReference": "p", "amount": "ten"}, "Incorrect value (ten)"),
        ({"result": "CHARGE_SUCCESS", "pspReference": "p", "time": "soon"}, "Incorrect value (soon)"),
        ({"result": "CHARGE_SUCCESS", "pspReference": "p", "externalUrl": "x"}, "Incorrect value (x)"),
        ({"result": "CHARGE_SUCCESS", "pspReference": "p", "actions": "REFUND"}, "Incorrect value (REFUND)"),
        (
            {"result": "CHARGE_SUCCESS", "pspReference": "p", "paymentMethodDetails": {"type": "VIPPS", "name": "V"}},
            "Incorrect value",
        ),
        ([], UNDELIVERED),
    ],
)
async def test_invalid_answer_is_an_uncounted_failure(
    shop: Shop, double: AppDouble, order: Order, answer: Any, message: str
) -> None:
    transaction = await begin_with(shop, double, order, answer)
    assert events_of(transaction) == [("CHARGE_REQUEST", None, 248, False), ("CHARGE_FAILURE", None, 248, False)]
    assert transaction.events[-1].message.startswith(message)
    assert sums(transaction) == {}


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("failure", [500, 503, 400, 302, httpx.ReadTimeout("slow"), httpx.ConnectError("gone")])
async def test_there_is_one_attempt_and_only_success_counts(
    shop: Shop, double: AppDouble, order: Order, failure: int | Exception
) -> None:
    double.statuses = [failure]
    answer = {"result": "CHARGE_SUCCESS", "pspReference": "p", "data": {"lost": True}}
    double.answers[INIT] = answer
    begun = await begin(shop, order)
    assert (begun["data"], begun["errors"]) == (None, [])
    assert begun["transactionEvent"] == {
        "type": "CHARGE_FAILURE",
        "pspReference": "",
        "message": UNDELIVERED,
        "amount": {"amount": 248.0},
    }
    shop.clock.advance(10_000)
    await shop.deliver()
    assert len(double.webhooks) == 1
    assert shop.deliveries[-1].status is Status.FAILED


async def test_before_3_23_a_cancellation_is_no_result(double: AppDouble, key: SigningKey) -> None:
    shop = Simulator(version="3.22", start=START, clients=double.client, key=key)
    double.manifest = payment_manifest()
    await shop.install(MANIFEST_URL)
    order = shop.create_order(email="a@example.com", amount=1)
    transaction = await begin_with(shop, double, order, {"result": "CANCEL_SUCCESS"})
    assert transaction.events[-1].message.startswith("Missing or invalid value for `result`: CANCEL_SUCCESS")
