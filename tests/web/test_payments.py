"""Saleor's payment webhooks over HTTP: believed only when signed and meant for us, and always answered readably."""

import json
from typing import Any

import httpx
import pytest

from app.saleor.manifest import event_names, synchronous_events
from app.saleor.simulator.answers import read_action, read_session
from app.saleor.simulator.keys import SigningKey
from app.web.payments import ANSWERS
from tests.usecases.buying import Purchase, a_customer, a_customers_cart
from tests.usecases.steps import raw
from tests.web.helpers import nothing_happens, outside
from tests.world import SHOP, World

SESSIONS = ("transaction-initialize-session", "transaction-process-session")
ACTIONS = {
    "transaction-charge-requested": "CHARGE",
    "transaction-refund-requested": "REFUND",
    "transaction-cancelation-requested": "CANCEL",
}
OTHERS = (
    "payment-gateway-initialize-session",
    "list-stored-payment-methods",
    "stored-payment-method-delete-requested",
)


async def send(
    world: World, path: str, fields: dict[str, Any], *, key: SigningKey | None = None, recipient: str | None = None
) -> httpx.Response:
    [app] = world.saleor.apps
    body = json.dumps({"recipient": {"id": recipient or app.id}, "version": "3.23.28"} | fields).encode()
    headers = {
        "Saleor-Event": path.replace("-", "_"),
        "Saleor-Api-Url": SHOP,
        "Saleor-Signature": (key or world.saleor.key).sign_detached(body),
    }
    return await outside(world).post(f"/api/webhooks/saleor/{path}", content=body, headers=headers)


def action(amount: Any = 199.0, kind: str = "CHARGE", currency: str = "NOK") -> dict[str, Any]:
    return {"action": {"amount": amount, "currency": currency, "actionType": kind}, "transaction": {"id": "VHI6MQ=="}}


def test_every_synchronous_event_has_its_answer() -> None:
    assert set(ANSWERS) == set(synchronous_events())
    assert {*SESSIONS, *ACTIONS, *OTHERS} == {path for path, event in event_names().items() if event in ANSWERS}


@pytest.mark.parametrize("path", [*SESSIONS, *ACTIONS, *OTHERS])
async def test_nobody_else_is_believed(one_world: World, path: str) -> None:
    buying = a_customers_cart(one_world)
    await buying.buy()
    fields = action(50.0, ACTIONS.get(path, "CHARGE")) | {"transaction": {"id": buying.transaction.id}}
    fields |= {"user": {"id": a_customer(one_world).id}, "channel": {"slug": "norway"}}
    fields |= {"paymentMethodId": buying.agreement_id}
    async with nothing_happens(one_world):
        forged = await send(one_world, path, fields, key=SigningKey())
        assert forged.status_code in {401, 503}
        foreign = await send(one_world, path, fields, recipient="QXBwOjk5")
        assert foreign.status_code == 403
        for answer in (forged, foreign):
            assert answer.json()["success"] is False


@pytest.mark.parametrize("path", SESSIONS)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"action": None, "transaction": None, "sourceObject": None},
        action("much"),
        action(199.999),
        action(1e300),
        action(currency="SEK"),
        action(kind="REFUND"),
        action() | {"sourceObject": {"__typename": "Checkout", "id": "Q2hlY2tvdXQ6MQ=="}},
        action() | {"sourceObject": [], "data": [1, 2], "idempotencyKey": 7},
    ],
)
async def test_a_session_that_cannot_be_read_is_a_failure(one_world: World, path: str, fields: dict[str, Any]) -> None:
    answer = await send(one_world, path, fields)
    assert answer.status_code == 200
    read = read_session(answer.json(), (3, 23))
    assert read.result == "CHARGE_FAILURE"
    assert read.message
    assert await raw(one_world, "payment_session") == []


@pytest.mark.parametrize(("path", "kind"), ACTIONS.items())
@pytest.mark.parametrize("broken", [True, False])
async def test_a_request_that_cannot_be_met_is_a_failure(one_world: World, path: str, kind: str, broken: bool) -> None:
    fields = {} if broken else action(kind=kind)
    answer = await send(one_world, path, fields)
    assert answer.status_code == 200
    assert read_action(answer.json(), kind, (3, 23)).result == f"{kind}_FAILURE"


async def test_a_mistake_of_ours_is_a_failure_that_is_told(one_world: World) -> None:
    """Here the database is gone while the shopper pays."""
    world = one_world
    buying = a_customers_cart(world)
    await buying.begin()
    async with world.context.store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE payment_session")
    again = await buying.begin(idempotency_key="another")
    assert again.event.type == "CHARGE_FAILURE"
    assert again.event.message == "Something went wrong; please try again."
    processed = await world.saleor.process_transaction(again.transaction)
    assert processed.event.type == "CHARGE_FAILURE"
    assert world.unforeseen
    world.unforeseen.clear()


async def test_stored_payment_methods_over_http(one_world: World) -> None:
    world = one_world
    buying: Purchase = a_customers_cart(world)
    await buying.buy()
    user = {"user": {"id": a_customer(world).id}, "channel": {"slug": "norway"}}
    listed = (await send(world, "list-stored-payment-methods", user)).json()
    [method] = listed["paymentMethods"]
    assert method["id"] == buying.agreement_id
    stranger = {"user": {"id": "VXNlcjo5OQ=="}, "channel": {"slug": "norway"}}
    assert (await send(world, "list-stored-payment-methods", stranger)).json() == {"paymentMethods": []}
    path, wanted = "stored-payment-method-delete-requested", {"paymentMethodId": buying.agreement_id}
    refused = (await send(world, path, stranger | wanted)).json()
    assert refused["result"] == "FAILED_TO_DELETE"
    assert (await send(world, path, user | wanted)).json() == {"result": "SUCCESSFULLY_DELETED"}
    assert (await send(world, "list-stored-payment-methods", user)).json() == {"paymentMethods": []}
