"""The whole purchase through Saleor's own payment mutations: from the cart to the paid order and its subscription."""

import asyncio
import time
from dataclasses import replace
from datetime import date, timedelta

import pytest

from app.domain.account import ApiVersion
from app.domain.checkout import Cart, CartLine, SessionRequest
from app.domain.subscription import SubscriptionStatus, VoucherPolicy
from app.domain.transaction import ActionType, EventType
from app.usecases.checkout import initialize, process
from app.usecases.installations import installed
from app.vipps.simulator.faults import Fault
from tests.builders import nok
from tests.usecases.buying import (
    MONTHLY,
    RETURN,
    Purchase,
    a_cart,
    a_customers_cart,
    a_product,
    events_of,
    initial_charge,
    session_of,
    subscription_of,
)
from tests.usecases.steps import agreement_row, each_once, each_version, raw, recover
from tests.world import SHOP, World, make_world


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


@each_once
@pytest.mark.usefixtures("version")
async def test_a_purchase_ends_as_a_paid_order_with_its_subscription(world: World) -> None:
    buying = a_customers_cart(world)
    begun = await buying.begin()
    assert begun.event.type == "CHARGE_ACTION_REQUIRED"
    assert begun.data["confirmationUrl"] == begun.data["redirectUrl"]
    agreement = await agreement_row(world, buying.agreement_id)
    assert (agreement.confirmation_url, agreement.price.minor) == (begun.data["redirectUrl"], 19_900)
    assert buying.checkout.charge_status == "NONE"

    buying.approve()
    processed = await buying.process()
    assert processed.event.type == "CHARGE_SUCCESS"
    assert processed.event.amount == 199
    order = buying.complete()
    await world.drain()

    assert order.charge_status == "FULL"
    assert order.total_charged == 199
    assert buying.transaction.actions == ["REFUND"]
    assert buying.transaction.psp_reference == processed.event.psp_reference
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert (subscription.status, subscription.initial_order) == (SubscriptionStatus.ACTIVE, order.id)
    assert (subscription.next_period, subscription.next_due) == (1, date(2026, 4, 2))
    [line] = subscription.lines
    assert (line.variant, line.quantity) == (buying.checkout.lines[0].variant.id, 1)
    assert (await agreement_row(world, buying.agreement_id)).initial_order == order.id
    assert [entry.amount for entry in world.effects("draft")] == [19_900]
    session = await session_of(world, buying)
    assert session is not None
    assert session.started


@each_once
@pytest.mark.usefixtures("version")
async def test_the_books_say_it_once_whoever_comes_first(world: World) -> None:
    await world.register_webhooks()
    first, second = a_customers_cart(world), a_cart(world)
    for buying in (first, second):
        await buying.begin()
        buying.approve()
    await first.process()
    await world.drain()  # the webhook comes after the answer, and again by the follow-ups
    assert second.transaction.sums.charged == 199  # and before it here
    await second.process()
    for buying in (first, second):
        buying.complete()
    await world.drain()
    await world.sweep()
    await world.drain()
    for buying in (first, second):
        told = [it for it in events_of(buying) if it[0] == "CHARGE_SUCCESS"]
        assert told == [("CHARGE_SUCCESS", "199.00")]
        assert buying.transaction.sums.charged == 199
        assert not [it for it in events_of(buying) if "FAILURE" in it[0]]
        assert await subscription_of(world, buying) is not None
    assert len(await raw(world, "subscription")) == 2
    assert (await initial_charge(world, first)) is not None


async def test_the_same_key_twice_is_the_same_agreement(one_world: World) -> None:
    buying = a_customers_cart(one_world)
    first = (await buying.begin()).data
    again = await buying.begin()
    assert again.data == first
    assert again.event.type == "CHARGE_ACTION_REQUIRED"
    assert len(one_world.effects("draft")) == 1
    another = (await buying.begin(idempotency_key="another")).data
    assert another["agreementId"] != first["agreementId"]


async def test_the_same_key_after_the_approval_is_told_of_the_money(one_world: World) -> None:
    buying = a_customers_cart(one_world)
    await buying.begin()
    buying.approve()
    again = await buying.begin()
    assert again.event.type == "CHARGE_SUCCESS"
    assert buying.transaction.sums.charged == 199


async def test_a_session_with_other_terms_is_refused(one_world: World) -> None:
    """Saleor itself refuses another amount under the same key; whoever asks us directly is refused, too."""
    buying = a_customers_cart(one_world)
    await buying.begin()
    asked = SessionRequest(
        buying.transaction.id, ActionType.CHARGE, nok(5_000), buying.key, _cart(buying), dict(RETURN)
    )
    deps, installation = one_world.context.deps, await installed(one_world.context.deps, SHOP)
    for request in (
        asked,
        replace(asked, amount=nok(19_900), action=ActionType.AUTHORIZATION),
        replace(asked, amount=nok(19_900), idempotency_key="another"),
        replace(asked, amount=nok(19_900), cart=replace(asked.cart, customer="VXNlcjo5OQ==")),
    ):
        answer = await initialize(deps, installation, request)
        assert (answer.result, answer.psp_reference) == (EventType(f"{request.action}_FAILURE"), None)
        assert "has changed" in answer.message
    assert len(one_world.effects("draft")) == 1
    assert len(await raw(one_world, "payment_session")) == 1


def _cart(buying: Purchase) -> Cart:
    line = buying.checkout.lines[0]
    price = nok(19_900)
    lines = (CartLine(line.variant.id, line.variant.product.name, 1, price, price, MONTHLY),)
    user = buying.checkout.user
    return Cart(buying.checkout.id, "norway", user.id if user else None, lines, nok(0), None)


async def test_before_the_approval_the_customer_is_sent_to_vipps_again(one_world: World) -> None:
    buying = a_customers_cart(one_world)
    begun = await buying.begin()
    processed = await buying.process()
    assert (processed.event.type, processed.data) == ("CHARGE_ACTION_REQUIRED", begun.data)
    assert buying.checkout.charge_status == "NONE"


@each_once
@pytest.mark.usefixtures("version")
async def test_a_declined_payment_can_be_begun_anew(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.begin()
    world.vipps.reject(buying.agreement_id)
    declined = await buying.process()
    assert declined.event.type == "CHARGE_FAILURE"
    assert "declined" in declined.event.message
    assert declined.event.psp_reference in (None, "")
    again = a_customers_cart(world)
    await again.begin()
    again.approve()
    assert (await again.process()).event.type == "CHARGE_SUCCESS"


@each_once
@pytest.mark.usefixtures("version")
async def test_a_payment_that_nobody_approves_ends(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.begin()
    world.advance(timedelta(minutes=11))
    again = await buying.begin()
    assert (again.event.type, again.data) == ("CHARGE_FAILURE", None)
    assert "not approved in time" in again.event.message


async def test_money_that_cannot_be_taken_is_no_purchase(one_world: World) -> None:
    buying = a_customers_cart(one_world, a_product(one_world, "1.51"))  # Vipps' magic amount: no funds
    await buying.begin()
    buying.approve()
    assert (await buying.process()).event.type == "CHARGE_FAILURE"
    assert buying.transaction.sums.charged == 0


@each_once
@pytest.mark.usefixtures("version")
async def test_what_is_shipped_later_is_reserved_first(world: World) -> None:
    reserved = a_product(world, metadata=MONTHLY | {"vipps-recurring.initial": "reserve"})
    for buying, over in ((a_customers_cart(world, reserved), {}), (a_cart(world), {"action": "AUTHORIZATION"})):
        await buying.begin(**over)
        buying.approve()
        processed = await buying.process()
        assert processed.event.type == "AUTHORIZATION_SUCCESS"
        assert processed.event.amount == 199
        order = buying.complete()
        await world.drain()
        assert (order.authorize_status, order.charge_status) == ("FULL", "NONE")
        assert set(buying.transaction.actions) == {"CHARGE", "CANCEL"}
        assert await subscription_of(world, buying) is not None
    assert len(world.effects("reserve")) == 2


@each_once
@pytest.mark.usefixtures("version")
async def test_an_account_that_reserves_does_so_unless_the_product_says_otherwise(world: World) -> None:
    await world.set_account(reserve_initial=True)
    at_once = a_product(world, metadata=MONTHLY | {"vipps-recurring.initial": "capture"})
    for buying, result in (
        (a_cart(world), "AUTHORIZATION_SUCCESS"),
        (a_customers_cart(world, at_once), "CHARGE_SUCCESS"),
    ):
        await buying.begin()
        buying.approve()
        assert (await buying.process()).event.type == result
    assert (len(world.effects("reserve")), len(world.effects("charge"))) == (1, 1)


@each_once
@pytest.mark.usefixtures("version")
async def test_nothing_to_pay_now_makes_the_agreement_alone(world: World) -> None:
    world.saleor.create_voucher("FREE", 100)
    trial = a_product(world, metadata=MONTHLY | {"vipps-recurring.trial": "DAY:14"})
    buying = a_customers_cart(world, trial)
    world.saleor.add_promo_code(buying.checkout, "FREE")
    begun = await buying.begin()
    assert begun.event.type == "CHARGE_ACTION_REQUIRED"
    assert world.vipps.charges(buying.agreement_id) == []
    buying.approve()
    processed = await buying.process()
    assert processed.event.type == "CHARGE_SUCCESS"
    assert processed.event.amount == 0
    assert processed.event.psp_reference == buying.agreement_id
    buying.complete()
    await world.drain()
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    # The trial ends on the 16th, and all later periods are counted from there.
    assert [subscription.schedule.due(period) for period in (1, 2)] == [date(2026, 3, 16), date(2026, 4, 16)]
    assert (await agreement_row(world, buying.agreement_id)).price.minor == 19_900
    assert subscription.voucher == "FREE"
    assert subscription.voucher_policy is VoucherPolicy.FIRST


async def test_what_is_bought_once_is_paid_now_and_not_renewed(one_world: World) -> None:
    world = one_world
    once = a_product(world, 500, name="Grinder", metadata={})
    monthly = a_product(world, 199)
    buying = a_customers_cart(world, once, monthly)
    order = await buying.buy()
    assert order.total_charged == 699
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert [line.variant for line in subscription.lines] == [monthly.variants[0].id]
    assert (await agreement_row(world, buying.agreement_id)).price.minor == 19_900


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ([MONTHLY, {"vipps-recurring.interval": "WEEK:2"}], "renewed at different times"),
        ([{}], "no subscription in this cart"),
        ([{"vipps-recurring.interval": "monthly"}], "right now"),
        ([MONTHLY | {"vipps-recurring.trial": "two weeks"}], "right now"),
    ],
)
async def test_a_cart_that_cannot_be_paid_is_refused_in_words(
    one_world: World, metadata: list[dict[str, str]], words: str
) -> None:
    world = one_world
    buying = a_customers_cart(world, *(a_product(world, name=f"Tea {n}", metadata=it) for n, it in enumerate(metadata)))
    refused = await buying.begin()
    assert refused.event.type == "CHARGE_FAILURE"
    assert words in refused.event.message
    assert await raw(world, "payment_session") == []
    assert await raw(world, "agreement") == []


async def test_what_the_merchant_has_to_mend_is_told_to_the_merchant(one_world: World) -> None:
    world = one_world
    await world.set_account(client_secret=None)
    buying = a_customers_cart(world)
    refused = await buying.begin()
    assert refused.event.type == "CHARGE_FAILURE"
    assert "account" not in refused.event.message
    [problem] = world.saleor.problems.of(world.saleor.apps[0])
    assert "account set" in problem.message
    assert any("account set" in it["reason"] for it in await raw(world, "audit"))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "returnUrl"),
        (None, "returnUrl"),
        ({"returnUrl": "/thanks"}, "returnUrl"),
        ({"returnUrl": "javascript:alert(1)"}, "returnUrl"),
        ({"returnUrl": 7}, "returnUrl"),
        ({"returnUrl": "https://shop.example/thanks", "phoneNumber": "12"}, "phoneNumber"),
        ({"returnUrl": "https://shop.example/thanks", "phoneNumber": ["4791234567"]}, "phoneNumber"),
    ],
)
async def test_what_the_storefront_says_is_checked(one_world: World, data: object, field: str) -> None:
    refused = await a_customers_cart(one_world).begin(data=data)
    assert refused.event.type == "CHARGE_FAILURE"
    assert field in refused.event.message
    assert one_world.effects("draft") == []


async def test_an_app_may_be_returned_to_and_a_phone_number_given(one_world: World) -> None:
    begun = await a_customers_cart(one_world).begin(
        data={"returnUrl": "myshop://thanks", "phoneNumber": "+47 912 34 567"}
    )
    assert begun.event.type == "CHARGE_ACTION_REQUIRED"
    assert not any("91234567" in str(row) for row in await raw(one_world, "operation"))


@pytest.mark.parametrize(("amount", "kind"), [("0.50", "CHARGE_FAILURE"), ("1.00", "CHARGE_ACTION_REQUIRED")])
async def test_the_least_amount_is_vipps_own(one_world: World, amount: str, kind: str) -> None:
    assert (await a_customers_cart(one_world).begin(amount=amount)).event.type == kind


async def test_nobody_owns_what_was_bought_without_an_account(one_world: World) -> None:
    buying = a_cart(one_world)
    await buying.buy()
    assert (await agreement_row(one_world, buying.agreement_id)).customer is None
    subscription = await subscription_of(one_world, buying)
    assert subscription is not None
    assert subscription.customer is None
    owned = a_customers_cart(one_world)
    await owned.buy()
    assert owned.checkout.user is not None
    assert (await agreement_row(one_world, owned.agreement_id)).customer == owned.checkout.user.id


@pytest.mark.parametrize(
    "trouble",
    [
        Fault("timeout-after", operation="draftAgreement", seconds=0.05),
        Fault("reset-after", operation="draftAgreement"),
        Fault("timeout-before", operation="draftAgreement", seconds=0.05),
        Fault("status", operation="draftAgreement", status=500),
        Fault("status", operation="draftAgreement", status=503, when="after"),
        Fault("garbage", operation="draftAgreement", when="after"),
    ],
    ids=lambda it: f"{it.kind}-{it.when}",
)
@each_version
@pytest.mark.usefixtures("version")
async def test_what_is_lost_on_the_way_is_made_once(world: World, trouble: Fault) -> None:
    """The shopper tries again and goes on with the same agreement; nobody pays twice."""
    buying = a_customers_cart(world)
    world.vipps.faults.add(replace(trouble, times=2))
    world.vipps.faults.add(Fault("status", operation="listAgreements", status=503, times=2))
    failed = await buying.begin()
    if failed.event.type == "CHARGE_FAILURE":
        assert failed.event.message == "Vipps did not answer; please try again."
    world.vipps.faults.clear()
    world.advance(timedelta(minutes=1))
    begun = await buying.begin()
    assert begun.event.type == "CHARGE_ACTION_REQUIRED"
    buying.approve()
    # Where Saleor was told of a failure it asks no more: then the report tells it of the money.
    await recover(world, 1)
    assert buying.transaction.sums.charged == 199
    buying.complete()
    await world.drain()
    assert [entry.amount for entry in world.effects("charge")] == [19_900]
    assert len(await raw(world, "agreement")) == 1
    assert await subscription_of(world, buying) is not None


async def test_an_answer_that_takes_too_long_is_not_waited_for(one_world: World) -> None:
    world = one_world
    deps = replace(world.context.deps, limits=replace(world.context.deps.limits, session_seconds=0.2))
    buying = a_customers_cart(world)
    await buying.begin()
    slow = SessionRequest("T:slow", ActionType.CHARGE, nok(19_900), "slow", _cart(buying), dict(RETURN))
    world.vipps.faults.add(Fault("slow", operation="draftAgreement", seconds=5))
    started = time.monotonic()
    answer = await initialize(deps, await installed(deps, SHOP), slow)
    assert time.monotonic() - started < 3
    assert (answer.result, answer.message) == (EventType.CHARGE_FAILURE, "Vipps did not answer; please try again.")
    world.advance(timedelta(minutes=1))
    again = await initialize(deps, await installed(deps, SHOP), slow)
    assert again.result is EventType.CHARGE_ACTION_REQUIRED
    # What Vipps made before the answer was lost is found again, or was never shown to anybody.
    assert len(await raw(world, "agreement")) == 2


async def test_a_key_whose_draft_never_came_about_is_over_after_its_life(one_world: World) -> None:
    world = one_world
    deps, installation = world.context.deps, await installed(world.context.deps, SHOP)
    buying = a_customers_cart(world)
    request = SessionRequest("T:late", ActionType.CHARGE, nok(19_900), "late", _cart(buying), dict(RETURN))
    world.vipps.faults.add(Fault("status", operation="draftAgreement", status=500, times=None))
    assert "did not answer" in (await initialize(deps, installation, request)).message
    world.vipps.faults.clear()
    world.advance(timedelta(minutes=11))
    for _ in range(2):
        over = await initialize(deps, installation, request)
        assert over.result is EventType.CHARGE_FAILURE
        assert "begin again" in over.message
    assert (await buying.begin()).event.type == "CHARGE_ACTION_REQUIRED"


async def test_while_vipps_is_away_the_answer_is_what_we_know(one_world: World) -> None:
    """A failure would be final for Saleor, while the customer may have paid."""
    world = one_world
    buying = a_customers_cart(world)
    begun = await buying.begin()
    buying.approve()
    world.vipps.faults.add(Fault("status", operation="getAgreement", status=503, times=None))
    processed = await buying.process()
    assert (processed.event.type, processed.data) == ("CHARGE_ACTION_REQUIRED", begun.data)
    world.vipps.faults.clear()
    assert (await buying.process()).event.type == "CHARGE_SUCCESS"


async def test_many_at_once_with_one_key_are_one_agreement(one_world: World) -> None:
    buying = a_customers_cart(one_world)
    await buying.begin()
    request = SessionRequest("T:many", ActionType.CHARGE, nok(19_900), "many", _cart(buying), dict(RETURN))
    deps, installation = one_world.context.deps, await installed(one_world.context.deps, SHOP)
    answers = await asyncio.gather(*(initialize(deps, installation, request) for _ in range(5)))
    assert len({str(it.data) for it in answers}) == 1
    assert {it.result for it in answers} == {EventType.CHARGE_ACTION_REQUIRED}
    assert len(one_world.effects("draft")) == 2


async def test_another_shops_transaction_is_unknown(sqlite_url: str) -> None:
    other = "https://other.example/graphql/"
    world = make_world(sqlite_url, (SHOP, other))
    for shop in world.shops.values():
        await world.install(shop)
    await world.set_account()
    await world.set_account(shop=other)
    buying = a_customers_cart(world)
    await buying.begin()
    buying.approve()
    request = SessionRequest(buying.transaction.id, ActionType.CHARGE, nok(19_900), "", _cart(buying), {})
    answer = await process(world.context.deps, await installed(world.context.deps, other), request)
    assert (answer.result, answer.data, answer.psp_reference) == (EventType.CHARGE_FAILURE, None, None)
    assert (await buying.process()).event.type == "CHARGE_SUCCESS"
    await world.context.close()


async def test_a_storefront_learns_where_it_can_be_used(one_world: World) -> None:
    world = one_world
    checkout = a_customers_cart(world).checkout
    [shown] = await world.saleor.payment_gateway_initialize(checkout)
    assert shown.data == {"ok": True, "channel": "norway", "currency": "NOK"}
    await world.set_account(client_secret=None)
    [hidden] = await world.saleor.payment_gateway_initialize(checkout)
    assert hidden.data["ok"] is False
    assert "account" not in hidden.data["reason"]
