"""A failed renewal that is paid by link while its process dies on any line: paid once, ordered once, followed on."""

import contextlib

import pytest

from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.pay_links import pay
from app.usecases.renewals import renew
from app.usecases.watchdog import watch
from tests.usecases.renewing import Subscribed, days_pass, settle, subscribe
from tests.usecases.steps import LEASE, Died, Life, agreement_row, mortal, on_v3
from tests.usecases.test_dunning import failing
from tests.world import SHOP, World

MANY = 40  # lives, each of which ends two steps after the one before: more than there are steps


@pytest.fixture
async def unpaid(one_world: World) -> list[Subscribed]:
    """Everybody's first period has failed at Vipps."""
    # No day of a next charge comes while the story is told.
    them = [await failing(one_world, retry_after=(60, 60))]
    for _ in range(MANY - 1):
        one = await subscribe(one_world, product=them[0].product)
        one_world.vipps.set_failure(one.agreement, "user_action_required")
        them.append(one)
    await days_pass(one_world, 6)
    assert [await one.outcomes() for one in them] == [["WAITING/CHARGE_FAILED"]] * MANY
    return them


async def test_a_customer_presses_again_wherever_the_first_press_died(unpaid: list[Subscribed]) -> None:
    world = unpaid[0].world
    for number, them in enumerate(unpaid):
        renewal, life = await them.renewal(), Life(2 * number + 1)
        with contextlib.suppress(Died):
            await pay(mortal(world.context.deps, life), renewal.id)
        world.advance(LEASE)
        await pay(world.context.deps, renewal.id)
        await _approve(them)
        await settle(world)
        await _paid_once(them, life)
        if not life.ended:
            break
    assert 12 <= len(life.steps) < 2 * MANY
    assert len(world.effects("charge")) == number + 1


async def test_the_approval_is_followed_wherever_its_worker_died(unpaid: list[Subscribed]) -> None:
    world = unpaid[0].world
    await on_v3(world)
    for number, them in enumerate(unpaid):
        renewal, life = await them.renewal(), Life(2 * number + 1)
        await pay(world.context.deps, renewal.id)
        await _approve(them)
        async with world.context.store.begin() as unit:
            await unit.renewals.wake(SHOP, renewal.id, world.time.now)
        with contextlib.suppress(Died):
            await renew(mortal(world.context.deps, life), SHOP, renewal.id)
        world.advance(LEASE)
        await settle(world)
        await _paid_once(them, life)
        if not life.ended:
            break
    assert 12 <= len(life.steps) < 2 * MANY
    assert len(world.effects("charge")) == number + 1
    assert await watch(world.context.deps) == []


async def _approve(them: Subscribed) -> None:
    """The draft whose address the customer has; what was drafted before it expires."""
    world, renewal = them.world, await them.renewal()
    async with world.context.store.begin() as unit:
        recovery = await unit.recoveries.newest(SHOP, renewal.id)
        row = await unit.agreements.by_row(SHOP, recovery.id) if recovery else None
    assert row is not None
    assert row.agreement_id is not None
    world.vipps.approve(row.agreement_id)


async def _paid_once(them: Subscribed, life: Life) -> None:
    world = them.world
    renewal = await them.renewal()
    assert renewal.status is RenewalStatus.PAID, life.last
    assert renewal.agreement_id != them.agreement, life.last
    assert (await agreement_row(world, them.agreement)).status == "STOPPED", life.last
    assert (await them.row()).status is SubscriptionStatus.ENDED, life.last
    async with world.context.store.begin() as unit:
        moved = await unit.subscriptions.get(SHOP, renewal.subscription_id)
    assert moved is not None, life.last
    assert moved.status is SubscriptionStatus.ACTIVE, life.last
    charged = [it for it in world.effects("charge") if it.agreement_id == renewal.agreement_id]
    assert len(charged) == 1, life.last
    [order] = them.orders()
    assert (order.charge_status, order.status) == ("FULL", "UNFULFILLED"), life.last
