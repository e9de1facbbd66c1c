"""The simulated Dashboard's server side: its pages, and tokens for those staff who may have one."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.saleor.simulator.server import create_app
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest


@pytest.fixture
async def http(shop: Simulator, double: AppDouble) -> AsyncIterator[httpx.AsyncClient]:
    double.manifest = manifest() | {"appUrl": "https://recurring.example/app"}
    transport = httpx.ASGITransport(app=create_app(shop))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        yield client


async def test_an_app_with_pages_is_listed(http: httpx.AsyncClient, shop: Simulator) -> None:
    assert "No app with pages is installed" in (await http.get("/dashboard/")).text
    app = await shop.install(MANIFEST_URL)
    page = await http.get(f"/dashboard/extensions/app/{app.id}/accounts")
    assert page.status_code == 200
    assert page.headers["Referrer-Policy"] == "origin-when-cross-origin"
    assert app.name in page.text
    for file in ("dashboard.js", "dashboard.css"):
        assert (await http.get(f"/dashboard/files/{file}")).status_code == 200
    assert (await http.get("/dashboard/files/shop.html")).status_code == 404


async def test_a_token_is_for_one_of_the_staff_and_one_app(http: httpx.AsyncClient, shop: Simulator) -> None:
    app = await shop.install(MANIFEST_URL)
    await http.get("/dashboard/")
    wanted = {"app": app.id, "staff": "orders-only@example.com"}
    answer = (await http.post("/dashboard/token", json=wanted)).json()
    claims = shop.key.read_token(answer["token"])
    assert claims is not None
    assert (claims["type"], claims["app"], claims["user_permissions"]) == ("thirdparty", app.id, ["MANAGE_ORDERS"])
    assert claims["exp"] - claims["iat"] == answer["seconds"] == 300


async def test_strangers_get_no_token(http: httpx.AsyncClient, shop: Simulator) -> None:
    app = await shop.install(MANIFEST_URL)
    shop.create_customer("kari@example.com")
    for staff, wanted in (("kari@example.com", app.id), ("owner@example.com", "QXBwOjk5")):
        answer = await http.post("/dashboard/token", json={"staff": staff, "app": wanted})
        assert answer.status_code == 404


async def test_orders_and_customers_are_found_by_their_names(http: httpx.AsyncClient, shop: Simulator) -> None:
    kari = shop.create_customer("kari@example.com", "Kari", "<b>Nordmann")
    order = shop.create_order(kari, amount=249)
    for page in ("orders", f"orders/{order.id}", f"customers/{kari.id}"):
        text = (await http.get(f"/dashboard/parts/{page}")).text
        assert f"#{order.number}" in text, page
        assert "kari@example.com" in text, page
        assert "249.00 NOK" in text, page
    assert "Kari &lt;b&gt;Nordmann" in (await http.get("/dashboard/parts/customers")).text
    for page in ("orders/T3JkZXI6MQ==", "customers/VXNlcjo5OQ==", "products/UHJvZHVjdDo5OQ=="):
        assert (await http.get(f"/dashboard/parts/{page}")).status_code == 404


async def test_a_product_is_marked_by_hand(http: httpx.AsyncClient, shop: Simulator) -> None:
    product = shop.create_product("Coffee box", 199)
    address = f"/dashboard/parts/products/{product.id}"
    mark = {"key": "vipps-recurring.interval", "value": "MONTH:1"}
    assert (await http.post(f"{address}/metadata", data=mark)).status_code == 303
    assert product.metadata == {"vipps-recurring.interval": "MONTH:1"}
    assert "MONTH:1" in (await http.get(address)).text
    assert (await http.post(f"{address}/metadata", data=mark | {"value": " "})).status_code == 303
    assert product.metadata == {}
    assert "Coffee box" in (await http.get("/dashboard/parts/products")).text
