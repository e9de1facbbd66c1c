"""After a failed charge: Vipps' own days first, then the merchant's policy, one attempt at a time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.account import system
from app.domain.charge import ChargeStatus
from app.domain.dunning import DunningPolicy, GiveUp
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.usecases.ending import end
from app.usecases.watchdog import watch
from tests.usecases.renewing import Subscribed, account_is, days_pass, settle, subscribe
from tests.world import SHOP, World

S = SubscriptionStatus


async def failing(world: World, reason: Any = "user_action_required", **policy: Any) -> Subscribed:
    """Vipps tries on two days; two more charges follow, three and five days after a failure."""
    dunning = replace(DunningPolicy(retry_after=(3, 5)), **policy)
    await account_is(world, dunning=dunning, retry_days=1)
    who = await subscribe(world, 199)
    world.vipps.set_failure(who.agreement, reason)
    return who


async def test_vipps_own_days_come_first_and_then_the_merchants_tries(world: World) -> None:
    who = await failing(world)
    await days_pass(world, 4)
    assert (await who.charge()).status is not ChargeStatus.FAILED
    assert (await who.renewal()).status is RenewalStatus.CHARGING

    await days_pass(world, 2)
    renewal = await who.renewal()
    assert (await who.charge()).status is ChargeStatus.FAILED
    assert (renewal.status, renewal.reason, renewal.attempt) == (
        RenewalStatus.WAITING,
        RenewalReason.CHARGE_FAILED,
        1,
    )
    await days_pass(world, 1)
    second = await who.charge(attempt=2)
    assert renewal.failed_on is not None
    assert second.due == renewal.failed_on + timedelta(days=3)
    assert len(who.orders()) == 1


async def test_a_retry_that_succeeds_pays_the_same_order(world: World) -> None:
    who = await failing(world)
    await days_pass(world, 6)
    world.vipps.set_failure(who.agreement, None)
    await days_pass(world, 5)
    assert await who.outcomes() == ["PAID"]
    [order] = who.orders()
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    assert len(world.effects("create")) == 2
    assert [it.amount for it in world.effects("charge")] == [19_900]


async def test_each_attempt_is_made_after_the_one_before_has_failed_and_counted_once(one_world: World) -> None:
    who = await failing(one_world)
    await days_pass(one_world, 25)
    made = [await who.charge(attempt=attempt) for attempt in (1, 2, 3)]
    assert [it.status for it in made] == [ChargeStatus.FAILED] * 3
    assert len({it.order_id for it in made}) == 3
    assert len(one_world.effects("create")) == len(one_world.effects("fail")) == 3
    # Vipps' one retry day, the morning on which we learn of it, and the policy's three days.
    assert made[1].due - made[0].due == timedelta(days=1 + 1 + 3)
    assert (await who.renewal()).attempt == 3


@pytest.mark.parametrize(
    ("then", "status"), [(GiveUp.HOLD, S.HELD), (GiveUp.CANCEL, S.ENDED), (GiveUp.CONTINUE, S.ACTIVE)]
)
async def test_what_stays_unpaid_becomes_what_the_merchant_decided(
    one_world: World, then: GiveUp, status: SubscriptionStatus
) -> None:
    who = await failing(one_world, then=then)
    await days_pass(one_world, 25)
    assert (await who.outcomes())[0] == "FAILED/CHARGE_FAILED"
    assert (await who.row()).status is status
    stops = [it for it in one_world.effects("stop") if it.agreement_id == who.agreement]
    assert len(stops) == (1 if then is GiveUp.CANCEL else 0)
    # The draft has transactions, which Saleor keeps: it stays a draft, with a word to staff.
    [draft] = who.orders()
    assert draft.status == "DRAFT"
    assert any("not paid" in (note.message or "") for note in draft.notes)


async def test_what_the_customers_own_limit_refuses_is_not_tried_again(one_world: World) -> None:
    who = await failing(one_world, "charge_amount_too_high")
    await days_pass(one_world, 8)
    assert await who.outcomes() == ["FAILED/CHARGE_FAILED"]
    assert len(one_world.effects("create")) == 1


async def test_dunning_stops_when_the_subscription_ends(world: World) -> None:
    who = await failing(world)
    await days_pass(world, 6)
    await end(world.context.deps, system(SHOP), await who.row(), "the customer has enough")
    await settle(world)
    assert await who.outcomes() == ["FAILED/ENDED"]
    await days_pass(world, 10)
    assert len(world.effects("create")) == 1


async def test_what_is_on_hold_for_long_ends(one_world: World) -> None:
    who = await failing(one_world, retry_after=(), cancel_after=10)
    await days_pass(one_world, 6)
    assert (await who.row()).status is S.HELD
    await days_pass(one_world, 8)
    await watch(one_world.context.deps)
    assert (await who.row()).status is S.HELD
    await days_pass(one_world, 3)
    await watch(one_world.context.deps)
    assert (await who.row()).status is S.ENDED


async def test_with_orders_completed_at_once_an_unpaid_order_is_cancelled(one_world: World) -> None:
    who = await failing(one_world, retry_after=())
    await account_is(one_world, complete_when_paid=False)
    await days_pass(one_world, 7)
    assert await who.outcomes() == ["FAILED/CHARGE_FAILED"]
    assert [it.status for it in who.orders()] == ["CANCELED"]


async def test_waking_does_not_bring_a_retry_nearer(one_world: World) -> None:
    who = await failing(one_world)
    await days_pass(one_world, 6)
    [draft] = who.orders()
    one_world.saleor.draft_changed(draft)
    await settle(one_world)
    assert len(one_world.effects("create")) == 1
