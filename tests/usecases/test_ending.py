"""The end of a subscription: what is reserved is captured first, the agreement stops last, wherever anybody dies."""

import itertools
from contextlib import suppress

from app.domain.account import system
from app.domain.agreement import AgreementStatus, TransactionType
from app.domain.subscription import SubscriptionStatus
from app.usecases.agreements import InitialChargeWish
from app.usecases.ending import end
from tests.usecases.renewing import days_pass, settle, subscribe
from tests.usecases.steps import Died, Life, agreement_row, mortal, recover
from tests.world import SHOP, World

RESERVED = InitialChargeWish(19_900, "First box", TransactionType.RESERVE_CAPTURE)


async def test_what_is_reserved_is_captured_before_the_agreement_stops(world: World) -> None:
    who = await subscribe(world, initial=RESERVED)
    await settle(world)
    ended = await end(world.context.deps, system(SHOP), await who.row(), "enough")
    assert (ended.status, ended.reason) == (SubscriptionStatus.ENDED, "enough")
    assert (await agreement_row(world, who.agreement)).status is AgreementStatus.STOPPED
    effects = [it.effect for it in world.vipps.ledger if it.effect in {"capture", "stop"}]
    assert effects == ["capture", "stop"]
    # Asked for again it is what it was.
    again = await end(world.context.deps, system(SHOP), await who.row(), "once more")
    assert again.reason == "enough"
    assert len(world.effects("capture")) == len(world.effects("stop")) == 1


async def test_an_open_renewal_is_taken_back_with_it(world: World) -> None:
    who = await subscribe(world)
    await days_pass(world, 2)
    await end(world.context.deps, system(SHOP), await who.row(), "enough")
    await days_pass(world, 5)
    assert await who.outcomes() == ["SKIPPED/ENDED"]
    assert world.effects("charge") == []
    assert (await who.charge()).status.holds_no_money


async def test_an_end_whose_process_dies_at_any_step_is_whole_or_can_be_asked_for_again(world: World) -> None:
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 4):
        captured = len(world.effects("capture"))
        who = await subscribe(world, initial=RESERVED)
        life = Life(dies_at)
        with suppress(Died):
            await end(mortal(world.context.deps, life), system(SHOP), await who.row(), "enough")
        world.jobs.waiting.clear()
        await recover(world, rounds=1)
        row = await who.row()
        if row.status is not SubscriptionStatus.ENDED:
            assert len([it for it in world.effects("stop") if it.agreement_id == who.agreement]) == 0, life.last
            await end(world.context.deps, system(SHOP), row, "enough")
        assert (await agreement_row(world, who.agreement)).status is AgreementStatus.STOPPED, life.last
        assert len(world.effects("capture")) == captured + 1, life.last
        if not life.ended:
            break


async def test_at_the_end_of_the_paid_period_nothing_is_renewed_and_the_agreement_stops(one_world: World) -> None:
    who = await subscribe(one_world)
    await who.change((await who.row()).ending())
    await days_pass(one_world, 3)
    assert (await who.row()).status is SubscriptionStatus.ENDING
    await days_pass(one_world, 2)
    assert (await who.row()).status is SubscriptionStatus.ENDED
    assert (await agreement_row(one_world, who.agreement)).status is AgreementStatus.STOPPED
    assert await who.renewals() == []
