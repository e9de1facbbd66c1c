"""Attacks on subscriptions that once worked, and must not any more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from app.domain.errors import OutcomeUnknown, Rejected
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RenewalReason
from app.domain.subscription import PriceChange, SubscriptionStatus
from app.usecases.ports import Shop
from app.usecases.subscriptions import CancelAt, cancel, pause, resume, skip
from app.usecases.watchdog import watch
from app.vipps.simulator.faults import Fault
from tests.builders import nok
from tests.usecases.buying import a_product
from tests.usecases.renewing import days_pass, planned, problems, settle, subscribe
from tests.usecases.steps import a_subscriber, agreement_row, charge_of
from tests.usecases.test_subscriptions import STAFF, error_of, owner
from tests.world import SHOP, World


async def test_a_skip_that_cannot_be_done_at_once_is_done_before_vipps_collects(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 3)
    world.vipps.faults.add(Fault("status", method="GET", path="/charges", status=503, times=4))

    told = await error_of(skip(world.context.deps, await owner(them), [them.agreement]))
    world.vipps.faults.clear()
    for _ in range(6):
        world.advance(timedelta(minutes=10))
        await settle(world)
    await days_pass(world, 4)

    assert isinstance(told, OutcomeUnknown)
    assert await them.outcomes() == ["SKIPPED/SKIPPED"]
    assert world.effects("charge") == []


async def test_a_skipped_period_that_is_collected_all_the_same_is_told(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 3)
    world.vipps.faults.add(Fault("status", method="GET", path="/charges", status=503, times=None))
    await error_of(skip(world.context.deps, await owner(them), [them.agreement]))
    world.advance(timedelta(days=2))
    world.vipps.faults.clear()
    await days_pass(world, 2)

    assert len(world.effects("charge")) == 1
    assert problems(world) == ["vipps-recurring-renewal:SKIPPED"]


class _Refusing:
    """A shop that takes no payment for an order."""

    def __init__(self, inner: Shop) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def create_transaction(self, *_arguments: object) -> str:
        raise Rejected("the order takes no transaction")


async def test_money_without_an_order_is_told_and_given_back(world: World) -> None:
    them = await subscribe(world)
    refusing = cast(Shop, _Refusing(world.context.deps.shop))
    world.context = replace(world.context, deps=replace(world.context.deps, shop=refusing))
    await days_pass(world, 8)

    assert await them.outcomes() == ["COLLECTED/ORDER_REFUSED"]
    assert problems(world) == ["vipps-recurring-renewal:ORDER_REFUSED"]

    await days_pass(world, 20)
    assert await them.outcomes() == ["FAILED/ORDER_REFUSED"]
    assert [it.amount for it in world.effects("refund")] == [it.amount for it in world.effects("charge")]


async def test_money_of_which_saleor_cannot_be_told_is_a_gap(world: World) -> None:
    them = await subscribe(world)
    [app] = world.saleor.apps
    app.permissions = frozenset(app.permissions) - {"HANDLE_PAYMENTS"}
    await days_pass(world, 20)

    gaps = await watch(world.context.deps)

    assert await them.outcomes() == ["COLLECTED"]
    assert [it.agreement_id for it in gaps] == [them.agreement]


async def test_a_cancellation_at_the_periods_end_ends_it_on_that_day(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    await cancel(world.context.deps, STAFF, [them.agreement], CancelAt.PERIOD_END)
    ends_on = (await them.row()).ends_on
    assert ends_on is not None

    await days_pass(world, (ends_on - world.time.now.date()).days + 1)

    assert (await them.row()).status is SubscriptionStatus.ENDED
    assert (await agreement_row(world, them.agreement)).status == "STOPPED"
    assert world.effects("charge") == []


async def test_who_takes_a_cancellation_back_is_renewed(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    mine, before = await owner(them), await them.row()
    await cancel(world.context.deps, mine, [them.agreement], CancelAt.PERIOD_END)
    await world.run_jobs()
    assert await them.outcomes() == ["SKIPPED/ENDED"]

    assert await error_of(resume(world.context.deps, mine, [them.agreement])) is None
    assert (await them.row()).next_due == before.next_due
    await days_pass(world, 6)

    assert await them.outcomes() == ["PAID"]
    assert len(world.effects("charge")) == 1


async def test_who_pauses_and_resumes_before_the_day_is_renewed_once(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    mine = await owner(them)
    for _ in range(2):
        await pause(world.context.deps, mine, [them.agreement])
        await world.run_jobs()
        assert await error_of(resume(world.context.deps, mine, [them.agreement])) is None
        await world.run_jobs()
    await days_pass(world, 6)

    assert await them.outcomes() == ["PAID"]
    assert len(world.effects("charge")) == 1


async def test_a_payment_of_nothing_neither_begins_a_subscription_nor_stands_in_the_way(world: World) -> None:
    """By anybody who knows the order's id."""
    who = await a_subscriber(world)
    named = {"vipps-recurring.agreement": who.agreement}
    order = world.saleor.create_order(who.user, [(a_product(world), 1)], metadata=named)
    begun = await world.saleor.initialize_transaction(
        order, amount="0", data={"returnUrl": "https://shop.example/t"}, idempotency_key="k1"
    )
    assert begun.data is not None
    world.vipps.approve(begun.data["agreementId"])
    await world.saleor.process_transaction(begun.transaction)
    await world.drain()
    for _ in range(3):
        await settle(world)

    charge = await charge_of(world, order)
    assert charge is not None
    assert charge.agreement_id == who.agreement
    async with world.context.store.begin() as unit:
        session = await unit.sessions.get(SHOP, begun.transaction.id)
        assert session is not None
        assert await unit.subscriptions.get(SHOP, session.agreement_row) is None


async def test_a_period_that_waited_keeps_the_price_of_its_day(world: World) -> None:
    them = await subscribe(world, 100, Plan(IntervalUnit.WEEK, 1))
    row = await them.row()
    change = PriceChange(row.schedule.due(2), nok(20_000), {row.lines[0].variant: 20_000}, world.time.now)
    await them.change(replace(row, price_change=change))
    variant = them.product.variants[0]
    world.saleor.set_stock(variant, 0)
    await days_pass(world, 10)
    assert (await them.renewal(1)).reason is RenewalReason.OUT_OF_STOCK
    world.saleor.set_stock(variant, 100)
    await days_pass(world, 12)

    amounts = {it.period: it.amount for it in await them.renewals()}
    assert amounts[1] == nok(10_000)
    assert amounts[2] == nok(20_000)
    assert amounts[3] == nok(20_000)
    assert (await them.row()).price_change is None


async def test_many_looks_are_no_failures(one_world: World) -> None:
    """A period that was looked at some hundred times is not given up for the first call that fails."""
    them = await subscribe(one_world)
    await days_pass(one_world, 3)
    renewal = await them.renewal()
    async with one_world.context.store.begin() as unit:
        for _ in range(250):
            await unit.renewals.wake(SHOP, renewal.id, one_world.time.now)
            claimed = await unit.renewals.claim(SHOP, renewal.id, one_world.time.now, one_world.time.now)
            assert claimed is not None
    one_world.vipps.faults.add(Fault("status", method="GET", path="/charges", status=503, times=None))
    await days_pass(one_world, 3)
    one_world.vipps.faults.clear()
    looked_at = await them.renewal()
    assert (looked_at.dead, looked_at.attempts > 250) == (None, True)
    await days_pass(one_world, 3)
    assert await them.outcomes() == ["PAID"]
    assert (await them.renewal()).failures == 0
