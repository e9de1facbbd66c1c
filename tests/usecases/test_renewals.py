"""Renewals, from the planned period to the paid order, and every way in which one is not made."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.domain.account import ApiVersion
from app.domain.charge import ChargeStatus
from app.domain.dunning import DunningPolicy, GiveUp
from app.domain.errors import OutcomeUnknown
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import PriceChange, Subscriber, SubscriptionLine, SubscriptionStatus, VoucherPolicy
from app.jobs.workflows import handlers
from app.saleor.payloads import object_of
from app.usecases.following import follow_up
from app.usecases.ports import Job, Shop
from app.usecases.renewals import renew_all
from tests.builders import nok
from tests.usecases.renewing import HOME, Subscribed, account_is, days_pass, planned, problems, settle, subscribe
from tests.usecases.steps import (
    Died,
    Life,
    agreement_row,
    another_worker,
    calls_of,
    creations,
    hears_vipps,
    mortal,
    recover,
)
from tests.world import SHOP, START, World

BACK = f"UPDATE subscription SET next_period = 1, next_due = '{(START + timedelta(days=4)).date()}'"  # noqa: S608  # a date of ours


class LosesAnswers:
    """A shop that does what it is asked and whose answer to one kind of call never arrives."""

    def __init__(self, inner: object, name: str) -> None:
        self._inner = inner
        self._name = name
        self.lost = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name != self._name:
            return method

        async def call(*args: Any) -> None:
            await method(*args)
            self.lost += 1
            raise OutcomeUnknown("no answer")

        return call


async def test_a_due_period_becomes_a_paid_order(world: World) -> None:
    await hears_vipps(world)
    who = await subscribe(world, 199)
    await settle(world)
    assert await who.outcomes() == []

    await days_pass(world, 2)
    renewal, charge = await who.renewal(), await who.charge()
    assert renewal.status is RenewalStatus.CHARGING
    assert charge.status in {ChargeStatus.PENDING, ChargeStatus.DUE}
    assert (charge.due, charge.amount.minor) == (renewal.due, 19_900)
    [draft] = who.orders()
    assert draft.status == "DRAFT"

    await days_pass(world, 2)
    assert await who.outcomes() == ["PAID"]
    [order] = who.orders()
    assert order is draft
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")
    assert [it.amount for it in world.effects("charge")] == [19_900]


async def test_the_order_is_made_of_the_subscription(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    row = await who.row()
    line = replace(row.lines[0], quantity=3, unit_price=4_950)
    one_world.saleor.create_voucher("TEN", 10, is_percentage=True)
    await who.change(replace(row, lines=(line,), voucher="TEN", voucher_policy=VoucherPolicy.EVERY))
    await days_pass(one_world, 4)
    [order] = who.orders()
    assert order.user is not None
    assert order.user.id == row.customer
    assert order.metadata == {"vipps-recurring.renewal": f"{who.agreement}:1"}
    assert order.voucher_code == "TEN"
    assert order.billing_address is not None
    assert order.billing_address.postal_code == "0154"
    [charge] = one_world.effects("charge")
    assert charge.amount == int(order.total * 100) == 13_365


async def test_a_first_order_voucher_does_not_count_for_renewals(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    one_world.saleor.create_voucher("TEN", 10, is_percentage=True)
    await who.change(replace(await who.row(), voucher="TEN"))
    await days_pass(one_world, 4)
    assert [it.amount for it in one_world.effects("charge")] == [10_000]


async def test_year_after_year_each_month_has_one_order_and_one_charge(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    await days_pass(one_world, 100)
    assert await who.outcomes() == ["PAID"] * 4
    assert len(who.orders()) == len(one_world.effects("charge")) == 4
    assert [it.due for it in await who.renewals()] == [(await who.row()).schedule.due(it) for it in range(1, 5)]


# Nothing is charged where no order can be made.


def _out_of_stock(world: World, who: Subscribed) -> None:
    world.saleor.set_stock(who.product.variants[0], 0)


def _unpublished(world: World, who: Subscribed) -> None:
    world.saleor.unpublish(who.product)


def _gone(world: World, who: Subscribed) -> None:
    world.saleor.delete_variant(who.product.variants[0])


def _too_dear(world: World, who: Subscribed) -> None:
    world.saleor.set_price(who.product.variants[0], 2000)


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (_out_of_stock, RenewalReason.OUT_OF_STOCK),
        (_unpublished, RenewalReason.UNAVAILABLE),
        (_gone, RenewalReason.UNAVAILABLE),
        (_too_dear, RenewalReason.PRICE_ABOVE_LIMIT),
    ],
)
async def test_what_cannot_be_ordered_is_not_charged_and_given_up_after_two_weeks(
    one_world: World, trouble: Callable[[World, Subscribed], None], reason: RenewalReason
) -> None:
    await account_is(one_world, dunning=DunningPolicy(then=GiveUp.CONTINUE))
    who = await subscribe(one_world, 199)
    trouble(one_world, who)
    await days_pass(one_world, 4)
    renewal = await who.renewal()
    assert (renewal.status, renewal.reason) == (RenewalStatus.WAITING, reason)
    assert problems(one_world) == [f"vipps-recurring-renewal:{reason}"]

    await days_pass(one_world, 16)
    assert await who.outcomes() == [f"FAILED/{reason}"]
    assert who.orders() == []
    assert one_world.effects("create") == []
    assert problems(one_world) == []


async def test_what_is_mended_is_charged_and_its_problem_goes_away(world: World) -> None:
    who = await subscribe(world, 199)
    _out_of_stock(world, who)
    await days_pass(world, 4)
    world.saleor.set_stock(who.product.variants[0], 5)
    await days_pass(world, 5)
    assert await who.outcomes() == ["PAID"]
    assert problems(world) == []
    assert len(who.orders()) == len(world.effects("charge")) == 1


async def test_another_variant_mends_a_renewal_that_waits(one_world: World) -> None:
    who = await subscribe(one_world, 199)
    _out_of_stock(one_world, who)
    await days_pass(one_world, 3)
    other = one_world.saleor.create_product("Tea", 149, is_shipping_required=False).variants[0]
    await who.change((await who.row()).with_lines((SubscriptionLine(other.id, 1, "Tea"),), one_world.time.now))
    await days_pass(one_world, 5)
    assert await who.outcomes() == ["PAID"]
    assert [it.amount for it in one_world.effects("charge")] == [14_900]
    assert len(who.orders()) == 1


async def test_without_an_address_nothing_is_made(one_world: World) -> None:
    who = await subscribe(one_world, 199, subscriber=Subscriber(None, None, None))
    await days_pass(one_world, 4)
    assert await who.outcomes() == ["WAITING/ADDRESS_MISSING"]
    async with one_world.context.store.begin() as unit:
        await unit.subscriptions.put_subscriber(SHOP, who.id, Subscriber(None, HOME, HOME))
    await days_pass(one_world, 5)
    assert await who.outcomes() == ["PAID"]


async def test_goods_without_a_way_of_shipping_wait(one_world: World) -> None:
    product = one_world.saleor.create_product("Box", 199)
    who = await subscribe(one_world, 199, product=product)
    await days_pass(one_world, 4)
    assert await who.outcomes() == ["WAITING/SHIPPING"]
    method = one_world.saleor.create_shipping_method("Post", 49)
    await who.change(replace(await who.row(), shipping_method=method.id))
    await days_pass(one_world, 5)
    assert await who.outcomes() == ["PAID"]
    assert [it.amount for it in one_world.effects("charge")] == [24_800]


async def test_a_free_period_is_an_order_without_a_charge(one_world: World) -> None:
    who = await subscribe(one_world, 199)
    row = await who.row()
    await who.change(replace(row, lines=(replace(row.lines[0], unit_price=0),)))
    await days_pass(one_world, 4)
    assert await who.outcomes() == ["PAID/NOTHING_TO_PAY"]
    assert [it.status for it in who.orders()] == ["UNFULFILLED"]
    assert one_world.effects("create") == []


# What customers and staff do meanwhile.


async def test_a_draft_that_staff_delete_before_it_is_charged_skips_the_period(one_world: World) -> None:
    who = await subscribe(one_world, 199)
    _out_of_stock(one_world, who)
    await days_pass(one_world, 3)
    [draft] = who.orders()
    one_world.saleor.delete_draft(draft)
    await days_pass(one_world, 2)
    assert await who.outcomes() == ["SKIPPED/ORDER_GONE"]


async def test_an_order_that_staff_cancel_before_it_is_paid_takes_its_charge_back(world: World) -> None:
    await account_is(world, complete_when_paid=False)
    who = await subscribe(world, 199)
    await days_pass(world, 2)
    [order] = who.orders()
    assert (order.status, (await who.renewal()).status) == ("UNFULFILLED", RenewalStatus.CHARGING)
    world.saleor.cancel_order(order)
    await settle(world)
    assert await who.outcomes() == ["SKIPPED/ORDER_GONE"]
    await days_pass(world, 5)
    assert world.effects("charge") == []
    assert (await who.charge()).status is ChargeStatus.CANCELLED


async def test_with_orders_completed_at_once_an_order_is_there_before_its_money(one_world: World) -> None:
    await account_is(one_world, complete_when_paid=False)
    who = await subscribe(one_world, 199)
    await days_pass(one_world, 2)
    [order] = who.orders()
    assert (order.status, order.charge_status) == ("UNFULFILLED", "NONE")
    await days_pass(one_world, 3)
    assert await who.outcomes() == ["PAID"]
    assert (order.status, order.charge_status) == ("UNFULFILLED", "FULL")


async def test_a_customer_who_stops_in_the_app_is_not_charged_and_the_subscription_ends(world: World) -> None:
    await hears_vipps(world)
    who = await subscribe(world, 199)
    await days_pass(world, 2)
    world.vipps.stop_in_app(who.agreement)
    await settle(world)
    row = await who.row()
    assert (row.status, row.reason) == (
        SubscriptionStatus.ENDED,
        "the agreement was stopped by the customer, in the Vipps app",
    )
    assert await who.outcomes() == ["SKIPPED/ENDED"]
    await days_pass(world, 40)
    assert world.effects("charge") == []
    assert len(await who.renewals()) == 1


async def test_a_stop_that_nobody_told_is_found_when_the_period_is_renewed(one_world: World) -> None:
    who = await subscribe(one_world, 199)
    one_world.vipps.stop_in_app(who.agreement)
    await days_pass(one_world, 3)
    assert (await who.row()).status is SubscriptionStatus.ENDED
    assert await who.outcomes() == ["SKIPPED/AGREEMENT_NOT_ACTIVE"]
    assert who.orders() == []


async def test_an_order_that_runs_out_of_stock_after_it_was_paid_is_completed_when_there_is_some(world: World) -> None:
    who = await subscribe(world, 199)
    await days_pass(world, 3)
    _out_of_stock(world, who)
    await days_pass(world, 2)
    renewal = await who.renewal()
    assert (renewal.status, renewal.reason) == (RenewalStatus.COLLECTED, RenewalReason.OUT_OF_STOCK)
    assert problems(world) == ["vipps-recurring-renewal:OUT_OF_STOCK"]
    world.saleor.set_stock(who.product.variants[0], 5)
    await days_pass(world, 2)
    assert await who.outcomes() == ["PAID"]
    assert problems(world) == []


async def test_an_order_that_can_never_be_made_is_given_back_once(world: World) -> None:
    who = await subscribe(world, 199)
    await days_pass(world, 3)
    _out_of_stock(world, who)
    await days_pass(world, 18)
    assert await who.outcomes() == ["COLLECTED/OUT_OF_STOCK"]
    await days_pass(world, 6)
    assert await who.outcomes() == ["FAILED/OUT_OF_STOCK"]
    await days_pass(world, 2)
    assert [it.amount for it in world.effects("charge")] == [19_900]
    assert [it.amount for it in world.effects("refund")] == [19_900]


async def test_a_new_price_is_at_vipps_before_it_is_on_the_lines(world: World) -> None:
    who = await subscribe(world, 199)
    row = await who.row()
    variant = row.lines[0].variant
    change = PriceChange(row.schedule.due(2), nok(24_900), {variant: 24_900}, world.time.now)
    await who.change(replace(row, price_change=change))
    await days_pass(world, 5)
    assert [it.amount for it in world.effects("charge")] == [19_900]
    await days_pass(world, 31)
    assert [it.amount for it in world.effects("charge")] == [19_900, 24_900]
    assert (await who.row()).price_change is None
    assert (await agreement_row(world, who.agreement)).price == nok(24_900)


# Whatever breaks.


async def test_a_renewal_whose_process_dies_at_any_step_is_ordered_and_charged_once(world: World) -> None:
    await account_is(world, complete_when_paid=False)
    lengths = []
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 6):
        who = await subscribe(world, 10 + dies_at, first_due=world.time.now.date() + timedelta(days=2))
        await planned(world)
        world.jobs.waiting.clear()
        life = Life(dies_at)
        with suppress(Died):
            await renew_all(mortal(world.context.deps, life), SHOP, [(await who.renewal()).id])
        world.jobs.waiting.clear()
        await recover(world, rounds=2)
        assert len(who.orders()) == 1, life.last
        assert len(creations(world, 1000 + 100 * dies_at)) == 1, life.last
        assert (await who.renewal()).attempt == 1, life.last
        lengths.append(len(life.steps))
        if not life.ended:
            break
    assert max(lengths) > 20


async def test_collecting_whose_process_dies_at_any_step_completes_one_order(world: World) -> None:
    for dies_at in itertools.count(1, 1 if world.context.store.sqlite else 6):
        who = await subscribe(world, 10 + dies_at, first_due=world.time.now.date() + timedelta(days=2))
        await settle(world)
        world.jobs.waiting.clear()
        world.advance(timedelta(days=3))
        # Vipps has collected and Saleor was told: what is left is the order.
        charge = await who.charge()
        await follow_up(world.context.deps, SHOP, [charge.id])
        for kind in (Job.NOTIFY_SHOP, Job.REPORT):
            await _only(world, kind)
        world.jobs.waiting.clear()
        life = Life(dies_at)
        with suppress(Died):
            await renew_all(mortal(world.context.deps, life), SHOP, [(await who.renewal()).id])
        world.jobs.waiting.clear()
        await recover(world, rounds=2, pause=timedelta(hours=1))
        assert await who.outcomes() == ["PAID"], life.last
        assert [it.status for it in who.orders()] == ["UNFULFILLED"], life.last
        if not life.ended:
            break


async def _only(world: World, kind: Job) -> None:
    """The waiting jobs of one kind."""
    mine = [it for it in world.jobs.waiting if it[0] is kind]
    world.jobs.waiting[:] = [it for it in world.jobs.waiting if it[0] is not kind]
    for _, shop, ids in mine:
        await handlers(world.context.deps, object_of)[kind](shop, ids)


async def test_two_workers_at_one_renewal_make_one_order_and_one_charge(world: World) -> None:
    subscribed = [await subscribe(world, 100 + number) for number in range(4)]
    world.advance(timedelta(days=2))
    await planned(world)
    ids = [(await who.renewal()).id for who in subscribed]
    other = another_worker(world)
    try:
        await asyncio.gather(*(renew_all(deps, SHOP, ids) for deps in (world.context.deps, other.deps) for _ in "ab"))
    finally:
        await other.store.close()
    await settle(world)
    for number, who in enumerate(subscribed):
        assert len(who.orders()) == 1
        assert len(creations(world, 10_000 + 100 * number)) == 1


async def test_a_period_that_a_lost_database_charged_before_is_found_and_not_charged_again(world: World) -> None:
    """The rows are of a backup from before; order and charge exist, and both are found by names that never change."""
    who = await subscribe(world, 199)
    await days_pass(world, 2)
    async with world.context.store.engine.begin() as connection:
        await connection.execute(text("DELETE FROM renewal"))
        await connection.execute(text("DELETE FROM charge"))
        await connection.execute(text(BACK))
    await days_pass(world, 4)
    assert await who.outcomes() == ["PAID"]
    assert len(who.orders()) == len(world.effects("charge")) == len(world.effects("create")) == 1


async def test_on_v3_many_renewals_go_in_one_request(one_world: World) -> None:
    await account_is(one_world, api_version=ApiVersion.V3)
    subscribed = [await subscribe(one_world, 100 + number) for number in range(5)]
    await days_pass(one_world, 2)
    assert len(calls_of(one_world, "createCharges")) == 1
    await days_pass(one_world, 3)
    assert [await who.outcomes() for who in subscribed] == [["PAID"]] * 5
    assert sorted(it.amount for it in one_world.effects("charge")) == [10_000, 10_100, 10_200, 10_300, 10_400]


async def test_what_breaks_on_the_way_to_saleor_makes_no_second_order(one_world: World) -> None:
    """Saleor does what it was asked for and its answers are lost, to drafts and to their completion."""
    who = await subscribe(one_world, 199)
    deps = one_world.context.deps
    shops = [LosesAnswers(deps.shop, name) for name in ("create_draft", "complete_draft")]
    one_world.advance(timedelta(days=2))
    await planned(one_world)
    one_world.jobs.waiting.clear()
    await renew_all(replace(deps, shop=cast(Shop, shops[0])), SHOP, [(await who.renewal()).id])

    one_world.context = replace(one_world.context, deps=replace(deps, shop=cast(Shop, shops[1])))
    await days_pass(one_world, 3)
    assert await who.outcomes() == ["PAID"]
    assert [it.lost for it in shops] == [1, 1]
    assert len(who.orders()) == len(one_world.effects("charge")) == 1
