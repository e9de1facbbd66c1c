"""What Saleor's payment webhooks ask with our own documents, and whether it takes our answers as they are meant."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from app.domain.checkout import INTERVAL_KEY, ActionAnswer, SessionAnswer
from app.domain.errors import InvalidInput
from app.domain.money import Money
from app.domain.transaction import ActionType, EventType
from app.saleor.answers import (
    action_answer,
    delete_answer,
    gateway_answer,
    session_answer,
    stored_methods_answer,
)
from app.saleor.manifest import manifest
from app.saleor.payloads import recipient_of
from app.saleor.payment_payloads import (
    action_request,
    delete_method_request,
    gateway_request,
    session_request,
    stored_methods_request,
    version_of,
)
from app.saleor.simulator.models import User
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import OtherPaymentMethodDetails, TransactionItem
from tests.builders import nok
from tests.saleor.simulator.buying import home
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import sums

OURS = "vipps-recurring"
URL = {"redirectUrl": "https://vipps.example/confirm"}
REQUIRED = SessionAnswer(EventType.CHARGE_ACTION_REQUIRED, nok(24800), data=URL)
CHARGED = SessionAnswer(EventType.CHARGE_SUCCESS, nok(24800), psp_reference="agr_1/chr_1", actions=(ActionType.REFUND,))


async def install(shop: Simulator, double: AppDouble) -> None:
    double.manifest = manifest("https://app.example", "1.0", shop.site.schema_version)
    await shop.install(MANIFEST_URL)


def bodies(double: AppDouble, event: str) -> list[bytes]:
    return [it.content for it in double.requests if it.headers.get("Saleor-Event") == event]


def answers(double: AppDouble, event: str, body: Mapping[str, Any]) -> None:
    """What the app says next, as it is on the wire."""
    double.answers[event] = json.loads(json.dumps(body))


def a_customer(shop: Simulator) -> User:
    customer = shop.create_customer("ola.nordmann@example.com")
    customer.address = home(shop)
    return customer


def a_cart(shop: Simulator, customer: User | None = None, **over: Any) -> Any:
    shop.create_shipping_method()
    product = shop.create_product(metadata={INTERVAL_KEY: "MONTH:1", "kind": "product"}, variant_metadata={"kind": "v"})
    return shop.buy(customer, [product], **over)


# What is asked


async def test_every_version_tells_what_a_shopper_pays(any_shop: Simulator, double: AppDouble) -> None:
    await install(any_shop, double)
    customer = a_customer(any_shop)
    any_shop.create_voucher("TENTH", 10)
    checkout = a_cart(any_shop, customer, voucher_code="TENTH")
    answers(double, "transaction_initialize_session", session_answer(REQUIRED, "3.23"))
    outcome = await any_shop.initialize_transaction(
        checkout, idempotency_key="key-1", data={"returnUrl": "https://shop.example"}, by=customer
    )
    [body] = bodies(double, "transaction_initialize_session")
    asked = session_request(body)
    assert (asked.transaction, asked.idempotency_key) == (outcome.transaction.id, "key-1")
    assert (asked.action, asked.amount) == (ActionType.CHARGE, nok(17910 + 4900))
    assert asked.data == {"returnUrl": "https://shop.example"}
    cart = asked.cart
    assert (cart.id, cart.channel, cart.customer) == (checkout.id, "norway", customer.id)
    assert (cart.shipping, cart.voucher) == (nok(4900), "TENTH")
    [line] = cart.lines
    assert (line.variant, line.name, line.quantity) == (checkout.lines[0].variant.id, "Coffee subscription", 1)
    assert (line.total, line.undiscounted) == (nok(17910), nok(19900))
    assert line.metadata == {INTERVAL_KEY: "MONTH:1", "kind": "v"}
    assert recipient_of(body) == any_shop.apps[0].id
    assert version_of(body) == any_shop.site.full_version
    assert not [word for word in (b"example.com", b"Karl Johan", b"Nordmann") if word in body]


async def test_what_goes_on_is_asked_without_a_key(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    checkout = a_cart(shop)
    answers(double, "transaction_initialize_session", session_answer(REQUIRED, "3.23"))
    outcome = await shop.initialize_transaction(checkout)
    await shop.process_transaction(outcome.transaction, data=["no object"])
    first = session_request(bodies(double, "transaction_initialize_session")[0])
    again = session_request(bodies(double, "transaction_process_session")[0])
    assert (again.transaction, again.cart, again.amount) == (first.transaction, first.cart, first.amount)
    assert (again.idempotency_key, again.data, again.cart.customer) == ("", {}, None)


async def test_an_order_may_be_paid_as_well(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    shop.channels["norway"].allows_unpaid_orders = True
    order = shop.complete_checkout(a_cart(shop, a_customer(shop)))
    await shop.initialize_transaction(order, action="AUTHORIZATION")
    asked = session_request(bodies(double, "transaction_initialize_session")[0])
    assert (asked.cart.id, asked.action, asked.amount) == (order.id, ActionType.AUTHORIZATION, nok(24800))
    [line] = asked.cart.lines
    assert (line.total, line.undiscounted, line.name) == (nok(19900), nok(19900), "Coffee subscription")


async def test_a_gateway_is_asked_for_a_channel(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    answers(double, "payment_gateway_initialize_session", gateway_answer({"name": "Vipps MobilePay"}))
    [configuration] = await shop.payment_gateway_initialize(a_cart(shop))
    assert (configuration.error, configuration.data) == (None, {"name": "Vipps MobilePay"})
    assert gateway_request(bodies(double, "payment_gateway_initialize_session")[0]) == ("norway", "NOK")


async def test_a_repeated_request_has_the_same_key_and_another_one_has_not(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    transaction = await charged(shop, double)
    answer = action_answer(ActionAnswer(result=None, psp_reference="refund-1"))
    answers(double, "transaction_refund_requested", answer)
    double.statuses = [500]
    for _ in range(2):
        shop.request_action(transaction, "REFUND", 50)
        await shop.deliver()
        shop.clock.advance(60)
        await shop.deliver()
    first, repeat, other = map(action_request, bodies(double, "transaction_refund_requested"))
    assert (first.transaction, first.action, first.amount) == (transaction.id, ActionType.REFUND, nok(5000))
    assert first == repeat
    assert first.key != other.key


async def charged(shop: Simulator, double: AppDouble) -> TransactionItem:
    answers(double, "transaction_initialize_session", session_answer(CHARGED, "3.23"))
    return (await shop.initialize_transaction(a_cart(shop))).transaction


@pytest.mark.parametrize("currency", ["SEK", "USD", "", None])
def test_another_currency_is_refused_in_a_shoppers_words(currency: str | None) -> None:
    body = a_session(action={"amount": 10, "currency": currency, "actionType": "CHARGE"})
    with pytest.raises(InvalidInput, match="please choose another way to pay"):
        session_request(body)


@pytest.mark.parametrize("amount", ["10.005", "1e-3", "NaN", "true", "null", '"10"', "[]"])
def test_an_amount_that_is_none_is_refused(amount: str) -> None:
    body = a_session().replace('"amount": 10,', f'"amount": {amount},')
    assert amount in body
    with pytest.raises(InvalidInput):
        session_request(body)


def a_session(**over: Any) -> str:
    content = {
        "action": {"amount": 10, "currency": "NOK", "actionType": "CHARGE"},
        "transaction": {"id": "t"},
        "sourceObject": {"__typename": "Checkout", "id": "c", "channel": {"slug": "norway"}, "checkoutLines": []},
    }
    return json.dumps(content | over)


def test_the_least_that_can_be_asked_is_read() -> None:
    asked = session_request(a_session())
    assert (asked.amount, asked.cart.lines, asked.cart.shipping, asked.cart.customer) == (nok(1000), (), None, None)


@pytest.mark.parametrize("part", ["action", "transaction", "sourceObject"])
@pytest.mark.parametrize("value", [None, "x", {}, []])
def test_a_payload_without_its_parts_is_refused(part: str, value: object) -> None:
    with pytest.raises(InvalidInput):
        session_request(a_session(**{part: value}))


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "[" * 5000])
def test_what_is_no_payload_is_refused_by_each_reader(body: str) -> None:
    for read in (session_request, gateway_request, action_request, stored_methods_request, delete_method_request):
        with pytest.raises(InvalidInput):
            read(body)
    assert version_of(body) is None


def test_a_session_asks_for_no_refund_and_an_action_for_no_authorisation() -> None:
    action = {"amount": 10, "currency": "NOK", "actionType": "REFUND"}
    with pytest.raises(InvalidInput, match="REFUND"):
        session_request(a_session(action=action))
    with pytest.raises(InvalidInput, match="AUTHORIZATION"):
        action_request(a_session(action=action | {"actionType": "AUTHORIZATION"}))


def test_gifts_and_lines_without_a_variant_are_not_renewed() -> None:
    money = {"amount": 10, "currency": "NOK"}
    line = {
        "quantity": 2,
        "isGift": False,
        "totalPrice": {"gross": money, "net": money},
        "undiscountedTotalPrice": money,
        "variant": {"id": "v", "metadata": [], "product": {"name": "Coffee", "metadata": []}},
    }
    lines = [line, line | {"isGift": True}, line | {"variant": None}]
    cart = session_request(a_session(sourceObject=a_source(lines))).cart
    assert [(it.name, it.quantity) for it in cart.lines] == [("Coffee", 2)]


@pytest.mark.parametrize(("with_tax", "expected"), [(True, 20000), (False, 25000)])
def test_undiscounted_prices_have_their_tax_even_where_it_is_added_later(*, with_tax: bool, expected: int) -> None:
    line = {
        "quantity": 1,
        "totalPrice": {"gross": {"amount": 125, "currency": "NOK"}, "net": {"amount": 100, "currency": "NOK"}},
        "undiscountedTotalPrice": {"amount": 200, "currency": "NOK"},
        "variant": {"id": "v", "metadata": [], "product": {"name": "Coffee", "metadata": []}},
    }
    channel = {"slug": "norway", "taxConfiguration": {"pricesEnteredWithTax": with_tax}}
    [read] = session_request(a_session(sourceObject=a_source([line], channel=channel))).cart.lines
    assert read.undiscounted == nok(expected)


def a_source(lines: list[Any], **over: Any) -> dict[str, Any]:
    source = {"__typename": "Checkout", "id": "c", "channel": {"slug": "norway"}, "checkoutLines": lines}
    return source | over


# What is answered


async def test_every_version_takes_a_success(any_shop: Simulator, double: AppDouble) -> None:
    await install(any_shop, double)
    answers(double, "transaction_initialize_session", session_answer(CHARGED, any_shop.site.full_version))
    outcome = await any_shop.initialize_transaction(a_cart(any_shop))
    assert (outcome.event.type, outcome.event.amount) == ("CHARGE_SUCCESS", Decimal(248))
    assert (outcome.transaction.psp_reference, outcome.transaction.actions) == ("agr_1/chr_1", ["REFUND"])
    shown = isinstance(outcome.transaction.method, OtherPaymentMethodDetails)
    assert shown is (any_shop.site.number >= (3, 22))


@pytest.mark.parametrize(
    ("result", "reference", "expected"),
    [
        (EventType.CHARGE_REQUEST, "agr_1/chr_1", {"charge_pending": 248}),
        (EventType.AUTHORIZATION_SUCCESS, "agr_1/chr_1", {"authorized": 248}),
        (EventType.AUTHORIZATION_REQUEST, "agr_1/chr_1", {"authorize_pending": 248}),
        (EventType.CHARGE_ACTION_REQUIRED, None, {}),
        (EventType.AUTHORIZATION_ACTION_REQUIRED, None, {}),
        (EventType.CHARGE_FAILURE, None, {}),
        (EventType.AUTHORIZATION_FAILURE, None, {}),
    ],
)
async def test_each_result_is_taken_as_it_is_meant(
    shop: Simulator, double: AppDouble, result: EventType, reference: str | None, expected: dict[str, int]
) -> None:
    await install(shop, double)
    answer = SessionAnswer(result, nok(24800), message="said " * 200, psp_reference=reference, data=URL)
    answers(double, "transaction_initialize_session", session_answer(answer, "3.23.28"))
    outcome = await shop.initialize_transaction(a_cart(shop))
    assert (outcome.event.type, outcome.data) == (result.value, URL)
    assert sums(outcome.transaction) == expected
    if result not in {EventType.CHARGE_REQUEST, EventType.AUTHORIZATION_REQUEST}:
        assert outcome.event.message == ("said " * 200)[:512]


async def test_a_promise_is_kept_by_a_later_report(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    transaction = await charged(shop, double)
    promise = ActionAnswer(result=None, psp_reference="refund-1")
    answers(double, "transaction_refund_requested", action_answer(promise))
    shop.request_action(transaction, "REFUND", 50)
    await shop.deliver()
    assert sums(transaction) == {"charged": 198, "refund_pending": 50}
    assert transaction.actions == ["REFUND"]


@pytest.mark.parametrize("action", ["REFUND", "CHARGE", "CANCEL"])
@pytest.mark.parametrize("word", ["SUCCESS", "FAILURE"])
async def test_a_final_answer_to_an_action_is_taken(shop: Simulator, double: AppDouble, action: str, word: str) -> None:
    await install(shop, double)
    begun = EventType.CHARGE_SUCCESS if action == "REFUND" else EventType.AUTHORIZATION_SUCCESS
    first = SessionAnswer(begun, nok(24800), psp_reference="agr_1/chr_1")
    answers(double, "transaction_initialize_session", session_answer(first, "3.23"))
    transaction = (await shop.initialize_transaction(a_cart(shop))).transaction
    result = EventType(f"{action}_{word}")
    event = {"CANCEL": "transaction_cancelation_requested"}.get(action, f"transaction_{action.lower()}_requested")
    final = ActionAnswer(result, psp_reference="op-1", amount=nok(24800), message="why")
    answers(double, event, action_answer(final))
    shop.request_action(transaction, action, 248)
    await shop.deliver()
    [told] = [it for it in transaction.events if it.type == result.value]
    assert (told.psp_reference, told.message, told.amount) == ("op-1", "why", Decimal(248))


def test_amounts_are_exact_text_and_what_is_empty_is_left_out() -> None:
    answer = SessionAnswer(EventType.CHARGE_FAILURE, Money.from_decimal("0.29", nok(1).currency))
    assert session_answer(answer, "3.24.0") == {"result": "CHARGE_FAILURE", "amount": "0.29"}
    assert action_answer(ActionAnswer(None, psp_reference="op")) == {"pspReference": "op"}


@pytest.mark.parametrize("version", [None, "", "3.21.69", "garbage"])
def test_an_older_saleor_is_not_told_how_was_paid(version: str | None) -> None:
    assert "paymentMethodDetails" not in session_answer(CHARGED, version)


# Stored payment methods


async def test_agreements_are_shown_and_one_is_stopped(shop: Simulator, double: AppDouble) -> None:
    await install(shop, double)
    customer, channel = a_customer(shop), shop.channels["norway"]
    answers(double, "list_stored_payment_methods", stored_methods_answer([("agr_1", "Coffee, every month")]))
    [method] = await shop.stored_methods.of(customer, channel)
    assert (method.name, method.flows) == ("Coffee, every month", ())
    assert stored_methods_request(bodies(double, "list_stored_payment_methods")[0]) == (customer.id, "norway")
    answers(double, "stored_payment_method_delete_requested", delete_answer())
    assert (await shop.stored_methods.delete(customer, method.id, channel)).result == "SUCCESSFULLY_DELETED"
    [body] = bodies(double, "stored_payment_method_delete_requested")
    assert delete_method_request(body) == (customer.id, "norway", "agr_1")
    answers(double, "stored_payment_method_delete_requested", delete_answer("it is not yours"))
    refused = await shop.stored_methods.delete(customer, method.id, channel)
    assert refused.result == "FAILED_TO_DELETE"
