"""Failed periods whose new order costs more than the charge that failed: charged once staff agree, and for no more."""

from dataclasses import replace

import pytest

from app.domain.charge import Charge
from app.domain.dunning import GiveUp
from app.domain.errors import InvalidInput, LimitExceeded
from app.domain.renewal import RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.retrying import cost_now, retry_charges
from tests.usecases.renewing import Subscribed, days_pass, problems, settle
from tests.usecases.steps import LEASE, MACHINE, Died, Life, mortal
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin
from tests.usecases.test_retrying import again, made
from tests.world import World

PROBLEM = "vipps-recurring-renewal:COSTS_MORE"
OLD = 19_900


async def given_up(world: World) -> tuple[Subscribed, Charge]:
    """Its order was cancelled with it. Vipps would collect the next charge."""
    await world.set_account(complete_when_paid=False)
    them = await failing(world, then=GiveUp.HOLD, retry_after=())
    await days_pass(world, 20)
    world.vipps.set_failure(them.agreement, None)
    return them, await them.charge()


async def contents(them: Subscribed, quantity: int) -> None:
    row = await them.row()
    await them.change(replace(row, lines=tuple(replace(it, quantity=quantity) for it in row.lines)))


async def dearer(world: World) -> tuple[Subscribed, Charge, int]:
    """It waits for somebody to agree; and what it costs by now."""
    them, failed = await given_up(world)
    await contents(them, 2)
    assert await again(world, failed) == [None]
    await settle(world)
    assert "WAITING/COSTS_MORE" in await them.outcomes()
    cost = await cost_now(world.context.deps, MACHINE, await them.renewal())
    assert cost is not None
    assert cost.minor > failed.amount.minor == OLD
    return them, failed, cost.minor


async def agreed(world: World, failed: Charge, up_to: int | None) -> type[Exception] | None:
    error = (await retry_charges(world.context.deps, MACHINE, [failed.id], up_to)).items[0].error
    return type(error) if error else None


async def test_whoever_agrees_has_it_charged_once_at_the_new_sum(world: World) -> None:
    them, failed, cost = await dearer(world)
    assert problems(world) == [PROBLEM]
    assert await agreed(world, failed, None) is LimitExceeded
    await days_pass(world, 2)
    assert await made(world, them) == 1
    order = (await them.renewal()).order
    assert [await agreed(world, failed, cost) for _ in range(2)] == [None, None]
    await settle(world)
    await agreed(world, failed, cost)
    await days_pass(world, 6)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    assert [it.amount for it in world.effects("charge")] == [cost]
    assert await made(world, them) == 2
    assert (await them.charge(attempt=2)).saleor_order == order
    assert problems(world) == []
    async with world.context.store.begin() as unit:
        why = [it.reason for it in await unit.audit.of_object(failed.shop, them.agreement)]
    assert any(it.startswith("up to ") for it in why)


async def test_no_more_is_charged_than_was_agreed_to(world: World) -> None:
    them, failed, cost = await dearer(world)
    assert await agreed(world, failed, cost - 1) is None
    await days_pass(world, 2)
    assert "WAITING/COSTS_MORE" in await them.outcomes()
    assert await made(world, them) == 1
    assert problems(world) == [PROBLEM]
    await contents(them, 3)
    assert await agreed(world, failed, cost) is None
    await days_pass(world, 6)
    # Its draft of two is what was seen, and it is what is charged: of three nobody spoke.
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [cost]


async def test_what_is_made_cheaper_is_charged_without_more_words(world: World) -> None:
    """In the subscription: its draft, which nobody has paid on, is made anew."""
    them, _, _ = await dearer(world)
    await contents(them, 1)
    await days_pass(world, 7)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [OLD]
    assert problems(world) == []
    assert len([it for it in them.orders() if it.status != "CANCELED"]) == 1


async def test_a_draft_that_staff_make_cheaper_is_kept_and_charged(world: World) -> None:
    them, _, _ = await dearer(world)
    order = (await them.renewal()).order
    [draft] = [it for it in them.orders() if it.id == order]
    draft.lines[0].quantity = 1
    await days_pass(world, 7)
    after = await them.renewal()
    assert (after.status, after.order) == (RenewalStatus.PAID, order)
    assert [it.amount for it in world.effects("charge")] == [OLD]


async def test_what_the_customer_never_agreed_to_stays_out_of_reach(world: World) -> None:
    them, failed = await given_up(world)
    await contents(them, 9)
    assert await agreed(world, failed, 10_000_000) is None
    await days_pass(world, 3)
    assert "WAITING/PRICE_ABOVE_LIMIT" in await them.outcomes()
    assert await made(world, them) == 1


async def test_its_link_takes_the_sum_that_was_agreed_to(world: World) -> None:
    them, failed, cost = await dearer(world)
    world.vipps.set_failure(them.agreement, "user_action_required")
    assert await agreed(world, failed, cost) is None
    await days_pass(world, 7)
    assert "FAILED/CHARGE_FAILED" in await them.outcomes()
    world.vipps.approve(await begin(them))
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [cost]


@pytest.mark.parametrize("up_to", [0, -1])
async def test_a_sum_that_is_none_is_refused(one_world: World, up_to: int) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await retry_charges(one_world.context.deps, MACHINE, ["any"], up_to)
    assert refusal.value.field == "upTo"


async def test_whoever_dies_while_agreeing_leaves_it_to_be_agreed_or_charged_once(one_world: World) -> None:
    world = one_world
    for dies_at in range(1, 30):
        them, failed, cost = await dearer(world)
        life = Life(dies_at)
        try:
            await retry_charges(mortal(world.context.deps, life), MACHINE, [failed.id], cost)
        except Died:
            world.advance(LEASE)
        assert await agreed(world, failed, cost) is None
        await days_pass(world, 7)
        assert (await them.renewal()).status is RenewalStatus.PAID, life.last
        mine = [it.amount for it in world.effects("charge") if it.agreement_id == them.agreement]
        assert mine == [cost], life.last
        if not life.ended:
            break
    else:
        raise AssertionError("there are more steps than lives")
