"""A hold does not end a period whose charge has failed before: it can be collected once the hold is over."""

import pytest

from app.domain.dunning import GiveUp
from app.domain.renewal import RenewalStatus
from app.domain.subscription import UNPAID, SubscriptionStatus
from app.usecases.pay_links import PayState
from app.usecases.subscriptions import resume
from tests.usecases.renewing import Subscribed, days_pass, settle
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin, state
from tests.usecases.test_retrying import again
from tests.usecases.test_subscriptions import STAFF
from tests.world import World


async def out_of_stock(world: World) -> Subscribed:
    """Its first period failed, was given up, and waits for stock since staff had it charged again."""
    them = await failing(world, then=GiveUp.CONTINUE, retry_after=())
    await days_pass(world, 20)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED"]
    world.vipps.set_failure(them.agreement, None)
    world.saleor.set_stock(them.product.variants[0], 0)
    assert await again(world, await them.charge()) == [None]
    await settle(world)
    assert await them.outcomes() == ["WAITING/OUT_OF_STOCK"]
    return them


@pytest.mark.parametrize("how", ["retry", "link"])
async def test_a_period_that_waits_is_paid_after_another_one_put_the_subscription_on_hold(
    world: World, how: str
) -> None:
    them = await out_of_stock(world)
    await them.change((await them.row()).held(UNPAID))
    await days_pass(world, 2)
    assert (await them.renewal()).status is RenewalStatus.FAILED
    assert "HELD" in ((await them.renewal()).reason_text or "")
    world.saleor.set_stock(them.product.variants[0], 100)
    assert await state(them) is PayState.PAYABLE
    if how == "retry":
        assert await again(world, await them.charge()) == [None]
        await days_pass(world, 6)
    else:
        world.vipps.approve(await begin(them))
        await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [19_900]


@pytest.mark.parametrize("waits", ["for stock", "for its next charge"])
async def test_a_period_is_charged_again_after_the_shops_own_hold(world: World, waits: str) -> None:
    """Not while it is on hold, and nobody's link is open for it."""
    if waits == "for stock":
        them = await out_of_stock(world)
    else:
        them = await failing(world, then=GiveUp.CONTINUE, retry_after=(12,))
        await days_pass(world, 6)
        world.vipps.set_failure(them.agreement, None)
        assert await them.outcomes() == ["WAITING/CHARGE_FAILED"]
    await them.change((await them.row()).held("the shop is closed"))
    await days_pass(world, 12)
    assert (await them.renewal()).status is RenewalStatus.FAILED
    assert await state(them) is PayState.OVER
    world.saleor.set_stock(them.product.variants[0], 100)
    assert await again(world, await them.charge()) != [None]
    assert (await resume(world.context.deps, STAFF, [them.agreement])).items[0].error is None
    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    assert await again(world, await them.charge()) == [None]
    await days_pass(world, 6)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (await them.charge(attempt=2)).captured == 19_900
