"""The shop over HTTP: Saleor's endpoints, the controls of a demonstration, and the page."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.server import create_app
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest, read_token

INSTALL = {"manifest_url": MANIFEST_URL}


@pytest.fixture
async def http(shop: Simulator, double: AppDouble) -> AsyncIterator[httpx.AsyncClient]:
    double.manifest = manifest("OrderCreated", "OrderMetadataUpdated", "AppDeleted")
    transport = httpx.ASGITransport(app=create_app(shop))
    async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, **body: Any) -> Any:
    response = await http.post(f"/simulator{path}", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_graphql_endpoint_answers_and_refuses(http: httpx.AsyncClient, shop: Simulator) -> None:
    app = await shop.install(MANIFEST_URL)
    headers = {"Authorization": f"Bearer {app.token}"}
    good = await http.post("/graphql/", json={"query": "{ app { id } }"}, headers=headers)
    assert (good.status_code, good.json()["data"]) == (200, {"app": {"id": app.id}})
    for content in (b"no json", b"[]", b'{"query": "{ nonsense }"}'):
        bad = await http.post("/graphql/", content=content)
        assert (bad.status_code, "errors" in bad.json()) == (400, True)


async def test_jwks_is_published(http: httpx.AsyncClient, shop: Simulator) -> None:
    assert (await http.get("/.well-known/jwks.json")).json() == shop.jwks()


async def test_story_of_an_order_by_the_controls(http: httpx.AsyncClient, double: AppDouble) -> None:
    app = await post(http, "/install", **INSTALL)
    assert (app["identifier"], app["active"]) == ("recurring.example", True)
    customer = await post(http, "/customers", email="kari@example.com")
    product = await post(
        http, "/products", name="Coffee", price="199", metadata={"vipps-recurring.interval": "MONTH:1"}
    )
    lines = [{"variant": product["variants"][0]["id"], "quantity": 2}]
    order = await post(http, "/orders", customer=customer["id"], lines=lines)
    assert (order["total"], order["userEmail"]) == ({"amount": 398.0, "currency": "NOK"}, "kari@example.com")
    await post(http, f"/orders/{order['id']}/metadata", metadata={"a": "1"})
    await post(http, "/webhooks/deliver")
    assert double.events == ["order_created", "order_metadata_updated"]
    deliveries = (await http.get("/simulator/deliveries")).json()
    assert [(d["event"], d["status"]) for d in deliveries] == [
        ("ORDER_CREATED", "success"),
        ("ORDER_METADATA_UPDATED", "success"),
    ]
    assert len(deliveries[0]["bodySha256"]) == 64
    again = await post(http, "/webhooks/replay", delivery=deliveries[0]["delivery"])
    assert (again["replayOf"], again["bodySha256"]) == (deliveries[0]["delivery"], deliveries[0]["bodySha256"])
    (seen,) = (await http.get("/simulator/orders")).json()
    assert seen["metadata"] == {"a": "1"}


async def test_order_can_be_charged_touched_and_cancelled(http: httpx.AsyncClient) -> None:
    order = await post(http, "/orders", email="a@example.com", amount="100.50", channel="finland")
    path = f"/orders/{order['id']}"
    assert (await post(http, f"{path}/charge", amount=50))["chargeStatus"] == "PARTIAL"
    assert (await post(http, f"{path}/charge"))["isPaid"]
    await post(http, f"{path}/touch")
    assert (await post(http, f"{path}/cancel"))["status"] == "CANCELED"


async def test_app_can_be_switched_off_and_removed(http: httpx.AsyncClient, double: AppDouble) -> None:
    await post(http, "/install", **INSTALL)
    assert not (await post(http, "/deactivate"))["active"]
    assert (await post(http, "/activate"))["active"]
    await post(http, "/uninstall")
    assert (await http.get("/simulator/apps")).json() == []
    await post(http, "/webhooks/deliver")
    assert double.events == ["app_deleted"]
    assert (await http.post("/simulator/uninstall", json={})).status_code == 404


async def test_refused_installation_says_why(http: httpx.AsyncClient, double: AppDouble) -> None:
    double.manifest = manifest(name="")
    response = await http.post("/simulator/install", json=INSTALL)
    assert response.status_code == 400
    problems = [{"field": "name", "code": "REQUIRED", "message": "Field required."}]
    assert response.json() == {"detail": {"message": "name: Field required.", "problems": problems}}


@pytest.mark.parametrize(
    ("kind", "type_", "staff"),
    [
        ("customer", "access", False),
        ("customer-refresh", "refresh", False),
        ("expired", "access", False),
        ("staff", "access", True),
        ("staff-refresh", "refresh", True),
        ("dashboard", "thirdparty", True),
    ],
)
async def test_tokens_are_handed_out(
    http: httpx.AsyncClient, shop: Simulator, kind: str, type_: str, staff: bool
) -> None:
    await post(http, "/install", **INSTALL)
    await post(http, "/customers")
    await post(http, "/staff", permissions=["MANAGE_ORDERS"])
    answer = await post(http, "/tokens", kind=kind)
    claims = read_token(answer["token"], shop.jwks())[1]
    assert (answer["kind"], claims["type"], claims["is_staff"]) == (kind, type_, staff)


async def test_faults_keys_and_clock_can_be_set(http: httpx.AsyncClient, shop: Simulator) -> None:
    await post(http, "/webhooks/faults", duplicate=True, events=["ORDER_CREATED"])
    assert shop.mischief == Mischief(duplicate=True, events=frozenset({"ORDER_CREATED"}))
    await post(http, "/webhooks/faults", drop=True, subjects=["T3JkZXI6MQ=="])
    assert shop.mischief == Mischief(drop=True, subjects=frozenset({"T3JkZXI6MQ=="}))
    before = shop.clock.now()
    assert (await post(http, "/keys/rotate"))["kid"] == shop.key.kid
    await post(http, "/clock", advance=60)
    assert (shop.clock.now() - before).total_seconds() == 60


async def test_shop_can_be_away_for_a_while_or_until_it_is_called_back(
    http: httpx.AsyncClient, shop: Simulator
) -> None:
    async def asked() -> list[int]:
        answers = [await http.post("/graphql/", json={"query": "{ shop { name } }"})]
        answers.append(await http.get("/.well-known/jwks.json"))
        return [answer.status_code for answer in answers]

    assert await post(http, "/away", seconds=60) == {"seconds": 60, "status": 503}
    assert (await http.get("/simulator/orders")).status_code == 200
    assert await asked() == [503, 503]
    shop.clock.advance(59)
    assert await asked() == [503, 503]
    shop.clock.advance(1)
    assert await asked() == [200, 200]
    await post(http, "/away", status=502)
    shop.clock.advance(1_000_000)
    assert await asked() == [502, 502]
    assert await post(http, "/back") == {"away": None}
    assert await asked() == [200, 200]


async def test_app_cannot_be_installed_while_the_shop_is_away(http: httpx.AsyncClient, double: AppDouble) -> None:
    await post(http, "/away")

    async def ask_back(_token: str) -> None:
        answer = await http.post("/graphql/", json={"query": "{ app { id } }"})
        double.register = (answer.status_code, {})

    double.while_registering = ask_back
    assert (await http.post("/simulator/install", json=INSTALL)).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/orders", {"email": "a@example.com"}, 400),
        ("/orders", {"email": "a@example.com", "amount": 1, "channel": "mars"}, 400),
        ("/orders", {"customer": "VXNlcjo5OQ==", "amount": 1}, 404),
        ("/orders", {"unknown": 1}, 422),
        ("/orders/T3JkZXI6MQ==/touch", {}, 404),
        ("/webhooks/replay", {"delivery": 1}, 404),
        ("/away", {"status": 200}, 422),
        ("/away", {"seconds": 0}, 422),
        ("/tokens", {"kind": "customer"}, 404),
    ],
)
async def test_impossible_wishes_are_refused(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int
) -> None:
    assert (await http.post(f"/simulator{path}", json=body)).status_code == status


async def test_page_lists_orders_and_deliveries_and_escapes_what_customers_wrote(
    http: httpx.AsyncClient, shop: Simulator
) -> None:
    app = await shop.install(MANIFEST_URL)
    order = shop.create_order(shop.create_customer(), amount=1, metadata={"k": "<script>alert(1)</script>"})
    shop.update_order_private_metadata(order, {"vipps-recurring.agreement": "agr_1"})
    shop.add_note(order, "Agreement <b>created</b>", app)
    await shop.deliver()
    page = (await http.get("/")).text
    for text in ("agr_1", "&lt;script&gt;", "Agreement &lt;b&gt;created&lt;/b&gt;", "ORDER_CREATED", "success"):
        assert text in page
    assert "<script>" not in page
