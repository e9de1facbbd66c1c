"""Payments beside what a real Saleor 3.23 answered and sent: the same questions, the same answers, the same bodies."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.schema import COMPLETE
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest
from tests.saleor.simulator.payments import headers_of, make, payment_manifest, report
from tests.saleor.simulator.test_recorded import compare, load, names, raw_names

RECORDED = COMPLETE / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recording of a real Saleor is not at hand")

INIT, GO_ON = "transaction_initialize_session", "transaction_process_session"
OPEN_URL = {
    "result": "CHARGE_ACTION_REQUIRED",
    "message": "open the url",
    "externalUrl": "http://localhost:9100/psp",
    "data": {"redirectUrl": "http://localhost:9100/pay"},
}
PAID = {
    "result": "CHARGE_SUCCESS",
    "pspReference": "LAB-PSP-1087",
    "message": "paid",
    "externalUrl": "http://localhost:9100/psp",
    "actions": ["REFUND"],
    "data": {"ok": True},
}


@pytest.fixture
async def app(shop: Simulator, double: AppDouble) -> App:
    double.manifest = payment_manifest(id="lab.recorder")
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def customer(shop: Simulator) -> User:
    return shop.create_customer()


@pytest.fixture
def order(shop: Simulator, customer: User) -> Order:
    return shop.create_order(customer, amount=248)


def without_ids(content: Any) -> Any:
    """Ids and tokens are made anew in every shop."""
    if isinstance(content, list):
        return [without_ids(item) for item in content]
    if isinstance(content, dict):
        return {k: k if k in {"id", "token"} and v != "lab.recorder" else without_ids(v) for k, v in content.items()}
    return content


async def repeat(shop: Simulator, name: str, by: App | User | None, **variables: Any) -> None:
    """Asks what was asked of the real Saleor and expects its answer."""
    recorded = load(f"graphql/{name}.json")
    body = {"query": recorded["query"], "variables": recorded["variables"] | variables}
    answer = await shop.answer(body, headers_of(shop, by))
    assert without_ids(answer.content) == without_ids(recorded["response"])


async def test_gateway_initialization(
    shop: Simulator, double: AppDouble, app: App, customer: User, order: Order
) -> None:
    double.answers["payment_gateway_initialize_session"] = {"data": {"hello": "from recorder"}}
    await repeat(shop, "013-paymentGatewayInitialize", customer, id=order.id)
    assert double.bodies[-1]["recipient"] == {"id": app.id}


@pytest.mark.usefixtures("app")
async def test_action_required_and_then_processed(
    shop: Simulator, double: AppDouble, customer: User, order: Order
) -> None:
    double.answers[INIT] = OPEN_URL | {"pspReference": "LAB-PSP-1081"}
    await repeat(shop, "014-transactionInitialize-action_required", customer, id=order.id)
    shop.clock.advance(1)
    double.answers[GO_ON] = PAID
    await repeat(shop, "015-transactionProcess", customer, id=order.transactions[0].id)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("name", "answer", "status"),
    [
        (
            "019-transactionInitialize-immediate",
            {"result": "CHARGE_SUCCESS", "pspReference": "LAB-IMM-1", "actions": ["REFUND"], "data": {"ok": 1}},
            200,
        ),
        (
            "023-transactionInitialize-failure",
            {
                "result": "CHARGE_FAILURE",
                "pspReference": "LAB-FAIL-1",
                "message": "card declined",
                "data": {"code": "E1"},
            },
            200,
        ),
        ("026-transactionInitialize-http500", {}, 500),
        ("029-transactionInitialize-badjson", {"unexpected": True}, 200),
        ("128-transactionInitialize-timeout", {}, httpx.ReadTimeout("18 seconds")),
    ],
)
async def test_one_session(
    shop: Simulator,
    double: AppDouble,
    customer: User,
    order: Order,
    name: str,
    answer: dict[str, Any],
    status: int | Exception,
) -> None:
    double.answers[INIT], double.statuses = answer, [status]
    await repeat(shop, name, customer, id=order.id)


@pytest.mark.usefixtures("app")
async def test_same_key_again_and_with_another_amount(shop: Simulator, double: AppDouble, order: Order) -> None:
    key = load("graphql/109-transactionInitialize-anon-same-key.json")["variables"]["k"]
    double.answers[INIT] = OPEN_URL | {"pspReference": "LAB-PSP-1006"}
    await shop.initialize_transaction(order, 248, idempotency_key=key)
    shop.clock.advance(1)
    double.answers[INIT] = OPEN_URL | {"pspReference": "LAB-PSP-1011"}
    await repeat(shop, "109-transactionInitialize-anon-same-key", None, id=order.id)
    await repeat(shop, "110-transactionInitialize-anon-same-key-other-amount", None, id=order.id)


async def test_transaction_is_created_and_refunds_are_reported(shop: Simulator, app: App, order: Order) -> None:
    await repeat(shop, "035-transactionCreate-as-app", app, id=order.id)
    transaction = order.transactions[0].id
    await repeat(shop, "036-transactionEventReport-refund", app, id=transaction)
    await repeat(shop, "037-transactionEventReport-refund-again", app, id=transaction)
    await repeat(shop, "038-transactionEventReport-refund-same-psp-other-amount", app, id=transaction)


async def test_order_shows_its_transaction(shop: Simulator, double: AppDouble, app: App, order: Order) -> None:
    double.answers[INIT] = {"result": "CHARGE_SUCCESS", "pspReference": "LAB-IMM-1"}
    await shop.initialize_transaction(order)
    recorded = load("graphql/030-order-as-app.json")
    answer = shop.execute({"query": recorded["query"], "variables": {"id": order.id}}, headers_of(shop, app))
    expected = recorded["response"]
    expected["data"]["order"] |= {"number": "1", "checkoutId": answer.content["data"]["order"]["checkoutId"]}
    assert without_ids(answer.content) == without_ids(expected)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("063-requestAction-REFUND-partial", "CHARGE_SUCCESS"),
        ("065-requestAction-REFUND-async", "CHARGE_SUCCESS"),
        ("074-requestAction-CHARGE", "AUTHORIZATION_SUCCESS"),
        ("081-requestAction-CANCEL", "AUTHORIZATION_SUCCESS"),
    ],
)
async def test_action_request(shop: Simulator, app: App, order: Order, name: str, type_: str) -> None:
    actions = ["REFUND"] if type_ == "CHARGE_SUCCESS" else ["CHARGE", "CANCEL"]
    transaction = make(shop, app, order, availableActions=actions)
    report(shop, app, transaction, type_, "p", amount=248)
    await repeat(shop, name, shop.create_staff(), id=transaction.id)
    assert transaction.actions == actions


# Webhooks

FLOW = {"flow": "action_required", "returnUrl": "http://localhost:3000/return"}


async def begin(shop: Simulator, order: Order, customer: User) -> None:
    await shop.initialize_transaction(order, 248, data=FLOW, by=customer)


async def go_on(shop: Simulator, order: Order, customer: User) -> None:
    await begin(shop, order, customer)
    shop.clock.advance(1)
    await shop.process_transaction(order.transactions[0], {"step": 2}, by=customer)


async def configure(shop: Simulator, order: Order, customer: User) -> None:
    await shop.payment_gateway_initialize(order, 248, data={"from": "storefront"}, gateway="lab.recorder", by=customer)


async def list_methods(shop: Simulator, order: Order, customer: User) -> None:
    await shop.stored_methods.of(customer, order.channel)


async def delete_method(shop: Simulator, order: Order, customer: User) -> None:
    await shop.stored_methods.delete(customer, "app:lab.recorder:agr_123", order.channel)


def action(kind: str, type_: str) -> Callable[[Simulator, Order, User], Any]:
    async def scene(shop: Simulator, order: Order, _customer: User) -> None:
        transaction = shop.transactions.add(order, app=shop.apps[0], idempotency_key="k")
        shop.transactions.write_event(transaction, "CHARGE_REQUEST", order.total, counts=False, idempotency_key="k")
        shop.clock.advance(1)
        report(shop, shop.apps[0], transaction, type_, "p", amount=248)
        shop.clock.advance(1)
        shop.request_action(transaction, kind, 50, by=shop.create_staff())
        await shop.deliver()

    return scene


WEBHOOKS: dict[str, Callable[[Simulator, Order, User], Any]] = {
    "payment_gateway_initialize_session": configure,
    "transaction_initialize_session-1": begin,
    "transaction_initialize_session-2": begin,
    "transaction_process_session": go_on,
    "transaction_charge_requested": action("CHARGE", "AUTHORIZATION_SUCCESS"),
    "transaction_cancelation_requested": action("CANCEL", "AUTHORIZATION_SUCCESS"),
    "transaction_refund_requested-1": action("REFUND", "CHARGE_SUCCESS"),
    "list_stored_payment_methods": list_methods,
    "stored_payment_method_delete_requested": delete_method,
}
# What these bodies hold of checkouts is not compared here, nor what Saleor itself got wrong (`errors`).
LEFT_OUT = {"sourceObject", "checkout", "order", "grantedRefund", "errors"}
WITHOUT_FIELDS = {"data", "actions"}


def pruned(value: Any) -> Any:
    """A recorded body without what cannot be asked for again: an object that was null has no known fields."""
    if isinstance(value, list):
        return [pruned(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: v if k in WITHOUT_FIELDS else pruned(v) for k, v in value.items() if v is not None and k not in LEFT_OUT}


def asking(value: Any) -> str:
    """The selection that makes such a body."""
    if isinstance(value, list):
        return asking(value[0]) if value else "{ __typename }"
    if not isinstance(value, dict):
        return ""
    parts = [key if key in WITHOUT_FIELDS else f"{key} {asking(part)}" for key, part in value.items()]
    if "__typename" not in value:
        return f"{{ {' '.join(parts)} }}"
    inner = f"... on {value['__typename']} {{ {' '.join(parts[1:])} }}" if parts[1:] else ""
    return f"{{ __typename {inner} }}"


@pytest.mark.parametrize("name", WEBHOOKS)
async def test_webhook_has_the_recorded_headers_and_body_shape(
    shop: Simulator, double: AppDouble, customer: User, order: Order, name: str
) -> None:
    recorded = load(f"webhooks/{name}.json")
    event, theirs = recorded["event"], pruned(json.loads(recorded["body"]))
    query = f"subscription {{ event {asking(theirs)} }}"
    hook = {"name": event, "targetUrl": f"https://app.example/webhooks/{event}", "query": query}
    begins = [h for h in payment_manifest()["webhooks"] if h["name"] == "TransactionInitializeSession"]
    permissions = [permission["code"] for permission in theirs["recipient"]["permissions"]]
    double.manifest = manifest(id="lab.recorder", permissions=permissions, webhooks=[hook, *begins])
    double.answers[INIT] = OPEN_URL | {"pspReference": "p"}
    await shop.install(MANIFEST_URL)
    await WEBHOOKS[name](shop, order, customer)
    request = double.webhooks[-1]
    assert request.headers["Saleor-Event"] == event
    assert raw_names(request) == names(recorded["headers"])
    ours = json.loads(request.content)
    compare({k: v for k, v in theirs.items() if k != "data"}, {k: v for k, v in ours.items() if k != "data"})
    if "data" in theirs:
        assert ours["data"] == theirs["data"]
    if "transaction" in theirs:
        types = [e["type"] for e in theirs["transaction"]["events"]]
        assert [e["type"] for e in ours["transaction"]["events"]] == types
