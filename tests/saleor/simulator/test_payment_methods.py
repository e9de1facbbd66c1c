"""Stored payment methods: who sees them, how long they are remembered, and how they are deleted."""

from typing import Any

import pytest

from app.saleor.simulator.models import App, User
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import ask_app, error_codes, make, payload, payment_manifest, report

Shop = Simulator
LIST, DELETE = "list_stored_payment_methods", "stored_payment_method_delete_requested"

ASK = """{ me { storedPaymentMethods(channel: "norway") { id paymentMethodId type name data supportedPaymentFlows
  gateway { id name currencies } creditCardInfo { brand lastDigits expMonth expYear firstDigits } } } }"""
REMOVE = """mutation($id: ID!, $channel: String!) { storedPaymentMethodRequestDelete(id: $id, channel: $channel) {
  result errors { field code message } } }"""
AGREEMENT = {"id": "agr_1", "type": "Vipps agreement", "supportedPaymentFlows": ["INTERACTIVE"], "name": "Coffee"}


@pytest.fixture
async def app(shop: Shop, double: AppDouble) -> App:
    double.manifest = payment_manifest()
    double.answers[LIST] = {"paymentMethods": [AGREEMENT]}
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def customer(shop: Shop) -> User:
    return shop.create_customer()


async def listed(shop: Shop, customer: User) -> Any:
    return payload(await ask_app(shop, ASK, customer))["storedPaymentMethods"]


async def test_owner_sees_methods_with_wrapped_ids(shop: Shop, double: AppDouble, app: App, customer: User) -> None:
    assert await listed(shop, customer) == [
        {
            "id": f"app:{app.identifier}:agr_1",
            "paymentMethodId": "agr_1",
            "type": "Vipps agreement",
            "name": "Coffee",
            "data": None,
            "supportedPaymentFlows": ["INTERACTIVE"],
            "gateway": {"id": app.identifier, "name": app.name, "currencies": ["NOK"]},
            "creditCardInfo": None,
        }
    ]
    assert double.bodies[0]["user"] == {"id": customer.id}
    assert double.bodies[0]["channel"] == {"slug": "norway"}
    assert double.bodies[0]["issuingPrincipal"] == {"__typename": "User"}


@pytest.mark.usefixtures("app")
async def test_what_is_no_method_is_skipped_and_an_incomplete_card_dropped(
    shop: Shop, double: AppDouble, customer: User
) -> None:
    card = {"brand": "visa", "lastDigits": "1111", "expMonth": 1, "expYear": 2030}
    double.answers[LIST] = {
        "paymentMethods": [
            {"id": 7, "type": "x"},
            {"id": "no type"},
            "nonsense",
            {"id": "a", "type": "x", "supportedPaymentFlows": ["OFFLINE"]},
            {"id": "b", "type": "card", "creditCardInfo": card},
            {"id": "c", "type": "card", "creditCardInfo": card | {"expYear": None}},
        ]
    }
    found = await listed(shop, customer)
    assert [(m["paymentMethodId"], m["creditCardInfo"]) for m in found] == [
        ("b", card | {"firstDigits": None}),
        ("c", None),
    ]


async def test_list_is_remembered_for_five_minutes_and_silence_for_a_second(
    shop: Shop, double: AppDouble, app: App, customer: User
) -> None:
    await listed(shop, customer)
    shop.clock.advance(299)
    await listed(shop, customer)
    assert len(double.webhooks) == 1
    shop.clock.advance(1)
    double.statuses = [500]
    assert await listed(shop, customer) == []
    assert await listed(shop, customer) == []
    assert len(double.webhooks) == 2
    shop.clock.advance(1)
    assert len(await listed(shop, customer)) == 1
    order = shop.create_order(customer, amount=1)
    report(shop, app, make(shop, app, order), "CHARGE_SUCCESS", "c", amount=1)
    await listed(shop, customer)
    assert len(double.webhooks) == 4


@pytest.mark.usefixtures("app")
async def test_each_customer_has_their_own_list(shop: Shop, double: AppDouble, customer: User) -> None:
    await listed(shop, customer)
    other = shop.create_customer("other@example.com")
    await listed(shop, other)
    assert [body["user"]["id"] for body in double.bodies] == [customer.id, other.id]
    assert payload(await ask_app(shop, ASK)) is None


async def test_app_hears_its_own_id_and_the_list_is_forgotten(
    shop: Shop, double: AppDouble, app: App, customer: User
) -> None:
    (method,) = await listed(shop, customer)
    double.answers[DELETE] = {"result": "SUCCESSFULLY_DELETED"}
    double.answers[LIST] = {"paymentMethods": []}
    removed = payload(await ask_app(shop, REMOVE, customer, id=method["id"], channel="norway"))
    assert removed == {"result": "SUCCESSFULLY_DELETED", "errors": []}
    assert double.bodies[-1] == {
        "issuingPrincipal": {"__typename": "User"},
        "recipient": {"id": app.id},
        "user": {"id": customer.id},
        "channel": {"slug": "norway"},
        "paymentMethodId": "agr_1",
    }
    assert await listed(shop, customer) == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("answer", "status", "result"),
    [
        ({"result": "FAILED_TO_DELETE", "error": "still owed"}, 200, "FAILED_TO_DELETE"),
        ({"result": "deleted"}, 200, "FAILED_TO_DELETE"),
        ({}, 200, "FAILED_TO_DELETE"),
        ({"result": "SUCCESSFULLY_DELETED"}, 500, "FAILED_TO_DELIVER"),
    ],
)
async def test_deletion_may_fail(
    shop: Shop, double: AppDouble, app: App, customer: User, answer: Any, status: int, result: str
) -> None:
    double.answers[DELETE], double.statuses = answer, [status]
    removed = payload(await ask_app(shop, REMOVE, customer, id=f"app:{app.identifier}:agr_1", channel="norway"))
    assert removed["result"] == result
    assert [error["code"] for error in removed["errors"]] == ["GATEWAY_ERROR"]


@pytest.mark.usefixtures("app")
async def test_deletion_is_for_users_and_needs_an_app(shop: Shop, double: AppDouble, customer: User) -> None:
    assert error_codes(await ask_app(shop, REMOVE, id="agr_1", channel="norway")) == ["PermissionDenied"]
    bare = payload(await ask_app(shop, REMOVE, customer, id="agr_1", channel="norway"))
    assert bare["result"] == "FAILED_TO_DELIVER"
    assert double.webhooks == []
