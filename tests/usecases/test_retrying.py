"""Failed charges that staff have charged again: once, however often and by however many it is asked for."""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any

import pytest

from app.domain.account import system
from app.domain.charge import Charge, ChargeStatus
from app.domain.errors import IllegalState, NotFound, Overtaken
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.ending import end
from app.usecases.retrying import retry_charges
from tests.usecases.renewing import Subscribed, days_pass, settle, subscribe
from tests.usecases.steps import LEASE, MACHINE, Died, Interrupted, Life, a_collected_charge, mortal, trouble
from tests.usecases.test_dunning import failing
from tests.world import SHOP, World

LIVES = 12  # more than there are steps


async def failed(world: World, count: int = 1, **policy: Any) -> list[Subscribed]:
    """Everybody's first charge has failed at Vipps; the next one would succeed."""
    them = [await failing(world, **policy)]
    them += [await subscribe(world, product=them[0].product) for _ in range(count - 1)]
    for one in them[1:]:
        world.vipps.set_failure(one.agreement, "user_action_required")
    await days_pass(world, 6)
    for one in them:
        assert (await one.charge()).status is ChargeStatus.FAILED
        world.vipps.set_failure(one.agreement, None)
    return them


async def again(world: World, *charges: Charge) -> list[type[Exception] | None]:
    """What each is answered: nothing wrong, or which refusal."""
    items = (await retry_charges(world.context.deps, MACHINE, [it.id for it in charges])).items
    return [type(it.error) if it.error else None for it in items]


async def made(world: World, one: Subscribed) -> int:
    """How many charges of its agreement there are at Vipps, the failed one among them."""
    return len([it for it in world.effects("create") if it.agreement_id == one.agreement])


@pytest.mark.parametrize("policy", [{"retry_after": (60,)}, {"retry_after": ()}], ids=["waiting", "given up"])
async def test_two_people_at_once_and_whoever_comes_later_have_it_charged_once(
    world: World, policy: dict[str, Any]
) -> None:
    them = await failed(world, 3, **policy)
    charges = [await one.charge() for one in them]
    answers = await asyncio.gather(again(world, *charges), again(world, *charges))
    assert list(answers) == [[None] * 3] * 2
    await settle(world)
    assert await again(world, *charges) == [None] * 3
    await days_pass(world, 5)
    assert await again(world, *charges) == [None] * 3
    await settle(world)
    for one in them:
        assert await made(world, one) == 2
        assert ((await one.renewal()).status, (await one.row()).status) == (
            RenewalStatus.PAID,
            SubscriptionStatus.ACTIVE,
        )
        async with world.context.store.begin() as unit:
            entries = await unit.audit.of_object(SHOP, one.agreement)
        assert [it.action for it in entries].count("renewal.retried") == 1
    assert len(world.effects("charge")) == 3


@pytest.mark.parametrize("policy", [{"retry_after": (60,)}, {"retry_after": ()}], ids=["waiting", "given up"])
async def test_a_press_that_died_on_any_line_is_made_up_for_by_another(
    one_world: World, policy: dict[str, Any]
) -> None:
    world = one_world
    them = await failed(world, LIVES, **policy)
    for number, one in enumerate(them, 1):
        charge, life = await one.charge(), Life(number)
        with contextlib.suppress(Died):
            await retry_charges(mortal(world.context.deps, life), MACHINE, [charge.id])
        world.advance(LEASE)
        assert await again(world, charge) == [None], life.last
        if not life.ended:
            break
    assert 5 <= len(life.steps) < LIVES
    await days_pass(world, 5)
    for one in them[:number]:
        assert (await made(world, one), (await one.renewal()).status) == (2, RenewalStatus.PAID)
    assert len(world.effects("charge")) == number


async def test_what_is_stored_is_charged_though_nobody_presses_again(world: World) -> None:
    [one] = await failed(world, retry_after=(60,))
    assert await again(world, await one.charge()) == [None]
    world.jobs.waiting.clear()  # the process died before its job began
    await days_pass(world, 5)
    assert (await one.renewal()).status is RenewalStatus.PAID


async def test_an_answer_of_vipps_that_is_lost_is_found_and_not_charged_anew(world: World) -> None:
    [one] = await failed(world, retry_after=(60,))
    charge = await one.charge()
    trouble(world, "createCharge", {"kind": "reset-after"})
    assert await again(world, charge) == [None]
    await settle(world)
    assert await again(world, charge) == [None]
    await days_pass(world, 5)
    assert await made(world, one) == 2
    assert len(world.effects("charge")) == 1


async def test_a_press_that_comes_after_the_next_charge_failed_too_does_nothing(world: World) -> None:
    [one] = await failed(world, retry_after=(1, 60))
    world.vipps.set_failure(one.agreement, "user_action_required")
    first = await one.charge()
    await days_pass(world, 6)
    second = await one.charge(attempt=2)
    assert second.status is ChargeStatus.FAILED
    assert await again(world, first) == [Overtaken]
    await settle(world)
    assert await made(world, one) == 2
    assert await again(world, second) == [None]


async def test_each_that_cannot_be_charged_again_says_so_and_the_others_are(world: World) -> None:
    [good, ended] = await failed(world, 2, retry_after=(60,))
    collected = await a_collected_charge(world)
    async with world.context.store.begin() as unit:
        [once] = (await unit.charges.find(SHOP, collected.agreement_id, [collected.charge_id])).values()
    await end(world.context.deps, system(SHOP), await ended.row(), "the customer has enough")
    charges = [await good.charge(), once, await ended.charge()]
    unknown = (await retry_charges(world.context.deps, MACHINE, ["x", charges[0].id])).items
    assert isinstance(unknown[0].error, NotFound)
    assert unknown[1].error is None
    assert await again(world, *charges[1:]) == [IllegalState, IllegalState]


async def test_a_subscription_that_somebody_stops_meanwhile_is_not_charged(world: World) -> None:
    [one] = await failed(world, retry_after=())
    charge = await one.charge()
    assert (await one.row()).status is SubscriptionStatus.HELD

    async def held_again() -> None:
        row = await one.row()
        if row.status is SubscriptionStatus.ACTIVE:
            held = row.held("the shop looks into it")
            await one.change(held)

    deps = world.context.deps
    store = Interrupted(deps.store, 3, held_again)
    [item] = (await retry_charges(replace(deps, store=store), MACHINE, [charge.id])).items
    assert isinstance(item.error, IllegalState)
    await settle(world)
    assert await made(world, one) == 1
