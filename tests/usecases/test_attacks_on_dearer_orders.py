"""Attacks on what is charged of a period that costs more by now: backups, prices and drafts that change on the way."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.errors import IllegalState
from app.domain.renewal import RenewalStatus
from app.usecases.pay_links import pay, pay_page
from app.usecases.reconciliation import reconcile_account
from app.usecases.renewals import renew
from app.usecases.retrying import retry_charges
from tests.usecases.renewing import days_pass, problems, settle, subscribe
from tests.usecases.steps import LEASE, MACHINE, Beforehand, Died, Life, mortal, the_account
from tests.usecases.test_backups_and_pay_links import a_backup
from tests.usecases.test_dearer_orders import OLD, agreed, contents, dearer, given_up
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import begin
from tests.usecases.test_retrying import again
from tests.world import World

# A draft that waits is made anew every night, so that a backup names one that is gone by now.


async def nights(world: World, count: int) -> None:
    for _ in range(count):
        await days_pass(world, 1)
        books = await reconcile_account(world.context.deps, await the_account(world))
        assert books.open_findings == []


async def test_a_backup_from_before_the_draft_was_made_anew_forgets_no_period(world: World) -> None:
    them, _, _ = await dearer(world)
    restore = await a_backup(world)
    await days_pass(world, 1)
    await restore()
    await days_pass(world, 1)
    assert "WAITING/COSTS_MORE" in await them.outcomes()


async def test_a_backup_from_before_it_was_agreed_to_and_charged_ends_with_its_order(world: World) -> None:
    them, failed, cost = await dearer(world)
    await world.set_account(complete_when_paid=True)
    restore = await a_backup(world)
    await days_pass(world, 1)
    assert await agreed(world, failed, cost) is None
    await settle(world)
    await restore()
    await nights(world, 8)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [cost]


async def test_a_backup_from_before_a_first_charge_for_a_newer_draft_ends_with_its_order(world: World) -> None:
    them = await subscribe(world, 199)
    world.saleor.set_stock(them.product.variants[0], 0)
    await days_pass(world, 3)
    assert await them.outcomes() == ["WAITING/OUT_OF_STOCK"]
    restore = await a_backup(world)
    await days_pass(world, 1)
    world.saleor.set_stock(them.product.variants[0], 100)
    await days_pass(world, 1)
    assert await them.outcomes() == ["CHARGING"]
    await restore()
    await nights(world, 8)
    assert await them.outcomes() == ["PAID"]
    assert [it.amount for it in world.effects("charge")] == [OLD]
    assert len([it for it in them.orders() if it.status != "CANCELED"]) == 1


@pytest.mark.parametrize("how", ["agreed", "link", "refused link"])
async def test_an_attempt_that_only_vipps_knows_of_can_be_followed_by_another(world: World, how: str) -> None:
    """It failed after the backup. Staff see it, and go on from there."""
    them, failed = await given_up(world)
    world.vipps.set_failure(them.agreement, "user_action_required")
    restore = await a_backup(world)
    assert await again(world, failed) == [None]
    await days_pass(world, 7)
    assert (await them.renewal()).attempt == 2
    await restore()
    world.vipps.set_failure(them.agreement, None)
    if how != "link":
        await contents(them, 2)
    match how:
        case "agreed":
            assert await again(world, failed) == [None]
            await settle(world)
            assert "WAITING/COSTS_MORE" in await them.outcomes()
        case "refused link":
            with pytest.raises(IllegalState, match="charge it again at the new sum"):
                await pay(world.context.deps, (await them.renewal()).id)
        case _:
            await begin(them)  # and it is never approved
            await days_pass(world, 1)
    assert await agreed(world, await them.charge(attempt=2), 2 * OLD) is None
    await days_pass(world, 7)
    assert (await them.renewal()).status is RenewalStatus.PAID
    mine = {(await them.charge(attempt=number)).order_id for number in (1, 2, 3)}  # beside those of the next period
    assert [it.amount for it in world.effects("charge") if it.order_id in mine] == [OLD if how == "link" else 2 * OLD]


# No more than was shown or agreed to.


@pytest.mark.parametrize("how", ["staff", "policy"])
async def test_a_draft_that_saleor_prices_anew_is_not_charged_for_more_than_was_shown(world: World, how: str) -> None:
    """Nobody touched it: the product's price went up, and Saleor prices drafts anew after a day."""
    them = await failing(world, retry_after=(10,))
    await days_pass(world, 6)
    assert await them.outcomes() == ["WAITING/CHARGE_FAILED"]
    world.vipps.set_failure(them.agreement, None)
    world.saleor.set_price(them.product.variants[0], 399)
    if how == "staff":
        assert await again(world, await them.charge()) == [None]
    await days_pass(world, 12)
    # On its day, or after the pause of a press, the draft costs what the product does by then.
    taken, outcomes = [it.amount for it in world.effects("charge")], await them.outcomes()
    assert (taken, outcomes) in (([], ["WAITING/COSTS_MORE"]), ([OLD], ["PAID"]))


async def test_a_draft_that_grows_while_it_is_completed_is_not_charged(world: World) -> None:
    them, failed, cost = await dearer(world)  # its account completes orders at once
    assert await agreed(world, failed, cost) is None
    world.jobs.waiting.clear()
    world.advance(timedelta(hours=25))
    deps = world.context.deps

    async def grows() -> None:
        order = (await them.renewal()).order
        [draft] = [it for it in them.orders() if it.id == order]
        draft.lines[0].quantity = 3

    theirs = replace(deps, shop=Beforehand(deps.shop, "complete_draft", grows))
    await renew(theirs, failed.shop, (await them.renewal()).id)
    await days_pass(world, 3)
    assert world.effects("charge") == []
    assert "WAITING/COSTS_MORE" in await them.outcomes()


async def test_a_sum_that_was_agreed_to_holds_until_somebody_asks_anew(world: World) -> None:
    """Agreed to, and then out of stock until it was given up: the next one who asks was shown the failed charge's."""
    them, failed, cost = await dearer(world)
    world.saleor.set_stock(them.product.variants[0], 0)
    assert await agreed(world, failed, cost) is None
    await days_pass(world, 18)
    assert "FAILED/CHARGE_FAILED" in await them.outcomes()
    world.saleor.set_stock(them.product.variants[0], 100)
    assert await again(world, failed) == [None]
    await days_pass(world, 3)
    assert "WAITING/COSTS_MORE" in await them.outcomes()
    assert world.effects("charge") == []


async def test_a_generous_limit_is_for_one_charge(world: World) -> None:
    """It was charged once, and failed: what is charged next is no more than that was."""
    them, failed, cost = await dearer(world)
    world.vipps.set_failure(them.agreement, "user_action_required")
    assert await agreed(world, failed, 99_000) is None
    await days_pass(world, 6)
    second = await them.charge(attempt=2)
    assert (second.amount.minor, (await them.renewal()).agreed) == (cost, None)
    world.vipps.set_failure(them.agreement, None)
    await contents(them, 3)
    assert await again(world, second) == [None]
    await days_pass(world, 6)
    assert "WAITING/COSTS_MORE" in await them.outcomes()
    assert world.effects("charge") == []


async def test_a_generous_limit_is_no_price(world: World) -> None:
    them, failed, _ = await dearer(world)
    world.saleor.set_stock(them.product.variants[0], 0)
    assert await agreed(world, failed, 1_000_000) is None
    await days_pass(world, 3)
    page = await pay_page(world.context.deps, (await them.renewal()).id)
    assert page.amount == failed.amount
    world.saleor.set_stock(them.product.variants[0], 100)
    await contents(them, 1)
    world.saleor.set_price(them.product.variants[0], 0)
    await days_pass(world, 4)
    after = await them.renewal()
    assert (after.status, after.amount) == (RenewalStatus.PAID, failed.amount)
    assert world.effects("charge") == []


async def test_whoever_agrees_after_somebody_has_asked_without_a_sum_is_heard(world: World) -> None:
    them, failed = await given_up(world)
    await contents(them, 2)
    assert await again(world, failed) == [None]  # its job waits
    assert await agreed(world, failed, 2 * OLD) is None
    await days_pass(world, 7)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert [it.amount for it in world.effects("charge")] == [2 * OLD]


async def test_a_draft_above_the_limit_that_staff_make_cheaper_is_kept_and_charged(world: World) -> None:
    them, failed = await given_up(world)
    await contents(them, 9)
    assert await agreed(world, failed, 10_000_000) is None
    await settle(world)
    assert "WAITING/PRICE_ABOVE_LIMIT" in await them.outcomes()
    order = (await them.renewal()).order
    [draft] = [it for it in them.orders() if it.id == order]
    draft.lines[0].quantity = 1
    await days_pass(world, 9)
    after = await them.renewal()
    assert (after.status, after.order) == (RenewalStatus.PAID, order)


# What staff are told goes away.


async def test_the_problem_goes_away_whoever_dies_while_agreeing(one_world: World) -> None:
    world = one_world
    for dies_at in range(1, 30):
        them, failed, cost = await dearer(world)
        life = Life(dies_at)
        with suppress(Died):
            await retry_charges(mortal(world.context.deps, life), MACHINE, [failed.id], cost)
        world.advance(LEASE)
        assert await agreed(world, failed, cost) is None
        await days_pass(world, 7)
        assert problems(world) == [], life.last
        assert (await them.renewal()).status is RenewalStatus.PAID, life.last
        if not life.ended:
            break
    else:
        raise AssertionError("there are more steps than lives")


async def test_the_problem_of_a_refused_link_goes_away_when_the_period_is_paid(world: World) -> None:
    them, failed = await given_up(world)
    await contents(them, 2)
    with pytest.raises(IllegalState):
        await pay(world.context.deps, (await them.renewal()).id)
    assert problems(world) == ["vipps-recurring-renewal:COSTS_MORE"]
    assert await agreed(world, failed, 2 * OLD) is None
    await days_pass(world, 7)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert problems(world) == []
