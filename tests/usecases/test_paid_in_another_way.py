"""A renewal's order that is paid in another way as well: its customer pays once, by link or by charge."""

from datetime import timedelta

import pytest

from app.domain.account import ApiVersion
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.watchdog import watch
from tests.usecases.renewing import days_pass, problems, settle, subscribe
from tests.usecases.test_pay_links import PRICE, begin, given_up, in_dunning, on
from tests.world import World


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_who_paid_in_another_way_between_press_and_approval_gets_the_links_money_back(
    world: World, version: str
) -> None:
    await world.set_account(api_version=ApiVersion(version))
    them = await in_dunning(world)
    new = await begin(them)
    [order] = them.orders()
    world.saleor.mark_charged(order)
    world.vipps.approve(new)
    await settle(world)

    assert [it.amount for it in world.effects("charge")] == [PRICE]
    assert [it.amount for it in world.effects("refund")] == [PRICE]
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE
    assert problems(world) == ["vipps-recurring-renewal:NOTHING_TO_PAY"]
    await days_pass(world, 30)
    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE), (new, PRICE)]
    assert len(world.effects("refund")) == 1
    assert await watch(world.context.deps) == []


async def test_who_paid_a_given_up_period_in_another_way_gets_the_links_money_back(world: World) -> None:
    them = await given_up(world)
    new = await begin(them)
    order = next(it for it in reversed(them.orders()) if it.status == "DRAFT")
    world.saleor.mark_charged(order)
    world.vipps.approve(new)
    await settle(world)
    assert [it.amount for it in world.effects("refund")] == [PRICE]
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_a_link_that_comes_to_nothing_leaves_a_paid_period_paid(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    [order] = them.orders()
    world.saleor.mark_charged(order)
    world.vipps.reject(new)
    await days_pass(world, 4)
    assert await them.outcomes() == ["PAID/NOTHING_TO_PAY"]
    assert world.effects("charge") == []
    assert order.status == "UNFULFILLED"


async def test_a_renewals_charge_is_taken_back_where_its_order_is_paid_in_another_way(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 3)
    [order] = them.orders()
    assert (await them.renewal()).status is RenewalStatus.CHARGING
    world.saleor.mark_charged(order)
    await settle(world)
    await days_pass(world, 4)

    assert world.effects("charge") == []
    assert [it.amount for it in world.effects("cancel")] == [PRICE]
    assert await them.outcomes() == ["PAID/NOTHING_TO_PAY"]
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    assert not any("not paid" in (note.message or "") for note in order.notes)


async def test_what_was_collected_all_the_same_is_told(world: World) -> None:
    """It was marked as paid too late to be taken back, or for this very charge: staff know, and nothing is guessed."""
    them = await subscribe(world)
    await days_pass(world, 3)
    [order] = them.orders()
    world.advance(timedelta(days=1, hours=12))
    world.saleor.mark_charged(order)
    await days_pass(world, 1)

    assert [it.amount for it in world.effects("charge")] == [PRICE]
    assert world.effects("refund") == []
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert problems(world) == ["vipps-recurring-renewal:NOTHING_TO_PAY"]
    assert any("paid in another way" in (note.message or "") for note in order.notes)
