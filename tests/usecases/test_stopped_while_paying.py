"""The customer approves a pay link's agreement and stops the old one: the subscription goes on with the new one."""

import pytest

from app.domain.account import ApiVersion
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.watchdog import watch
from tests.usecases.renewing import days_pass, settle
from tests.usecases.steps import hears_vipps
from tests.usecases.test_pay_links import PRICE, begin, given_up, in_dunning, on
from tests.world import World


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("told", [True, False], ids=["by webhook", "by looking"])
@pytest.mark.parametrize("first", ["approval", "stop"])
async def test_the_subscription_goes_on_with_what_its_customer_approved(
    world: World, version: str, told: bool, first: str
) -> None:
    await world.set_account(api_version=ApiVersion(version))
    if told:
        await hears_vipps(world)
    them = await in_dunning(world)
    new = await begin(them)
    if first == "approval":
        world.vipps.approve(new)
        world.vipps.stop_in_app(them.agreement)
    else:
        world.vipps.stop_in_app(them.agreement)
        if told:
            await world.drain()
        await watch(world.context.deps)
        world.vipps.approve(new)
    await settle(world)

    moved = await on(world, new)
    assert moved is not None
    assert moved.status is SubscriptionStatus.ACTIVE
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (await them.row()).moved_to == new
    await days_pass(world, 30)
    assert [(it.agreement_id, it.amount) for it in world.effects("charge")] == [(new, PRICE), (new, PRICE)]
    assert world.effects("refund") == []
    assert await watch(world.context.deps) == []


@pytest.mark.parametrize("end", ["rejected", "forgotten"])
@pytest.mark.parametrize("held", [False, True])
async def test_it_ends_where_nothing_comes_of_the_new_one(world: World, end: str, held: bool) -> None:
    await hears_vipps(world)
    them = await (given_up(world) if held else in_dunning(world))
    new = await begin(them)
    world.vipps.stop_in_app(them.agreement)
    if end == "rejected":
        world.vipps.reject(new)
    await days_pass(world, 1)
    await watch(world.context.deps)
    row = await them.row()
    assert (row.status, row.moved_to) == (SubscriptionStatus.ENDED, None)
    assert (await them.renewal()).status is RenewalStatus.FAILED
    assert world.effects("charge") == []
