"""Payments by the controls of a demonstration: a storefront pays, staff refund, and everything can be looked at."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.saleor.simulator.server import create_app
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import payment_manifest


@pytest.fixture
async def http(shop: Simulator, double: AppDouble) -> AsyncIterator[httpx.AsyncClient]:
    double.manifest = payment_manifest()
    await shop.install(MANIFEST_URL)
    transport = httpx.ASGITransport(app=create_app(shop))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example/simulator") as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, **body: Any) -> Any:
    response = await http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def get(http: httpx.AsyncClient, path: str) -> Any:
    response = await http.get(path)
    assert response.status_code == 200, response.text
    return response.json()


async def test_story_of_a_payment(http: httpx.AsyncClient, shop: Simulator, double: AppDouble) -> None:
    customer, _staff = shop.create_customer(), shop.create_staff()
    order = shop.create_order(customer, amount=248)
    double.answers |= {
        "payment_gateway_initialize_session": {"data": {"brand": "Vipps"}},
        "transaction_initialize_session": {"result": "CHARGE_ACTION_REQUIRED", "data": {"url": "https://pay.example"}},
        "transaction_process_session": {"result": "CHARGE_SUCCESS", "pspReference": "c"},
        "transaction_refund_requested": {"result": "REFUND_SUCCESS", "pspReference": "r"},
    }
    (configuration,) = await post(http, "/gateways", source=order.id)
    assert configuration == {"id": "recurring.example", "data": {"brand": "Vipps"}, "error": None}
    begun = await post(http, "/transactions", source=order.id, data={"flow": "x"}, idempotency_key="k")
    assert (begun["event"]["type"], begun["data"]) == ("CHARGE_ACTION_REQUIRED", {"url": "https://pay.example"})
    assert double.bodies[-1]["issuingPrincipal"] == {"__typename": "User"}
    path = f"/transactions/{begun['transaction']['id']}"
    assert (await post(http, f"{path}/process", data={"step": 2}))["transaction"]["sums"]["charged"] == 248.0
    await post(http, f"{path}/actions", action="REFUND", amount="48")
    await post(http, "/webhooks/deliver")
    (seen,) = await get(http, f"/orders/{order.id}/transactions")
    assert seen == await get(http, path)
    assert await get(http, "/transactions") == [seen]
    assert (seen["sums"]["charged"], seen["sums"]["refunded"]) == (200.0, 48.0)
    assert [event["type"] for event in reversed(seen["events"])] == [
        "CHARGE_REQUEST",
        "CHARGE_ACTION_REQUIRED",
        "CHARGE_SUCCESS",
        "REFUND_REQUEST",
        "REFUND_SUCCESS",
    ]


async def test_answers_may_be_lost(http: httpx.AsyncClient, shop: Simulator, double: AppDouble) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    double.answers["transaction_initialize_session"] = {"result": "CHARGE_SUCCESS", "pspReference": "c"}
    await post(http, "/webhooks/faults", lose_answers=True, events=["TRANSACTION_INITIALIZE_SESSION"])
    lost = await post(http, "/transactions", source=order.id, idempotency_key="k")
    await post(http, "/webhooks/faults")
    heard = await post(http, "/transactions", source=order.id, idempotency_key="k")
    assert (lost["event"]["type"], heard["event"]["type"]) == ("CHARGE_FAILURE", "CHARGE_SUCCESS")
    assert double.bodies[0]["idempotencyKey"] == double.bodies[1]["idempotencyKey"] == "k"


async def test_methods_and_problems_can_be_looked_at(
    http: httpx.AsyncClient, shop: Simulator, double: AppDouble
) -> None:
    customer = shop.create_customer()
    double.answers["list_stored_payment_methods"] = {"paymentMethods": [{"id": "agr_1", "type": "agreement"}]}
    double.answers["stored_payment_method_delete_requested"] = {"result": "SUCCESSFULLY_DELETED"}
    (method,) = await get(http, f"/customers/{customer.id}/payment-methods")
    assert method["paymentMethodId"] == "agr_1"
    deleted = await post(http, f"/customers/{customer.id}/payment-methods/delete", id=method["id"])
    assert deleted == {"result": "SUCCESSFULLY_DELETED", "error": None}
    shop.problems.report(shop.apps[0], "Vipps says no", "vipps-auth", 1, 60)
    (problem,) = await get(http, "/problems")
    assert (problem["key"], problem["isCritical"]) == ("vipps-auth", True)


async def test_mistakes_are_refused(http: httpx.AsyncClient, shop: Simulator) -> None:
    order = shop.create_order(email="a@example.com", amount=1)
    customer = shop.create_customer()
    wrong: list[tuple[str, dict[str, Any], int]] = [
        ("/transactions", {"source": "unknown"}, 404),
        ("/transactions", {"source": order.id, "gateway": "unknown"}, 400),
        ("/transactions", {"source": order.id, "idempotency_key": ""}, 400),
        ("/transactions/unknown/process", {}, 404),
        (f"/customers/{order.id}/payment-methods/delete", {"id": "x"}, 404),
        (f"/customers/{customer.id}/payment-methods/delete", {"id": "x", "channel": "mars"}, 400),
    ]
    for path, body, status in wrong:
        assert (await http.post(path, json=body)).status_code == status, path
    assert (await http.get("/orders/unknown/transactions")).status_code == 404
    shop.delete_app(shop.apps[0])
    assert (await http.post("/transactions", json={"source": order.id})).status_code == 404
