"""The database comes back as it was before a pay link: Vipps has the payment, and nobody pays a second time."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import SQLModel

from app.domain.account import ApiVersion
from app.domain.errors import IllegalState
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.known import find_agreement
from app.usecases.pay_links import PayState
from app.usecases.reconciliation import reconcile_account
from app.usecases.watchdog import watch
from app.vipps.simulator.faults import Fault
from tests.usecases.renewing import days_pass, problems, settle
from tests.usecases.steps import agreement_row, calls_of, each_once, the_account
from tests.usecases.test_pay_links import PRICE, begin, given_up, in_dunning, on, refused, state
from tests.usecases.test_subscriptions import STAFF
from tests.world import World


@pytest.fixture
async def version(request: pytest.FixtureRequest, world: World) -> ApiVersion:
    version = ApiVersion(request.param)
    await world.set_account(api_version=version)
    return version


async def a_backup(world: World) -> Callable[[], Awaitable[None]]:
    """The database as it is now; calling what this gives brings it back, in a process that has just started."""
    tables, engine = SQLModel.metadata.sorted_tables, world.context.store.engine
    async with engine.connect() as connection:
        rows = {it.name: [dict(row) for row in (await connection.execute(it.select())).mappings()] for it in tables}

    async def restore() -> None:
        world.jobs.waiting.clear()
        world.jobs.later.clear()
        async with engine.begin() as connection:
            for it in reversed(tables):
                await connection.execute(it.delete())
            for it in tables:
                if rows[it.name]:
                    await connection.execute(it.insert(), rows[it.name])

    return restore


@each_once
@pytest.mark.usefixtures("version")
async def test_what_was_paid_at_vipps_is_not_charged_again_by_a_retry(world: World) -> None:
    """The approval came after the app was gone: no process of ours has ever seen it."""
    them = await in_dunning(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.set_failure(them.agreement, None)
    await restore()
    world.vipps.approve(new)
    await days_pass(world, 6)

    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE)]
    paid = await them.renewal()
    assert (paid.status, paid.agreement_id) == (RenewalStatus.PAID, new)
    [order] = them.orders()
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE
    assert moved.customer == (await them.row()).customer
    await days_pass(world, 30)
    assert [it.agreement_id for it in world.effects("charge")] == [new, new]
    assert await watch(world.context.deps) == []


@each_once
@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("night", ["before", "after"])
async def test_what_had_moved_already_is_found_where_it_is(world: World, night: str) -> None:
    them = await in_dunning(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    await restore()
    if night == "before":
        await reconcile_account(world.context.deps, await the_account(world))
        await watch(world.context.deps)
    await days_pass(world, 4)

    assert len(world.effects("charge")) == 1
    paid = await them.renewal()
    assert (paid.status, paid.agreement_id) == (RenewalStatus.PAID, new)
    [order] = them.orders()
    assert order.charge_status == "FULL"
    assert await on(world, new) is not None
    assert problems(world) == []


@each_once
@pytest.mark.usefixtures("version")
async def test_who_presses_again_is_not_asked_to_pay_again(world: World) -> None:
    them = await in_dunning(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.approve(new)
    await restore()
    await refused(them)
    await settle(world)

    assert len(world.vipps.book.agreements) == 2
    assert [it.agreement_id for it in world.effects("charge")] == [new]
    assert await state(them) is PayState.PAID


async def test_who_presses_again_after_it_had_moved_already_keeps_the_subscription(world: World) -> None:
    them = await in_dunning(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)
    await restore()
    await refused(them)
    await settle(world)

    assert len(world.effects("charge")) == 1
    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE
    assert (await them.renewal()).status is RenewalStatus.PAID


@each_once
@pytest.mark.usefixtures("version")
async def test_who_presses_again_after_it_was_given_up_is_not_asked_to_pay_again(world: World) -> None:
    them = await given_up(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.approve(new)
    await restore()
    await refused(them)
    await settle(world)

    assert [it.agreement_id for it in world.effects("charge")] == [new]
    assert await state(them) is PayState.PAID
    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE


@each_once
@pytest.mark.usefixtures("version")
async def test_a_forgotten_draft_that_may_still_be_approved_is_waited_for(world: World) -> None:
    them = await in_dunning(world)
    world.vipps.set_failure(them.agreement, None)
    renewal = await them.renewal()
    assert renewal.next_attempt_at is not None
    world.advance(renewal.next_attempt_at - world.time.now - timedelta(minutes=1))
    restore = await a_backup(world)
    new = await begin(them)
    await restore()
    creations = len(world.effects("create"))
    await settle(world, rounds=1)
    assert len(world.effects("create")) == creations
    world.vipps.approve(new)
    await settle(world)
    assert [it.agreement_id for it in world.effects("charge")] == [new]
    assert (await them.renewal()).status is RenewalStatus.PAID


@each_once
@pytest.mark.usefixtures("version")
async def test_forgotten_drafts_that_came_to_nothing_are_no_payment(world: World) -> None:
    them = await in_dunning(world)
    world.vipps.set_failure(them.agreement, None)
    restore = await a_backup(world)
    for _ in range(2):
        world.vipps.reject(await begin(them))
        await settle(world)
    await restore()
    await days_pass(world, 6)
    assert await them.outcomes() == ["PAID"]
    assert [it.agreement_id for it in world.effects("charge")] == [them.agreement]


async def test_of_several_forgotten_drafts_the_one_that_was_paid_is_found(world: World) -> None:
    them = await in_dunning(world)
    restore = await a_backup(world)
    world.vipps.reject(await begin(them))
    await settle(world)
    new = await begin(them)
    world.vipps.approve(new)
    await restore()
    await days_pass(world, 6)
    assert [it.agreement_id for it in world.effects("charge")] == [new]
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_a_forgotten_agreement_that_staff_looked_at_is_the_customers_again(one_world: World) -> None:
    them = await in_dunning(one_world)
    restore = await a_backup(one_world)
    new = await begin(them)
    one_world.vipps.approve(new)
    await restore()
    await find_agreement(one_world.context.deps, STAFF, new)
    await days_pass(one_world, 6)
    assert [it.agreement_id for it in one_world.effects("charge")] == [new]
    moved = await on(one_world, new)
    assert moved is not None
    row = await agreement_row(one_world, new)
    assert row.customer == moved.customer


async def test_a_vipps_that_cannot_be_asked_is_waited_for(one_world: World) -> None:
    them = await in_dunning(one_world)
    one_world.vipps.set_failure(them.agreement, None)
    one_world.vipps.faults.add(Fault("status", operation="getChargeById", status=503, times=None))
    await days_pass(one_world, 3)
    assert len(one_world.effects("create")) == 1
    one_world.vipps.faults.clear()
    await days_pass(one_world, 6)
    assert await them.outcomes() == ["PAID"]


async def test_a_v2_account_whose_keys_v3_does_not_take_is_charged_again_all_the_same(one_world: World) -> None:
    """It cannot look; to charge nobody any more for that would be worse."""
    them = await in_dunning(one_world)
    one_world.vipps.set_failure(them.agreement, None)
    one_world.vipps.faults.add("status", status=403, operation="getChargeById", times=None)
    await days_pass(one_world, 6)
    assert await them.outcomes() == ["PAID"]


async def test_a_v3_account_that_may_not_look_charges_nobody(one_world: World) -> None:
    await one_world.set_account(api_version=ApiVersion.V3)
    them = await in_dunning(one_world)
    one_world.vipps.set_failure(them.agreement, None)
    one_world.vipps.faults.add("status", status=403, operation="getChargeById", times=None)
    await days_pass(one_world, 6)
    assert one_world.effects("charge") == []


async def test_nothing_is_looked_for_before_a_charge_has_failed(one_world: World) -> None:
    them = await in_dunning(one_world)
    assert calls_of(one_world, "getChargeById") == []
    one_world.vipps.set_failure(them.agreement, None)
    await days_pass(one_world, 6)
    assert await them.outcomes() == ["PAID"]
    assert len(calls_of(one_world, "getChargeById")) == 3  # the next draft, and two behind it


async def test_a_backup_of_before_the_last_charge_lets_nobody_pay_a_period_twice(world: World) -> None:
    """The second charge was made and collected after the backup; the customer presses as soon as the app is back."""
    them = await in_dunning(world)
    restore = await a_backup(world)
    await days_pass(world, 1)
    assert (await them.renewal()).attempt == 2
    world.vipps.set_failure(them.agreement, None)
    world.advance(timedelta(days=3))  # the machine is broken
    await restore()
    assert len(world.effects("charge")) == 1
    assert (await them.renewal()).attempt == 1
    assert isinstance(await refused(them), IllegalState)
    await settle(world)
    assert len(world.effects("charge")) == 1
    assert await them.outcomes() == ["PAID"]


@each_once
@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("moved", [False, True], ids=["approved meanwhile", "moved before"])
async def test_a_period_that_was_given_up_and_paid_by_its_link_is_found_paid_by_the_next_morning(
    world: World, moved: bool
) -> None:
    them = await given_up(world)
    restore = await a_backup(world)
    new = await begin(them)
    world.vipps.approve(new)
    if moved:
        await settle(world)
        assert (await them.renewal()).status is RenewalStatus.PAID
    await restore()
    await days_pass(world, 1)
    await reconcile_account(world.context.deps, await the_account(world))
    await watch(world.context.deps)
    await settle(world)
    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE)]
    paid = await them.renewal()
    assert (paid.status, paid.agreement_id) == (RenewalStatus.PAID, new)
    now = await on(world, new)
    assert now is not None
    assert now.status is SubscriptionStatus.ACTIVE
    assert [order.charge_status for order in them.orders() if order.status == "UNFULFILLED"] == ["FULL"]


async def test_who_stops_the_agreement_while_a_period_is_unpaid_has_ended_the_subscription(world: World) -> None:
    """Nothing was ever paid by its link, so nothing is waited for."""
    them = await given_up(world)
    world.vipps.stop_in_app(them.agreement)
    await days_pass(world, 1)
    await reconcile_account(world.context.deps, await the_account(world))
    await watch(world.context.deps)
    await settle(world)
    assert (await them.row()).status is SubscriptionStatus.ENDED
