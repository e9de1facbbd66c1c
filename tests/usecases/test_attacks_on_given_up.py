"""Periods given up where orders are completed before they are paid: their cancelled order is in nobody's way."""

from app.domain.dunning import GiveUp
from app.domain.renewal import RenewalStatus
from app.usecases.retrying import retry_charges
from tests.usecases.renewing import Subscribed, account_is, days_pass, settle
from tests.usecases.steps import MACHINE
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin
from tests.world import World


async def given_up(world: World) -> Subscribed:
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await account_is(world, complete_when_paid=False)
    await days_pass(world, 10)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED"]
    assert [it.status for it in them.orders()] == ["CANCELED"]
    world.vipps.set_failure(them.agreement, None)
    return them


async def paid_by_its_newest_order(them: Subscribed) -> bool:
    [*others, newest] = them.orders()
    paid = (await them.renewal()).status is RenewalStatus.PAID and newest.charge_status == "FULL"
    return paid and {it.status for it in others} == {"CANCELED"} and len(them.world.effects("charge")) == 1


async def test_it_is_charged_again_for_an_order_of_its_own(one_world: World) -> None:
    them = await given_up(one_world)
    [item] = (await retry_charges(one_world.context.deps, MACHINE, [(await them.charge()).id])).items
    assert item.error is None
    await days_pass(one_world, 6)
    assert await paid_by_its_newest_order(them)


async def test_it_is_paid_by_the_link_though_one_before_was_left(one_world: World) -> None:
    them = await given_up(one_world)
    await begin(them)
    await days_pass(one_world, 2)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED"]
    one_world.vipps.approve(await begin(them))
    await settle(one_world)
    assert await paid_by_its_newest_order(them)
