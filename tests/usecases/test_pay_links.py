"""A customer pays a failed renewal by a link: once, whatever happens beside it, and the subscription goes on."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.dunning import GiveUp
from app.domain.errors import IllegalState, RecurringError, Unavailable
from app.domain.recovery import RecoveryStatus
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import Subscription, SubscriptionStatus
from app.usecases.pay_links import PayState, pay, pay_page
from app.usecases.subscriptions import CancelAt, cancel
from app.usecases.watchdog import watch
from app.vipps.simulator.faults import Fault
from tests.usecases.renewing import Subscribed, days_pass, problems, settle, subscribe
from tests.usecases.steps import agreement_row
from tests.usecases.test_dunning import failing
from tests.usecases.test_subscriptions import owner
from tests.world import SHOP, World

PRICE = 19_900


async def in_dunning(world: World, **policy: Any) -> Subscribed:
    """Its first period failed at Vipps; the next charge is due in three days."""
    them = await failing(world, **policy)
    await days_pass(world, 6)
    assert await them.outcomes() == ["WAITING/CHARGE_FAILED"]
    return them


async def given_up(world: World) -> Subscribed:
    them = await failing(world, then=GiveUp.HOLD)
    await days_pass(world, 25)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED"]
    assert (await them.row()).status is SubscriptionStatus.HELD
    return them


async def begin(them: Subscribed) -> str:
    """The customer follows the link and presses the button; the new agreement's id."""
    before = set(them.world.vipps.book.agreements)
    address = await pay(them.world.context.deps, (await them.renewal()).id)
    assert address.startswith("https://")
    [new] = set(them.world.vipps.book.agreements) - before
    return new


async def on(world: World, agreement: str) -> Subscription | None:
    row = await agreement_row(world, agreement)
    async with world.context.store.begin() as unit:
        return await unit.subscriptions.get(SHOP, row.id)


async def state(them: Subscribed) -> PayState:
    return (await pay_page(them.world.context.deps, (await them.renewal()).id)).state


async def refused(them: Subscribed) -> RecurringError:
    with pytest.raises(RecurringError) as raised:
        await pay(them.world.context.deps, (await them.renewal()).id)
    return raised.value


async def test_a_failed_period_is_paid_once_and_the_subscription_goes_on_with_the_new_agreement(world: World) -> None:
    them = await in_dunning(world)
    before = await them.row()
    assert await state(them) is PayState.PAYABLE

    new = await begin(them)
    assert await state(them) is PayState.WAITING
    world.vipps.approve(new)
    await settle(world)

    paid = await them.renewal()
    assert (paid.status, paid.agreement_id) == (RenewalStatus.PAID, new)
    assert await state(them) is PayState.PAID
    [order] = them.orders()
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE)]
    assert (await agreement_row(world, them.agreement)).status == "STOPPED"
    assert (await them.row()).status is SubscriptionStatus.ENDED
    moved = await on(world, new)
    assert moved is not None
    assert (moved.status, moved.next_period, moved.next_due) == (
        SubscriptionStatus.ACTIVE,
        before.next_period,
        before.next_due,
    )

    await days_pass(world, 40)
    assert [it.agreement_id for it in world.effects("charge")] == [new, new]
    assert await watch(world.context.deps) == []


async def test_what_was_given_up_is_paid_and_renewed_again(world: World) -> None:
    them = await given_up(world)
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)

    assert (await them.renewal()).status is RenewalStatus.PAID
    moved = await on(world, new)
    assert moved is not None
    assert (moved.status, moved.reason) == (SubscriptionStatus.ACTIVE, None)
    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE)]
    [order] = [it for it in them.orders() if it.status != "DRAFT"]
    assert order.charge_status == "FULL"
    assert await watch(world.context.deps) == []


@pytest.mark.parametrize("end", ["rejected", "forgotten"])
async def test_a_link_that_comes_to_nothing_is_no_failure(world: World, end: str) -> None:
    them = await in_dunning(world)
    before = await them.renewal()
    new = await begin(them)
    if end == "rejected":
        world.vipps.reject(new)
    else:
        world.advance(timedelta(minutes=12))
    await settle(world)

    after = await them.renewal()
    assert (after.status, after.attempt, after.next_attempt_at) == (before.status, 1, before.next_attempt_at)
    assert await state(them) is PayState.PAYABLE
    world.vipps.set_failure(them.agreement, None)
    await days_pass(world, 5)
    assert await them.outcomes() == ["PAID"]
    assert [it.agreement_id for it in world.effects("charge")] == [them.agreement]
    assert await state(them) is PayState.PAID


async def test_what_was_given_up_stays_so_where_the_link_comes_to_nothing_and_may_be_paid_later(world: World) -> None:
    them = await given_up(world)
    world.vipps.reject(await begin(them))
    await settle(world)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED"]
    assert (await them.row()).status is SubscriptionStatus.HELD

    world.vipps.approve(await begin(them))
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_the_same_draft_for_as_long_as_it_lives(one_world: World) -> None:
    them = await in_dunning(one_world)
    deps, renewal = one_world.context.deps, await them.renewal()
    first = await pay(deps, renewal.id)
    one_world.advance(timedelta(minutes=3))
    await settle(one_world, rounds=0)
    assert await pay(deps, renewal.id) == first
    assert len(one_world.vipps.book.agreements) == 2
    one_world.advance(timedelta(minutes=12))
    assert await pay(deps, renewal.id) != first
    assert len(one_world.vipps.book.agreements) == 3


async def test_no_retry_runs_beside_the_link(world: World) -> None:
    """The day of the next charge comes while the customer is in the Vipps app."""
    them = await in_dunning(world)
    renewal = await them.renewal()
    assert renewal.next_attempt_at is not None
    world.advance(renewal.next_attempt_at - world.time.now - timedelta(minutes=1))
    new = await begin(them)
    creations = len(world.effects("create"))
    world.advance(timedelta(minutes=4))
    async with world.context.store.begin() as unit:
        await unit.renewals.wake(SHOP, renewal.id, world.time.now)
    await settle(world, rounds=1)
    assert len(world.effects("create")) == creations

    world.vipps.approve(new)
    await settle(world)
    assert [it.agreement_id for it in world.effects("charge")] == [new]


async def test_a_charge_that_is_under_way_is_not_paid_by_link_too(world: World) -> None:
    them = await in_dunning(world)
    await days_pass(world, 1)
    assert (await them.renewal()).status is RenewalStatus.CHARGING
    assert await state(them) is PayState.UNDER_WAY
    assert isinstance(await refused(them), IllegalState)


async def test_a_link_of_what_is_paid_does_nothing(one_world: World) -> None:
    them = await subscribe(one_world)
    await days_pass(one_world, 5)
    assert await them.outcomes() == ["PAID"]
    assert await state(them) is PayState.PAID
    assert isinstance(await refused(them), IllegalState)
    assert len(one_world.vipps.book.agreements) == 1


async def test_an_answer_that_is_lost_leaves_one_draft_that_can_be_paid(world: World) -> None:
    them = await in_dunning(world)
    world.vipps.faults.add(Fault("timeout-after", method="POST", path="/agreements"))
    world.vipps.faults.add(Fault("status", operation="listAgreements", status=503))
    assert isinstance(await refused(them), Unavailable)
    world.advance(timedelta(minutes=1))
    await pay(world.context.deps, (await them.renewal()).id)
    [new] = [name for name in world.vipps.book.agreements if name != them.agreement]
    world.vipps.approve(new)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_who_ends_the_subscription_while_paying_gets_the_money_back(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    await cancel(world.context.deps, await owner(them), [them.agreement], CancelAt.NOW)
    world.vipps.approve(new)
    await settle(world)

    assert [it.amount for it in world.effects("refund")] == [PRICE]
    assert (await agreement_row(world, new)).status == "STOPPED"
    assert await on(world, new) is None
    assert "vipps-recurring-renewal:ENDED" in problems(world)


async def test_a_later_period_that_waits_goes_on_with_the_new_agreement(world: World) -> None:
    them = await in_dunning(world, retry_after=(20, 20))
    row = await them.row()
    await them.change(
        replace(
            row,
            next_due=world.time.now.date() + timedelta(days=1),
            schedule=row.schedule.moved(row.next_period, world.time.now.date() + timedelta(days=1)),
        )
    )
    variant = them.product.variants[0]
    world.saleor.set_stock(variant, 0)
    await days_pass(world, 1)
    assert (await them.renewal(2)).reason is RenewalReason.OUT_OF_STOCK
    world.saleor.set_stock(variant, 100)

    new = await begin(them)
    world.vipps.approve(new)
    await days_pass(world, 6)
    assert [it.agreement_id for it in world.effects("charge")] == [new, new]
    moved = await agreement_row(world, new)
    async with world.context.store.begin() as unit:
        periods = await unit.renewals.of_subscription(SHOP, moved.id)
    assert [(it.period, it.status) for it in periods] == [(1, RenewalStatus.PAID), (2, RenewalStatus.PAID)]
    assert await watch(world.context.deps) == []


async def test_vipps_webhook_brings_it_to_its_end_at_once(world: World) -> None:
    them = await in_dunning(world)
    await world.register_webhooks()
    world.vipps.approve(await begin(them))
    await world.drain()

    renewal = await them.renewal()
    assert renewal.status is RenewalStatus.PAID
    async with world.context.store.begin() as unit:
        recovery = await unit.recoveries.newest(SHOP, renewal.id)
    assert recovery is not None
    assert recovery.status is RecoveryStatus.PAID
