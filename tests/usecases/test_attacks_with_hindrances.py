"""What stands in the way of an old period for some days neither ends it nor has it charged for more than was shown."""

from dataclasses import replace

import pytest

from app.domain.dunning import GiveUp
from app.domain.errors import IllegalState
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.pay_links import pay
from tests.usecases.renewing import days_pass, problems, settle
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin
from tests.usecases.test_retrying import again
from tests.world import World


@pytest.mark.parametrize("then", [GiveUp.HOLD, GiveUp.CONTINUE])
async def test_what_stands_in_the_way_of_an_old_period_for_a_day_does_not_end_it(world: World, then: GiveUp) -> None:
    """It was due three weeks ago: the patience with what is out of stock counts from the day on which it was."""
    them = await failing(world, then=then, retry_after=())
    await days_pass(world, 20)
    world.vipps.set_failure(them.agreement, None)
    world.saleor.set_stock(them.product.variants[0], 0)
    failed = await them.charge()
    assert await again(world, failed) == [None]
    await settle(world)
    assert await them.outcomes() == ["WAITING/OUT_OF_STOCK"]
    world.saleor.set_stock(them.product.variants[0], 100)
    await days_pass(world, 6)
    assert await them.outcomes() == ["PAID"]


async def test_a_period_that_is_given_up_while_something_is_in_the_way_can_be_charged_later(world: World) -> None:
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await days_pass(world, 20)
    world.vipps.set_failure(them.agreement, None)
    world.saleor.set_stock(them.product.variants[0], 0)
    failed = await them.charge()
    assert await again(world, failed) == [None]
    await days_pass(world, 17)
    assert "FAILED/CHARGE_FAILED" in await them.outcomes()
    assert "OUT_OF_STOCK" in ((await them.renewal()).reason_text or "")
    assert "vipps-recurring-renewal:CHARGE_FAILED" in problems(world)
    world.saleor.set_stock(them.product.variants[0], 100)
    assert await again(world, failed) == [None]
    await days_pass(world, 6)
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_a_policy_that_cancels_does_not_do_so_for_three_days_without_stock(world: World) -> None:
    them = await failing(world, then=GiveUp.CANCEL, retry_after=(12, 20))
    await days_pass(world, 14)
    world.saleor.set_stock(them.product.variants[0], 0)
    world.vipps.set_failure(them.agreement, None)
    await days_pass(world, 8)
    assert await them.outcomes() == ["WAITING/OUT_OF_STOCK"]
    world.saleor.set_stock(them.product.variants[0], 100)
    await days_pass(world, 6)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (await them.row()).status is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize("how", ["retry", "link"])
async def test_a_period_is_never_charged_more_than_staff_and_customer_were_shown(world: World, how: str) -> None:
    """Its order is gone, and the next one has the quantities of today."""
    await world.set_account(complete_when_paid=False)
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await days_pass(world, 20)
    failed, before = await them.charge(), await them.renewal()
    row = await them.row()
    await them.change(replace(row, lines=tuple(replace(it, quantity=3) for it in row.lines)))
    world.vipps.set_failure(them.agreement, None)
    if how == "retry":
        assert await again(world, failed) == [None]
        await days_pass(world, 3)
        assert "WAITING/COSTS_MORE" in await them.outcomes()
        assert "the charge that failed was of" in ((await them.renewal()).reason_text or "")
    else:
        with pytest.raises(IllegalState, match="the charge that failed was of"):
            await pay(world.context.deps, before.id)
    assert [it.amount for it in world.effects("charge")] == []


async def test_a_link_that_is_refused_for_its_sum_is_told_to_staff_and_leaves_no_draft(world: World) -> None:
    """Nobody else would know of it: the customer is told to ask the shop."""
    await world.set_account(complete_when_paid=False)
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await days_pass(world, 20)
    row, before = await them.row(), await them.renewal()
    await them.change(replace(row, lines=tuple(replace(it, quantity=3) for it in row.lines)))
    for _ in range(2):
        with pytest.raises(IllegalState, match="the charge that failed was of"):
            await pay(world.context.deps, before.id)
        assert [it.status for it in them.orders()] == ["CANCELED"]
    assert problems(world) == ["vipps-recurring-renewal:COSTS_MORE"]
    after = await them.renewal()
    assert (after.status, after.reason) == (RenewalStatus.FAILED, before.reason)

    await them.change(replace(await them.row(), lines=row.lines))
    world.vipps.approve(await begin(them))
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [19_900]


async def test_a_link_that_was_refused_for_stock_takes_what_the_subscription_has_by_then(world: World) -> None:
    await world.set_account(complete_when_paid=False)
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await days_pass(world, 20)
    world.saleor.set_stock(them.product.variants[0], 0)
    with pytest.raises(IllegalState):
        await pay(world.context.deps, (await them.renewal()).id)
    assert [it.status for it in them.orders()] == ["CANCELED"]
    assert problems(world) == ["vipps-recurring-renewal:OUT_OF_STOCK"]
    row, other = await them.row(), world.saleor.create_product(price=199, is_shipping_required=False)
    await them.change(replace(row, lines=tuple(replace(it, variant=other.variants[0].id) for it in row.lines)))
    world.vipps.approve(await begin(them))
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [19_900]
