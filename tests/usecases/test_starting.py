"""A subscription begins once: with its order and its approval, whichever comes second, and not for a dead order."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.account import ApiVersion
from app.domain.agreement import AgreementStatus
from app.domain.subscription import VoucherPolicy
from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.models import Order
from app.usecases.installations import installed
from app.usecases.starting import begin_subscription
from app.usecases.stored_methods import delete_stored_method, stored_methods
from app.usecases.watchdog import watch
from tests.usecases.buying import (
    MONTHLY,
    Purchase,
    a_cart,
    a_customer,
    a_customers_cart,
    a_product,
    initial_charge,
    session_of,
    subscription_of,
)
from tests.usecases.steps import (
    a_subscriber,
    agreement_row,
    an_order,
    another_worker,
    each_once,
    each_version,
    raw,
    recover,
    status_of,
)
from tests.world import SHOP, World

RESERVE = MONTHLY | {"vipps-recurring.initial": "reserve"}


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


def status_at_vipps(world: World, buying: Purchase) -> str:
    return str(world.vipps.agreement(buying.agreement_id).status)


def cancelled(world: World, order: Order) -> None:
    world.saleor.cancel_order(order, world.saleor.users[-1])


async def ordered_unpaid(world: World) -> Purchase:
    """A shop that takes orders before they are paid: the order comes first, the approval second."""
    world.saleor.channels["norway"].allows_unpaid_orders = True
    buying = a_customers_cart(world)
    await buying.begin()
    buying.complete()
    await world.drain()
    return buying


@each_once
@pytest.mark.usefixtures("version")
async def test_the_approval_may_come_after_the_order(world: World) -> None:
    buying = await ordered_unpaid(world)
    assert await subscription_of(world, buying) is None
    buying.approve()
    await recover(world, 1)
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert buying.order is not None
    assert subscription.initial_order == buying.order.id
    assert buying.order.charge_status == "FULL"
    assert len(await raw(world, "subscription")) == 1


async def test_the_news_of_the_approval_starts_it_without_the_sweeper(one_world: World) -> None:
    world = one_world
    await world.register_webhooks()
    buying = await ordered_unpaid(world)
    buying.approve()
    await world.drain()
    assert await subscription_of(world, buying) is not None


async def test_the_sweeper_starts_what_everybody_forgot(one_world: World) -> None:
    world = one_world
    buying = await ordered_unpaid(world)
    buying.approve()
    await buying.process()
    world.jobs.waiting.clear()
    assert await subscription_of(world, buying) is None
    await world.sweep()
    assert await subscription_of(world, buying) is not None


async def test_the_watchdog_starts_what_nobody_heard_the_order_of(world: World) -> None:
    lost = frozenset({"ORDER_CREATED", "ORDER_UPDATED", "ORDER_CONFIRMED", "ORDER_FULLY_PAID", "ORDER_PAID"})
    world.saleor.mischief = Mischief(drop=True, events=lost)
    buying = a_customers_cart(world)
    await buying.buy()
    for _ in range(3):
        world.advance(timedelta(hours=1))
        await world.sweep()
    assert await subscription_of(world, buying) is None
    assert await watch(world.context.deps) == []
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert buying.order is not None
    assert subscription.initial_order == buying.order.id


@each_once
@pytest.mark.usefixtures("version")
async def test_it_begins_once_however_often_it_is_asked_for(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.buy()
    session = await session_of(world, buying)
    assert session is not None
    other = another_worker(world)
    await asyncio.gather(
        *(begin_subscription(deps, SHOP, session.id) for deps in (world.context.deps, other.deps) for _ in range(3))
    )
    await other.store.close()
    await recover(world, 2)
    assert len(await raw(world, "subscription")) == 1
    assert len([it for it in await raw(world, "audit") if it["action"] == "subscription.started"]) == 1


@each_once
@pytest.mark.usefixtures("version")
async def test_two_workers_begin_one_subscription(world: World) -> None:
    buying = await ordered_unpaid(world)
    world.vipps.approve(buying.agreement_id)
    await buying.process()
    session = await session_of(world, buying)
    assert session is not None
    other = another_worker(world)
    await asyncio.gather(*(begin_subscription(it, SHOP, session.id) for it in (world.context.deps, other.deps)))
    await other.store.close()
    assert len(await raw(world, "subscription")) == 1
    assert len([it for it in await raw(world, "audit") if it["action"] == "subscription.started"]) == 1


@each_once
@pytest.mark.usefixtures("version")
async def test_two_payments_of_one_order_renew_it_once(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.begin()
    buying.approve()
    twin = Purchase(world, buying.checkout)
    await twin.begin(amount=199)
    twin.approve()
    await buying.process()
    await twin.process()
    order = twin.complete()
    buying.order = order
    await recover(world, 3)
    assert len(await raw(world, "subscription")) == 1
    statuses = {status_at_vipps(world, it) for it in (buying, twin)}
    assert statuses == {"ACTIVE", "STOPPED"}
    [note] = [it for it in order.notes if "is stopped" in (it.message or "")]
    assert "199.00 NOK" in (note.message or "")
    assert order.total_charged == 398  # nobody but staff decides what is given back


@each_once
@pytest.mark.usefixtures("version")
async def test_a_second_reservation_is_kept_until_it_is_captured(world: World) -> None:
    """Two payments of 100 and 99: stopping the second agreement at once would release what it pays."""
    buying = a_customers_cart(world, a_product(world, metadata=RESERVE))
    await buying.begin(amount=100)
    buying.approve()
    await buying.process()
    twin = Purchase(world, buying.checkout)
    await twin.begin(amount=99)
    twin.approve()
    await twin.process()
    order = twin.complete()
    await recover(world, 2)
    assert order.total_authorized == 199
    assert {status_at_vipps(world, it) for it in (buying, twin)} == {"ACTIVE"}
    assert len(await raw(world, "subscription")) == 1
    for it in (buying, twin):
        world.saleor.request_action(it.transaction, "CHARGE")
    await recover(world, 3)
    assert order.total_charged == 199
    assert sorted([status_at_vipps(world, it) for it in (buying, twin)]) == ["ACTIVE", "STOPPED"]


@each_once
@pytest.mark.usefixtures("version")
async def test_a_dead_order_begins_nothing_and_its_reservation_is_released(world: World) -> None:
    buying = a_customers_cart(world, a_product(world, metadata=RESERVE))
    await buying.begin()
    buying.approve()
    await buying.process()
    world.saleor.mischief = Mischief(drop=True, events=frozenset({"ORDER_CREATED", "ORDER_UPDATED", "ORDER_CONFIRMED"}))
    order = buying.complete()
    await world.saleor.deliver()
    world.saleor.mischief = Mischief()
    cancelled(world, order)
    await recover(world, 2)
    assert await raw(world, "subscription") == []
    assert status_at_vipps(world, buying) == "STOPPED"
    assert [it.amount for it in world.effects("cancel")] == [19_900]
    assert buying.transaction.sums.canceled == 199
    charge = await initial_charge(world, buying)
    assert charge is not None
    assert (charge.captured, charge.cancelled) == (0, 19_900)


@each_once
@pytest.mark.usefixtures("version")
async def test_what_a_dead_order_has_paid_is_for_staff_to_refund(world: World) -> None:
    buying = a_customers_cart(world)
    await buying.begin()
    buying.approve()
    await buying.process()
    world.saleor.mischief = Mischief(drop=True, events=frozenset({"ORDER_CREATED", "ORDER_UPDATED", "ORDER_CONFIRMED"}))
    order = buying.complete()
    await world.saleor.deliver()
    world.saleor.mischief = Mischief()
    cancelled(world, order)
    await recover(world, 2)
    assert await raw(world, "subscription") == []
    assert status_at_vipps(world, buying) == "STOPPED"
    [note] = [it for it in order.notes if "is stopped" in (it.message or "")]
    assert "199.00 NOK" in (note.message or "")
    world.saleor.request_action(buying.transaction, "REFUND")
    await recover(world, 1)
    assert buying.transaction.sums.refunded == 199


async def test_an_order_that_is_cancelled_later_changes_nothing_here(one_world: World) -> None:
    buying = a_customers_cart(one_world)
    order = await buying.buy()
    cancelled(one_world, order)
    await recover(one_world, 1)
    assert await subscription_of(one_world, buying) is not None


async def test_a_payment_that_nobody_approves_keeps_no_order_from_being_charged(one_world: World) -> None:
    """Whoever knows an order's id may begin to pay for it, even its customer who would rather not be charged."""
    world = one_world
    who = await a_subscriber(world)
    order = an_order(world, who)
    order.lines[0].variant = a_product(world).variants[0]
    begun = await world.saleor.initialize_transaction(order, data={"returnUrl": "https://shop.example/x"})
    assert begun.event.type == "CHARGE_ACTION_REQUIRED"
    await world.drain()
    assert status_of(order) == ""  # while it waits for its customer
    await recover(world, 8)
    assert status_of(order) != ""
    assert [it.amount for it in world.effects("create")] == [19_900]


async def test_the_first_day_is_the_merchants(one_world: World) -> None:
    world = one_world
    world.advance(datetime(2026, 1, 30, 23, 30, tzinfo=UTC) + timedelta(days=365) - world.time.now)
    buying = a_customers_cart(world)
    await buying.buy()
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert [subscription.schedule.due(period) for period in (0, 1, 2)] == [
        date(2027, 1, 31),  # it is past midnight in Oslo
        date(2027, 2, 28),
        date(2027, 3, 31),
    ]


async def test_one_line_for_each_product_and_its_voucher(one_world: World) -> None:
    world = one_world
    world.saleor.create_voucher("TEN", 10)
    first = a_product(world, metadata=MONTHLY | {"vipps-recurring.voucher": "every"})
    second = a_product(world, 99, name="Tea")
    lines = [(first, 2), (second, 1), (a_product(world, 10, name="Spoon", metadata={}), 1)]
    checkout = world.saleor.create_checkout(a_customer(world), lines, billing=a_cart(world).checkout.billing_address)
    world.saleor.add_promo_code(checkout, "TEN")
    buying = Purchase(world, checkout)
    await buying.buy()
    subscription = await subscription_of(world, buying)
    assert subscription is not None
    assert {(it.variant, it.quantity, it.unit_price) for it in subscription.lines} == {
        (first.variants[0].id, 2, None),
        (second.variants[0].id, 1, None),
    }
    assert (subscription.voucher, subscription.voucher_policy) == ("TEN", VoucherPolicy.EVERY)
    # With the voucher each time: 10 % off 2 x 199 and 99.
    assert (await agreement_row(world, buying.agreement_id)).price.minor == 44_730


async def test_what_was_not_agreed_is_not_renewed_and_staff_are_told(one_world: World) -> None:
    """The cart was changed after the customer had approved: what is in it now is renewed at another rhythm."""
    world = one_world
    product = a_product(world)
    buying = a_customers_cart(world, product)
    await buying.begin()
    buying.approve()
    await buying.process()
    product.metadata["vipps-recurring.interval"] = "WEEK:1"
    buying.complete()
    await world.drain()
    assert await subscription_of(world, buying) is None
    [problem] = world.saleor.problems.of(world.saleor.apps[0])
    assert "cannot begin" in problem.message
    product.metadata["vipps-recurring.interval"] = "MONTH:1"
    await recover(world, 1)
    assert await subscription_of(world, buying) is not None


@each_version
@pytest.mark.usefixtures("version")
async def test_stored_payment_methods_are_their_owners(world: World) -> None:
    mine = a_customers_cart(world)
    await mine.buy()
    other = world.saleor.create_customer("kari@example.com", "Kari", "Nordmann")
    theirs = a_cart(world, user=other)
    await theirs.buy()
    deps, installation = world.context.deps, await installed(world.context.deps, SHOP)
    me = a_customer(world).id
    shown = await stored_methods(deps, installation, me, "norway")
    assert [it.agreement_id for it in shown] == [mine.agreement_id]
    for unknown in (theirs.agreement_id, "agr_unknown", "no id at all!"):
        assert await delete_stored_method(deps, installation, me, "norway", unknown) is not None
    assert status_at_vipps(world, theirs) == "ACTIVE"
    assert await delete_stored_method(deps, installation, me, "norway", mine.agreement_id) is None
    assert status_at_vipps(world, mine) == "STOPPED"
    subscription = await subscription_of(world, mine)
    assert subscription is not None
    assert subscription.status == "ENDED"
    assert await stored_methods(deps, installation, me, "norway") == []
    row = await agreement_row(world, mine.agreement_id)
    assert row.status is AgreementStatus.STOPPED
