"""Payment sessions: what the app is asked, which answers hold, and what becomes of those that do not."""

from typing import Any

import pytest

from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.installation import InstallationFailed
from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, verify_detached
from tests.saleor.simulator.payments import (
    GATEWAY,
    GATEWAYS,
    INITIALIZE,
    PROCESS,
    ask_app,
    begin,
    begin_with,
    error_codes,
    events_of,
    payload,
    payment_manifest,
    report,
    sums,
)

Shop = Simulator
INIT, GO_ON = "transaction_initialize_session", "transaction_process_session"
UNDELIVERED = "Failed to delivery request."


@pytest.fixture
async def app(shop: Shop, double: AppDouble) -> App:
    double.manifest = payment_manifest()
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def order(shop: Shop) -> Order:
    return shop.create_order(email="a@example.com", amount=248)


# What the app is asked


async def test_app_is_asked_with_a_signed_payload(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    double.answers[INIT] = {"result": "CHARGE_ACTION_REQUIRED", "data": {"url": "https://pay.example"}}
    begun = await begin(shop, order, key="key-1")
    (request,) = double.webhooks
    transaction = order.transactions[0]
    assert double.bodies == [
        {
            "issuingPrincipal": None,
            "recipient": {"id": app.id},
            "sourceObject": {"__typename": "Order", "id": order.id},
            "transaction": {
                "id": transaction.id,
                "pspReference": "",
                "actions": [],
                "events": [{"type": "CHARGE_REQUEST", "idempotencyKey": "key-1"}],
            },
            "data": {"flow": "subscription"},
            "merchantReference": transaction.id,
            "customerIpAddress": "127.0.0.1",
            "idempotencyKey": "key-1",
            "action": {"amount": 248.0, "currency": "NOK", "actionType": "CHARGE"},
        }
    ]
    assert request.headers["Saleor-Event"] == INIT
    verify_detached(request.headers["Saleor-Signature"], request.content, shop.jwks())
    assert begun["data"] == {"url": "https://pay.example"}
    assert begun["transactionEvent"]["type"] == "CHARGE_ACTION_REQUIRED"


async def test_session_may_authorize_by_the_channel_or_by_an_app(
    shop: Shop, double: AppDouble, app: App, order: Order
) -> None:
    order.channel.flow_strategy = "AUTHORIZATION"
    await begin(shop, order)
    assert double.bodies[-1]["action"]["actionType"] == "AUTHORIZATION"
    answer = await ask_app(shop, INITIALIZE, app, id=order.id, gateway=GATEWAY, action="CHARGE", ip="10.0.0.1")
    assert payload(answer)["errors"] == []
    assert double.bodies[-1]["action"]["actionType"] == "CHARGE"
    assert double.bodies[-1]["customerIpAddress"] == "10.0.0.1"
    for denied in ({"action": "CHARGE"}, {"ip": "10.0.0.1"}):
        refused = await ask_app(
            shop,
            INITIALIZE,
            shop.create_staff("s@x.no") if "ip" in denied else None,
            id=order.id,
            gateway=GATEWAY,
            **denied,
        )
        assert error_codes(refused) == ["PermissionDenied"]
    wrong = payload(await ask_app(shop, INITIALIZE, app, id=order.id, gateway=GATEWAY, ip="nonsense"))
    assert wrong["errors"][0]["code"] == "INVALID"


@pytest.mark.usefixtures("app")
async def test_amount_is_what_is_left_unless_given(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    paid = await begin_with(shop, double, order, {"result": "CHARGE_SUCCESS", "pspReference": "1"}, amount=48)
    assert sums(paid) == {"charged": 48}
    await begin_with(shop, double, order, {"result": "CHARGE_REQUEST", "pspReference": "2"}, amount=100)
    await begin(shop, order)
    assert double.bodies[-1]["action"]["amount"] == 100.0
    await begin(shop, order, amount=1000)  # more than the total is accepted
    assert double.bodies[-1]["action"]["amount"] == 1000.0
    report(shop, app, paid, "CHARGE_SUCCESS", "3", amount=1000)
    await begin(shop, order)
    assert double.bodies[-1]["action"]["amount"] == 0.0


async def test_only_the_first_active_webhook_is_asked(shop: Shop, double: AppDouble) -> None:
    query = "subscription { event { ... on TransactionInitializeSession { merchantReference } } }"
    second = {"name": "second", "targetUrl": "https://app.example/webhooks/second", "query": query}
    double.manifest = payment_manifest(second)
    app = await shop.install(MANIFEST_URL)
    order = shop.create_order(email="a@example.com", amount=1)
    await begin(shop, order)
    first = next(w for w in app.webhooks if w.name == "TransactionInitializeSession")
    first.is_active = False
    await begin(shop, order)
    assert [request.url.path for request in double.webhooks] == [
        "/webhooks/TransactionInitializeSession",
        "/webhooks/second",
    ]


@pytest.mark.usefixtures("app")
async def test_answer_that_is_lost_can_be_asked_for_again(shop: Shop, double: AppDouble, order: Order) -> None:
    shop.mischief = Mischief(lose_answers=True)
    answer = {"result": "CHARGE_SUCCESS", "pspReference": "p"}
    transaction = await begin_with(shop, double, order, answer, key="k")
    assert (len(double.webhooks), sums(transaction)) == (1, {})
    shop.mischief = Mischief()
    assert await begin_with(shop, double, order, answer, key="k") is transaction
    assert sums(transaction) == {"charged": 248}
    assert len({body["merchantReference"] for body in double.bodies}) == 1


async def test_app_that_may_not_or_cannot_is_not_asked(shop: Shop, double: AppDouble, order: Order) -> None:
    unknown = await begin(shop, order)
    assert [(e["field"], e["code"]) for e in unknown["errors"]] == [("paymentGateway", "NOT_FOUND")]
    double.manifest = payment_manifest()
    app = await shop.install(MANIFEST_URL, ["MANAGE_ORDERS"])
    assert (await begin(shop, order))["transactionEvent"]["message"] == UNDELIVERED
    assert double.webhooks == []
    shop.deactivate_app(app)
    assert (await begin(shop, order))["errors"][0]["code"] == "NOT_FOUND"


# The same again


@pytest.mark.usefixtures("app")
async def test_same_key_and_amount_ask_again_about_the_same_transaction(
    shop: Shop, double: AppDouble, order: Order
) -> None:
    one = await begin_with(shop, double, order, {"result": "CHARGE_ACTION_REQUIRED", "pspReference": "1"}, key="k")
    two = await begin_with(shop, double, order, {"result": "CHARGE_ACTION_REQUIRED", "pspReference": "2"}, key="k")
    assert one is two
    assert [body["idempotencyKey"] for body in double.bodies] == ["k", "k"]
    assert [(e.type, e.psp_reference) for e in one.newest_first] == [
        ("CHARGE_ACTION_REQUIRED", "2"),
        ("CHARGE_ACTION_REQUIRED", "1"),
        ("CHARGE_REQUEST", "2"),
    ]


@pytest.mark.usefixtures("app")
async def test_same_key_with_another_amount_or_order_is_refused(shop: Shop, double: AppDouble, order: Order) -> None:
    await begin(shop, order, key="k")
    other = shop.create_order(email="a@example.com", amount=248)
    for refused in (await begin(shop, order, key="k", amount=247), await begin(shop, other, key="k")):
        assert refused["transaction"] is None
        assert [(e["field"], e["code"]) for e in refused["errors"]] == [("idempotencyKey", "UNIQUE")]
    assert (await begin(shop, order, key=""))["errors"][0]["code"] == "INVALID"
    assert len(double.webhooks) == 1


@pytest.mark.usefixtures("app")
async def test_repeated_success_with_another_amount_is_a_failure(shop: Shop, double: AppDouble, order: Order) -> None:
    first = {"result": "CHARGE_SUCCESS", "pspReference": "p"}
    await begin_with(shop, double, order, first, key="k", amount=248)
    again = {"result": "CHARGE_SUCCESS", "pspReference": "p", "amount": 1}
    transaction = await begin_with(shop, double, order, again, key="k", amount=248)
    assert events_of(transaction)[-1] == ("CHARGE_FAILURE", "p", 248, False)
    assert sums(transaction) == {"charged": 248}


@pytest.mark.usefixtures("app")
async def test_an_order_takes_a_hundred_transactions(shop: Shop, order: Order) -> None:
    for _ in range(100):
        shop.transactions.add(order)
    assert [e["field"] for e in (await begin(shop, order))["errors"]] == ["transactions"]


# Going on


@pytest.mark.usefixtures("app")
async def test_process_asks_about_the_same_request(shop: Shop, double: AppDouble, order: Order) -> None:
    transaction = await begin_with(shop, double, order, {"result": "CHARGE_ACTION_REQUIRED", "pspReference": "1"})
    double.answers[GO_ON] = {"result": "CHARGE_SUCCESS", "pspReference": "2", "data": {"ok": True}}
    answer = payload(await ask_app(shop, PROCESS, token=str(transaction.token), data={"step": 2}))
    assert (answer["data"], answer["errors"]) == ({"ok": True}, [])
    assert double.events == [INIT, GO_ON]
    assert double.bodies[-1]["data"] == {"step": 2}
    assert double.bodies[-1]["action"] == {"amount": 248.0, "currency": "NOK", "actionType": "CHARGE"}
    assert (transaction.psp_reference, sums(transaction)) == ("2", {"charged": 248})
    again = payload(await ask_app(shop, PROCESS, id=transaction.id))
    assert (again["transactionEvent"], again["data"]) == (answer["transactionEvent"], None)
    assert len(double.webhooks) == 2


@pytest.mark.usefixtures("app")
async def test_after_a_failed_delivery_process_asks_again(shop: Shop, double: AppDouble, order: Order) -> None:
    transaction = await begin_with(shop, double, order, {})
    double.answers[GO_ON] = {"result": "CHARGE_FAILURE", "pspReference": "p", "message": "declined"}
    assert payload(await ask_app(shop, PROCESS, id=transaction.id))["transactionEvent"]["message"] == "declined"
    payload(await ask_app(shop, PROCESS, id=transaction.id))
    assert double.events == [INIT, GO_ON]  # a failure that the app gave is final


@pytest.mark.usefixtures("app")
async def test_failure_without_a_reference_is_taken_for_the_failed_delivery_before_it(
    shop: Shop, double: AppDouble, order: Order
) -> None:
    transaction = await begin_with(shop, double, order, {})
    double.answers[GO_ON] = {"result": "CHARGE_FAILURE", "message": "declined"}
    payload(await ask_app(shop, PROCESS, id=transaction.id))
    assert events_of(transaction) == [("CHARGE_REQUEST", None, 248, False), ("CHARGE_FAILURE", None, 248, False)]
    assert "declined" not in transaction.events[-1].message


async def test_process_needs_a_session_and_its_app(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    plain = shop.transactions.add(order, app=app)
    assert payload(await ask_app(shop, PROCESS, id=plain.id))["errors"][0]["code"] == "INVALID"
    transaction = await begin_with(shop, double, order, {})
    shop.deactivate_app(app)
    assert payload(await ask_app(shop, PROCESS, id=transaction.id))["errors"][0]["code"] == "MISSING_PAYMENT_APP"
    assert payload(await ask_app(shop, PROCESS, id=order.id))["errors"][0]["code"] == "GRAPHQL_ERROR"


# Gateways


async def test_gateways_tell_their_configuration(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    double.answers["payment_gateway_initialize_session"] = {"data": {"brand": "Vipps"}}
    expected = {"gatewayConfigs": [{"id": app.identifier, "data": {"brand": "Vipps"}, "errors": []}], "errors": []}
    assert payload(await ask_app(shop, GATEWAYS, id=order.id)) == expected
    assert payload(await ask_app(shop, GATEWAYS, id=order.id, gateways=[GATEWAY], amount=5)) == expected
    assert [(body["data"], body["amount"]) for body in double.bodies] == [(None, 248.0), (GATEWAY["data"], 5.0)]


@pytest.mark.usefixtures("app")
async def test_gateway_that_fails_is_an_error_of_its_own(shop: Shop, double: AppDouble, order: Order) -> None:
    double.answers["payment_gateway_initialize_session"] = {"no": "data"}
    found = payload(await ask_app(shop, GATEWAYS, id=order.id, gateways=[GATEWAY, {"id": "unknown"}]))
    codes = [[error["code"] for error in config["errors"]] for config in found["gatewayConfigs"]]
    assert codes == [["INVALID"], ["NOT_FOUND"]]


# The server and the manifest


async def test_sessions_need_the_asynchronous_answer(shop: Shop, order: Order) -> None:
    body = {"query": INITIALIZE, "variables": {"id": order.id, "gateway": GATEWAY}}
    assert error_codes(shop.execute(body, {})) == ["NotServed"]


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"syncEvents": ["TRANSACTION_INITIALIZE_SESSION"]}, True),
        ({}, True),
        ({"syncEvents": ["transaction_initialize_session"]}, False),
        ({"asyncEvents": ["TRANSACTION_INITIALIZE_SESSION"]}, False),
    ],
)
async def test_manifest_names_synchronous_events(
    shop: Shop, double: AppDouble, changes: dict[str, list[str]], accepted: bool
) -> None:
    double.manifest = payment_manifest()
    hook = next(h for h in double.manifest["webhooks"] if h["name"] == "TransactionInitializeSession")
    double.manifest["webhooks"] = [hook | changes]
    if accepted:
        app = await shop.install(MANIFEST_URL)
        assert app.webhooks[0].synchronous == {"TRANSACTION_INITIALIZE_SESSION"}
    else:
        with pytest.raises(InstallationFailed, match="Invalid events"):
            await shop.install(MANIFEST_URL)


async def test_a_report_may_overtake_the_answer(shop: Shop, double: AppDouble, app: App, order: Order) -> None:
    """The app's word by the API, while Saleor still waits for its answer, is the same event."""

    def report_at_once(_body: dict[str, Any]) -> None:
        report(shop, app, order.transactions[0], "CHARGE_SUCCESS", "p", amount=248)

    double.on_webhook = report_at_once
    transaction = await begin_with(shop, double, order, {"result": "CHARGE_SUCCESS", "pspReference": "p"})
    assert events_of(transaction) == [("CHARGE_REQUEST", "p", 248, False), ("CHARGE_SUCCESS", "p", 248, True)]
    assert sums(transaction) == {"charged": 248}
