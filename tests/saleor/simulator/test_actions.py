"""Charges, refunds and cancellations that staff ask for: asked at once, answered when deliveries are sent."""

from typing import Any

import httpx
import pytest

from app.saleor.simulator.deliveries import Mischief, Status
from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest
from tests.saleor.simulator.payments import (
    ACTION,
    ask,
    error_codes,
    make,
    payload,
    payment_manifest,
    report,
    sums,
)

Shop = Simulator
REFUND, CHARGE, CANCEL = (f"transaction_{kind}_requested" for kind in ("refund", "charge", "cancelation"))


@pytest.fixture
async def app(shop: Shop, double: AppDouble) -> App:
    double.manifest = payment_manifest()
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def staff(shop: Shop) -> User:
    return shop.create_staff(permissions={"HANDLE_PAYMENTS"})


@pytest.fixture
def order(shop: Shop) -> Order:
    return shop.create_order(email="a@example.com", amount=248)


@pytest.fixture
def charged(shop: Shop, app: App, order: Order) -> TransactionItem:
    transaction = make(shop, app, order, availableActions=["REFUND"])
    report(shop, app, transaction, "CHARGE_SUCCESS", "c", amount=248)
    return transaction


@pytest.fixture
def authorized(shop: Shop, app: App, order: Order) -> TransactionItem:
    transaction = make(shop, app, order, availableActions=["CHARGE", "CANCEL"])
    report(shop, app, transaction, "AUTHORIZATION_SUCCESS", "a", amount=248)
    return transaction


def want(shop: Shop, by: User | App, transaction: TransactionItem, action: str, amount: Any = None) -> Any:
    return payload(ask(shop, ACTION, by, id=transaction.id, action=action, amount=amount))


def told(transaction: TransactionItem) -> list[tuple[str, str | None, int, bool]]:
    return [(e.type, e.psp_reference, int(e.amount), e.counts) for e in transaction.events[1:]]


async def test_mutation_returns_before_the_app_hears_of_it(
    shop: Shop, double: AppDouble, app: App, staff: User, charged: TransactionItem
) -> None:
    assert want(shop, staff, charged, "REFUND", 50)["errors"] == []
    assert told(charged) == [("REFUND_REQUEST", None, 50, False)]
    assert (double.webhooks, sums(charged)) == ([], {"charged": 248})
    await shop.deliver()
    (body,) = double.bodies
    assert double.events == [REFUND]
    assert body["issuingPrincipal"] is None
    assert body["recipient"] == {"id": app.id}
    assert body["action"] == {"amount": 50.0, "currency": "NOK", "actionType": "REFUND"}
    newest = body["transaction"]["events"][0]
    assert newest == {"type": "REFUND_REQUEST", "idempotencyKey": charged.events[1].idempotency_key}


async def test_reference_alone_promises_news(
    shop: Shop, double: AppDouble, app: App, staff: User, charged: TransactionItem
) -> None:
    double.answers[REFUND] = {"pspReference": "r", "actions": []}
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert told(charged) == [("REFUND_REQUEST", "r", 50, True)]
    assert sums(charged) == {"charged": 198, "refund_pending": 50}
    assert charged.actions == []
    shop.clock.advance(60)
    report(shop, app, charged, "REFUND_SUCCESS", "r", amount=50)
    assert sums(charged) == {"charged": 198, "refunded": 50}


async def test_result_is_final(
    shop: Shop, double: AppDouble, staff: User, authorized: TransactionItem, order: Order
) -> None:
    double.answers[CHARGE] = {"result": "CHARGE_SUCCESS", "pspReference": "c", "actions": ["REFUND"]}
    want(shop, staff, authorized, "CHARGE")
    await shop.deliver()
    assert told(authorized) == [("CHARGE_REQUEST", "c", 248, True), ("CHARGE_SUCCESS", "c", 248, True)]
    assert (sums(authorized), authorized.actions) == ({"charged": 248}, ["REFUND"])
    assert order.charge_status == "FULL"


async def test_cancellation(shop: Shop, double: AppDouble, staff: User, authorized: TransactionItem) -> None:
    double.answers[CANCEL] = {"result": "CANCEL_SUCCESS", "pspReference": "x"}
    want(shop, staff, authorized, "CANCEL")
    await shop.deliver()
    assert sums(authorized) == {"canceled": 248}


async def test_failure_needs_no_reference(shop: Shop, double: AppDouble, staff: User, charged: TransactionItem) -> None:
    double.answers[REFUND] = {"result": "REFUND_FAILURE", "message": "too late"}
    want(shop, staff, charged, "REFUND")
    await shop.deliver()
    assert charged.events[-1].message == "too late"
    assert sums(charged) == {"charged": 248}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "Missing value for field: pspReference"),
        ({"pspReference": "r", "result": "REFUND_REQUEST"}, "Missing or invalid value for `result`: REFUND_REQUEST."),
        ({"pspReference": "r", "result": "CHARGE_SUCCESS"}, "Missing or invalid value for `result`: CHARGE_SUCCESS."),
        ({"result": "REFUND_SUCCESS"}, "Missing value for field: pspReference"),
        ([], "Failed to delivery request."),
    ],
)
async def test_invalid_answer_is_an_uncounted_failure(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem, answer: Any, message: str
) -> None:
    double.answers[REFUND] = answer
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert told(charged) == [("REFUND_REQUEST", None, 50, False), ("REFUND_FAILURE", None, 50, False)]
    assert charged.events[-1].message.startswith(message)
    assert sums(charged) == {"charged": 248}


async def test_server_errors_are_tried_again_with_identical_bytes(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    double.answers[REFUND] = {"result": "REFUND_SUCCESS", "pspReference": "r"}
    double.statuses = [500, 503]
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert len(charged.events) == 2
    for wait in (10, 20):
        shop.clock.advance(wait)
        await shop.deliver()
    assert len({request.content for request in double.webhooks}) == 1
    assert len(double.webhooks) == 3
    assert sums(charged) == {"charged": 198, "refunded": 50}


async def test_after_six_server_errors_the_request_has_failed(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    double.statuses = [500] * 7
    want(shop, staff, charged, "REFUND", 50)
    for wait in (0, 10, 20, 40, 80, 160, 320):
        shop.clock.advance(wait)
        await shop.deliver()
    assert len(double.webhooks) == 6
    assert charged.events[-1].message == "Failed to delivery request."
    assert shop.deliveries[-1].status is Status.FAILED


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("slow"), httpx.ConnectError("gone")])
async def test_silence_is_not_tried_again(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem, failure: Exception
) -> None:
    double.statuses = [failure]
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    shop.clock.advance(10_000)
    await shop.deliver()
    assert len(double.webhooks) == 1
    assert told(charged)[-1] == ("REFUND_FAILURE", None, 50, False)


async def test_refusal_with_json_is_an_answer(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    double.answers[REFUND] = {"result": "REFUND_SUCCESS", "pspReference": "r"}
    double.statuses = [400]
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert sums(charged) == {"charged": 198, "refunded": 50}


async def test_answer_may_be_lost_after_the_app_has_worked(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    double.answers[REFUND] = {"result": "REFUND_SUCCESS", "pspReference": "r"}
    shop.mischief = Mischief(lose_answers=True, bad_gateway=True)
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    shop.mischief = Mischief()
    shop.clock.advance(10)
    await shop.deliver()
    assert double.bodies[0] == double.bodies[1]
    assert sums(charged) == {"charged": 198, "refunded": 50}


async def test_request_may_be_lost_on_the_way(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    shop.mischief = Mischief(drop=True)
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert double.webhooks == []
    assert told(charged)[-1] == ("REFUND_FAILURE", None, 50, False)


async def test_amounts_are_capped(
    shop: Shop, staff: User, charged: TransactionItem, authorized: TransactionItem
) -> None:
    want(shop, staff, charged, "REFUND", 1000)
    want(shop, staff, charged, "CHARGE", 1000)  # the list of actions is for buttons only
    want(shop, staff, authorized, "CHARGE", 1000)
    want(shop, staff, authorized, "CANCEL", 1000)
    assert [int(e.amount) for e in charged.events[1:]] == [248, 0]
    assert [int(e.amount) for e in authorized.events[1:]] == [248, 248]


async def test_who_may_ask(shop: Shop, app: App, charged: TransactionItem) -> None:
    powerless = shop.create_staff("other@example.com", permissions={"MANAGE_ORDERS"})
    for by in (powerless, None, shop.create_customer()):
        assert error_codes(ask(shop, ACTION, by, id=charged.id, action="REFUND")) == ["PermissionDenied"]
    assert want(shop, app, charged, "REFUND", 1)["errors"] == []
    assert [(e.type, e.by) for e in charged.events[1:]] == [("REFUND_REQUEST", app)]


async def test_reason_is_the_message_of_the_request(shop: Shop, staff: User, charged: TransactionItem) -> None:
    if "refundReason" not in shop.schema.type_map["Mutation"].fields["transactionRequestAction"].args:  # type: ignore[attr-defined]
        pytest.skip("the complete schema is not at hand")
    query = """mutation($id: ID!, $action: TransactionActionEnum!) {
      transactionRequestAction(id: $id, actionType: $action, refundReason: "broken") { errors { field code } } }"""
    assert payload(ask(shop, query, staff, id=charged.id, action="REFUND")) == {"errors": []}
    assert charged.events[-1].message == "broken"
    wrong = payload(ask(shop, query, staff, id=charged.id, action="CHARGE"))
    assert wrong == {"errors": [{"field": "refundReason", "code": "INVALID"}]}


# Nobody to ask


async def test_without_any_app_for_the_action_the_mutation_fails(shop: Shop, double: AppDouble, staff: User) -> None:
    double.manifest = manifest("OrderPaid")
    app = await shop.install(MANIFEST_URL)
    transaction = make(shop, app, shop.create_order(email="a@example.com", amount=1))
    wanted = want(shop, staff, transaction, "REFUND")
    assert wanted["errors"][0]["code"] == "MISSING_TRANSACTION_ACTION_REQUEST_WEBHOOK"
    assert [e.type for e in transaction.events] == ["REFUND_REQUEST", "REFUND_FAILURE"]


@pytest.mark.usefixtures("app")
async def test_a_transaction_without_an_app_fails(shop: Shop, double: AppDouble, staff: User, order: Order) -> None:
    nobodys = shop.transactions.add(order)
    want(shop, staff, nobodys, "REFUND")
    assert nobodys.events[-1].message.endswith("not attached to any app.")
    double.manifest = manifest("OrderPaid", id="other.example")
    other = await shop.install(MANIFEST_URL)
    without = make(shop, other, order)
    want(shop, staff, without, "REFUND")
    assert without.events[-1].message == "Cannot find a webhook that can process the action."


async def test_a_new_installation_is_asked_about_old_transactions(
    shop: Shop, double: AppDouble, app: App, staff: User, charged: TransactionItem
) -> None:
    shop.delete_app(app)
    again = await shop.install(MANIFEST_URL)
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert double.bodies[-1]["recipient"] == {"id": again.id}


async def test_an_app_that_is_switched_off_before_delivery_hears_nothing(
    shop: Shop, double: AppDouble, app: App, staff: User, charged: TransactionItem
) -> None:
    want(shop, staff, charged, "REFUND", 50)
    shop.deactivate_app(app)
    await shop.deliver()
    assert double.webhooks == []
    assert told(charged) == [("REFUND_REQUEST", None, 50, False)]


async def test_a_duplicate_reaches_the_app_but_only_one_answer_counts(
    shop: Shop, double: AppDouble, staff: User, charged: TransactionItem
) -> None:
    double.answers[REFUND] = {"result": "REFUND_SUCCESS", "pspReference": "r"}
    shop.mischief = Mischief(duplicate=True)
    want(shop, staff, charged, "REFUND", 50)
    await shop.deliver()
    assert double.bodies[0] == double.bodies[1]
    assert told(charged) == [("REFUND_REQUEST", "r", 50, True), ("REFUND_SUCCESS", "r", 50, True)]
