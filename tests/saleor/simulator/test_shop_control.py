"""A shop kept by the controls of a demonstration: goods, a purchase by checkout, and what can be looked at."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.saleor.simulator.server import create_app
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import payment_manifest


@pytest.fixture
async def http(shop: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(shop))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, status: int = 200, **body: Any) -> Any:
    response = await http.post(f"/simulator{path}", json=body)
    assert response.status_code == status, response.text
    return response.json()


async def get(http: httpx.AsyncClient, path: str) -> Any:
    response = await http.get(f"/simulator{path}")
    assert response.status_code == 200, response.text
    return response.json()


async def test_story_of_a_purchase(http: httpx.AsyncClient, shop: Simulator, double: AppDouble) -> None:
    double.manifest = payment_manifest()
    double.answers["transaction_initialize_session"] = {"result": "CHARGE_SUCCESS", "pspReference": "a"}
    await shop.install(MANIFEST_URL)
    customer = await post(http, "/customers")
    product = await post(http, "/products", name="Coffee", price="199", stock=2)
    method = await post(http, "/shipping-methods", price="49")
    await post(http, "/vouchers", code="TENTH", value="10")
    lines = [{"variant": product["variants"][0]["id"]}]
    checkout = await post(http, "/checkouts", customer=customer["id"], lines=lines, voucher_code="TENTH")
    assert (checkout["total"], checkout["shippingMethod"]) == ({"amount": 228.1, "currency": "NOK"}, method["name"])
    path = f"/checkouts/{checkout['id']}/complete"
    assert (await post(http, path, 400))["detail"]["code"] == "CHECKOUT_NOT_FULLY_PAID"
    await post(http, "/transactions", source=checkout["id"])
    assert (await get(http, "/checkouts"))[0]["chargeStatus"] == "FULL"
    order = await post(http, path)
    assert await post(http, path) == order
    assert (order["chargeStatus"], order["checkout"], order["origin"]) == ("FULL", checkout["id"], "CHECKOUT")
    seen = await get(http, f"/orders/{order['id']}")
    assert [event["type"] for event in seen["events"]] == ["PLACED", "CONFIRMED"]
    assert (await get(http, "/products"))[0]["variants"][0]["available"] == 1
    assert await get(http, "/checkouts") == []


async def test_goods_are_kept(http: httpx.AsyncClient, shop: Simulator) -> None:
    product = await post(http, "/products", name="Coffee", price="199")
    variant = f"/variants/{product['variants'][0]['id']}"
    assert (await post(http, f"{variant}/stock", stock=3))["variants"][0]["available"] == 3
    assert (await post(http, f"{variant}/price", price="249.50"))["variants"][0]["price"] == 249.5
    path = f"/products/{product['id']}"
    assert (await post(http, f"{path}/published", on=False, channel="norway"))["unpublishedIn"] == ["norway"]
    await post(http, f"{path}/purchasable", on=False)
    await post(http, f"{variant}/listed", on=False)
    (record,) = shop.products
    assert record.unavailable_in == record.variants[0].unlisted_in == set(shop.channels)


async def test_mistakes_are_explained(http: httpx.AsyncClient) -> None:
    product = await post(http, "/products", name="Coffee", price="199", stock=0)
    lines = [{"variant": product["variants"][0]["id"]}]
    answer = await post(http, "/checkouts", 400, lines=lines, email="a@example.com")
    assert answer["detail"]["code"] == "INSUFFICIENT_STOCK"
    await post(http, "/checkouts", 404, lines=[{"variant": product["id"]}], email="a@example.com")
    await post(http, "/vouchers", code="A", value="10")
    await post(http, "/vouchers", 400, code="A", value="10")
    assert (await http.get("/simulator/orders/unknown")).status_code == 404


async def test_customer_leaves(http: httpx.AsyncClient, shop: Simulator) -> None:
    customer = await post(http, "/customers")
    await post(http, f"/customers/{customer['id']}/delete")
    assert shop.users == []


async def test_page_shows_what_becomes_of_a_purchase(http: httpx.AsyncClient, shop: Simulator) -> None:
    product = shop.create_product(price=199, is_shipping_required=False)
    checkout = shop.buy(shop.create_customer(), [product])
    order = shop.create_order(email="a@example.com", lines=[product], external_reference="vr:1:2026-12", paid=True)
    shop.add_note(order, "Renewed by Vipps")
    page = (await http.get("/")).text
    for text in ("Open checkouts", "199.00 NOK", "vr:1:2026-12", "Renewed by Vipps", "FULL", "UNFULFILLED", "PLACED"):
        assert text in page, text
    assert checkout.email in page
