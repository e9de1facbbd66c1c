"""Attacks on pay links and what surrounds them: money was taken for nothing, or in silence, and is not any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from app.domain.dunning import DunningPolicy
from app.domain.errors import IllegalState, RecurringError, Unavailable
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import RenewalStatus
from app.domain.subscription import PriceChange, SubscriptionStatus
from app.usecases.pay_links import PayState, pay, pay_page
from app.usecases.ports import Store
from app.usecases.renewals import renew
from app.usecases.retrying import retry_charges
from app.usecases.subscription_terms import NewPrice, Terms, change_terms
from app.usecases.subscriptions import CancelAt, cancel, move, pause, resume, skip
from app.usecases.watchdog import watch
from app.vipps.simulator.faults import Fault
from tests.builders import nok
from tests.usecases.renewing import Subscribed, account_is, days_pass, planned, problems, settle, subscribe
from tests.usecases.steps import MACHINE, Beforehand, Interrupted, another_worker, charge_of, on_v3
from tests.usecases.test_dunning import failing
from tests.usecases.test_pay_links import PRICE, begin, given_up, in_dunning, on, state
from tests.usecases.test_subscriptions import STAFF, error_of, notices, owner
from tests.world import SHOP, World

WEEKLY = Plan(IntervalUnit.WEEK, 1)


class BetweenStoredAndDrafted:
    """A store in which something happens once, right after a draft was promised and before its agreement has a row."""

    def __init__(self, store: Store, renewal: Any, happening: Callable[[], Awaitable[object]]) -> None:
        self._store, self._renewal, self._happening, self.done = store, renewal, happening, False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        if not self.done:
            async with self._store.begin() as unit:
                found = await unit.recoveries.open_of(SHOP, self._renewal.subscription_id)
                current = await unit.renewals.get(SHOP, self._renewal.id)
            if found is not None and current is not None and current.lease_until is None:
                self.done = True
                await self._happening()
        async with self._store.begin() as unit:
            yield unit

    async def release_leases(self) -> None:
        await self._store.release_leases()


async def test_a_draft_that_nobody_waits_for_any_more_is_paid_and_nobody_hears_of_it(world: World) -> None:
    """The subscription is cancelled between the promise of a draft and the draft."""
    them = await in_dunning(world)
    renewal, deps, mine = await them.renewal(), world.context.deps, await owner(them)

    async def cancelled() -> None:
        await cancel(deps, mine, [them.agreement], CancelAt.NOW)
        await world.run_jobs()

    store = BetweenStoredAndDrafted(deps.store, renewal, cancelled)
    await pay(replace(deps, store=cast(Store, store)), renewal.id)
    assert store.done
    [new] = [name for name in world.vipps.book.agreements if name != them.agreement]
    world.vipps.approve(new)
    await settle(world)
    await days_pass(world, 3)
    gaps = await watch(deps)

    assert [it.amount for it in world.effects("charge")] == [PRICE]
    assert [it.amount for it in world.effects("refund")] == [PRICE]
    assert problems(world) == ["vipps-recurring-renewal:ENDED"]
    assert gaps == []


async def test_the_link_of_a_renewal_that_was_given_up_as_dead_takes_money_for_nothing(world: World) -> None:
    them = await in_dunning(world)
    row = await them.renewal()
    async with world.context.store.begin() as unit:
        await unit.renewals.save(replace(row, dead="given up after 200 attempts: Saleor did not answer"))
    world.vipps.approve(await begin(them))
    await days_pass(world, 3)
    assert len(world.effects("charge")) == 1
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_a_refund_of_an_ended_subscription_that_vipps_refuses_is_told(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    await cancel(world.context.deps, await owner(them), [them.agreement], CancelAt.NOW)
    world.vipps.faults.add(Fault("status", path="/refund", status=400, times=None))
    world.vipps.approve(new)
    await days_pass(world, 5)

    assert len(world.effects("charge")) == 1
    assert world.effects("refund") == []
    assert problems(world) == ["vipps-recurring-renewal:ENDED"]


async def test_what_was_collected_after_the_subscription_ended_is_told(world: World) -> None:
    them = await subscribe(world)
    await days_pass(world, 3)
    world.vipps.faults.add(Fault("status", method="PATCH", path="/agreements", status=503, times=None))
    world.vipps.faults.add(Fault("status", method="PUT", path="/agreements", status=503, times=None))
    world.vipps.faults.add(Fault("status", method="DELETE", path="/charges", status=503, times=None))
    await error_of(cancel(world.context.deps, await owner(them), [them.agreement], CancelAt.NOW))
    assert (await them.row()).status is SubscriptionStatus.ENDED
    for _ in range(6):
        world.advance(timedelta(hours=8))
        await settle(world)
    world.vipps.faults.clear()
    await days_pass(world, 2)

    assert len(world.effects("charge")) == 1
    assert problems(world) == ["vipps-recurring-renewal:ENDED"]


async def second_period_soon(them: Subscribed, days: int) -> None:
    row, world = await them.row(), them.world
    day = world.time.now.date() + timedelta(days=days)
    await them.change(replace(row, next_due=day, schedule=row.schedule.moved(row.next_period, day)))


async def test_a_period_that_a_pause_left_out_is_renewed_on_the_new_agreement(world: World) -> None:
    them = await in_dunning(world, retry_after=(20, 20))
    await second_period_soon(them, 2)
    mine = await owner(them)
    await planned(world)  # its row is there, and not charged yet
    await pause(world.context.deps, mine, [them.agreement])
    await world.run_jobs()
    assert await them.outcomes() == ["WAITING/CHARGE_FAILED", "SKIPPED/PAUSED"]
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert await error_of(resume(world.context.deps, mine, [new])) is None
    await days_pass(world, 5)

    second = await them.renewal(2)
    assert (second.status, second.agreement_id) == (RenewalStatus.PAID, new)


async def test_who_moves_the_next_date_while_paused_pays_once_on_it(world: World) -> None:
    them = await subscribe(world)
    world.advance(timedelta(days=2))
    await planned(world)
    mine = await owner(them)
    await pause(world.context.deps, mine, [them.agreement])
    await world.run_jobs()
    assert await them.outcomes() == ["SKIPPED/PAUSED"]
    day = world.time.now.date() + timedelta(days=4)
    await move(world.context.deps, mine, them.agreement, day)
    assert await error_of(resume(world.context.deps, mine, [them.agreement])) is None
    await days_pass(world, 8)

    assert len(world.effects("charge")) == 1


async def test_a_period_that_the_hold_left_out_is_renewed_when_the_customer_pays(world: World) -> None:
    """Period 2 was planned already, and waits for stock, when period 1 is given up and the subscription put on hold."""
    them = await failing(world, retry_after=())
    await days_pass(world, 4)
    await second_period_soon(them, 5)
    world.saleor.set_stock(them.product.variants[0], 0)
    await account_is(world, lead_days=5)
    await planned(world)
    await world.run_jobs()
    await days_pass(world, 3)
    world.saleor.set_stock(them.product.variants[0], 100)
    assert await them.outcomes() == ["FAILED/CHARGE_FAILED", "SKIPPED/HELD"]
    due = (await them.renewal(2)).due
    world.vipps.approve(await begin(them))
    await settle(world)
    assert (await them.renewal(1)).status is RenewalStatus.PAID
    assert world.time.now.date() < due
    await days_pass(world, 8)
    assert (await them.renewal(2)).status is RenewalStatus.PAID


async def test_a_cancellation_during_the_move_ends_the_subscription_or_is_refused(world: World) -> None:
    them = await in_dunning(world)
    mine = await owner(them)
    new = await begin(them)
    world.vipps.approve(new)
    deps = world.context.deps
    moved_after = ["list_charges"]

    async def moves() -> None:
        if moved_after:
            moved_after.clear()
            await settle(world, rounds=2)

    def provider(account: Any) -> Any:
        return Beforehand(deps.provider(account), "list_charges", moves)

    error = await error_of(cancel(replace(deps, provider=provider), mine, [them.agreement], CancelAt.NOW))
    assert not moved_after
    assert isinstance(error, IllegalState)
    assert new in error.message
    assert (await on(world, new)) is not None


async def test_staff_have_fourteen_days_where_vipps_collected_on_its_last_day(world: World) -> None:
    await account_is(world, retry_days=14)
    them = await subscribe(world)
    world.vipps.set_failure(them.agreement, "user_action_required")
    await days_pass(world, 4 + 13)
    assert (await them.renewal()).status is RenewalStatus.CHARGING
    world.vipps.set_failure(them.agreement, None)
    world.saleor.set_stock(them.product.variants[0], 0)
    await days_pass(world, 2)

    assert len(world.effects("charge")) == 1
    assert world.effects("refund") == []
    assert problems(world) == ["vipps-recurring-renewal:OUT_OF_STOCK"]


async def test_a_second_price_change_does_not_bring_the_oldest_price_back(world: World) -> None:
    them = await subscribe(world, 100, WEEKLY)
    row = await them.row()
    change = PriceChange(row.schedule.due(2), nok(20_000), {row.lines[0].variant: 20_000}, world.time.now)
    await them.change(replace(row, price_change=change))
    # Period 1 fails, and its next charge is far away.
    await account_is(world, dunning=DunningPolicy(retry_after=(30,)), retry_days=0)
    world.vipps.set_failure(them.agreement, "user_action_required")
    await days_pass(world, 6)
    world.vipps.set_failure(them.agreement, None)
    await days_pass(world, 7)
    amounts = {it.period: it.amount for it in await them.renewals()}
    assert amounts[2] == nok(20_000)
    far = world.time.now.date() + timedelta(days=20)
    with pytest.raises(IllegalState):
        await change_terms(
            world.context.deps,
            STAFF,
            them.agreement,
            Terms(price=NewPrice(far, 30_000, {row.lines[0].variant: 30_000})),
        )
    await days_pass(world, 7)
    amounts = {it.period: it.amount for it in await them.renewals()}
    assert amounts[3] == nok(20_000)


async def test_the_page_does_not_say_collecting_of_what_was_given_back(one_world: World) -> None:
    them = await subscribe(one_world)
    await days_pass(one_world, 3)
    one_world.saleor.set_stock(them.product.variants[0], 0)
    await days_pass(one_world, 22)
    assert (await them.outcomes())[0] == "FAILED/OUT_OF_STOCK"
    assert await state(them) is PayState.OVER


async def error_of_pay(them: Subscribed) -> RecurringError:
    with pytest.raises(RecurringError) as raised:
        await pay(them.world.context.deps, (await them.renewal()).id)
    return raised.value


async def test_what_an_order_is_to_be_paid_with_survives_the_move(world: World) -> None:
    """Something else was bought on the old agreement, and Vipps is to collect it in two days."""
    them = await in_dunning(world)
    world.vipps.set_failure(them.agreement, None)
    user = next(user for user in world.saleor.users if not user.is_staff)
    order = world.saleor.create_order(user, amount=50, metadata={"vipps-recurring.agreement": them.agreement})
    await world.drain()
    charge = await charge_of(world, order)
    assert charge is not None
    world.vipps.approve(await begin(them))
    await days_pass(world, 5)
    assert sorted(it.amount for it in world.effects("charge")) == [5_000, PRICE]


async def test_no_draft_is_handed_out_for_a_subscription_that_has_ended(world: World) -> None:
    them = await in_dunning(world)
    await begin(them)
    await cancel(world.context.deps, await owner(them), [them.agreement], CancelAt.NOW)
    await settle(world, rounds=0)
    assert isinstance(await error_of_pay(them), IllegalState)
    assert await state(them) is PayState.OVER


async def test_money_given_back_is_told_also_where_the_process_dies_in_between(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    await cancel(world.context.deps, await owner(them), [them.agreement], CancelAt.NOW)
    world.vipps.approve(new)
    # The refund is done, its answer is lost and so is the next look.
    world.vipps.faults.add(Fault("timeout-after", path="/refund"))
    world.vipps.faults.add(Fault("status", operation="getCharge", status=503, times=3))
    await days_pass(world, 2)
    assert [it.amount for it in world.effects("refund")] == [PRICE]
    assert "vipps-recurring-renewal:ENDED" in problems(world)


async def test_of_two_failed_periods_one_that_its_customer_was_sent_a_link_for_is_payable(world: World) -> None:
    """Weekly: period 2 is being collected when period 1 is given up, and fails too."""
    await account_is(world, notify_url="https://notify.example/hook", notify_secret="s" * 40)
    them = await subscribe(world, 199, WEEKLY)
    await account_is(world, dunning=DunningPolicy(retry_after=(3,)), retry_days=1)
    world.vipps.set_failure(them.agreement, "user_action_required")
    await days_pass(world, 18)
    assert (await them.outcomes())[:2] == ["FAILED/CHARGE_FAILED", "FAILED/CHARGE_FAILED"]
    row = await them.row()
    assert (row.status, row.reason) == (SubscriptionStatus.HELD, "UNPAID")
    deps, links = world.context.deps, {}
    for _, data in await notices(world):
        if data.get("pay_url"):
            links[data["renewal"]] = data["pay_url"]
    states = [(await pay_page(deps, renewal)).state for renewal in links]
    assert PayState.PAYABLE in states


async def test_a_worker_that_holds_another_period_does_not_undo_its_move(world: World) -> None:
    them = await in_dunning(world, retry_after=(20, 20))
    await second_period_soon(them, 2)
    new = await begin(them)
    await planned(world)  # period 2 comes due meanwhile
    world.jobs.waiting.clear()
    second = await them.renewal(2)
    assert second.status is RenewalStatus.PLANNED

    first = await them.renewal(1)

    async def approved() -> None:
        world.vipps.approve(new)
        async with world.context.store.begin() as unit:
            await unit.renewals.wake(SHOP, first.id, world.time.now)
        await renew(world.context.deps, SHOP, first.id)
        moved = await on(world, new)
        assert moved is not None

    deps = world.context.deps
    store = Interrupted(deps.store, 4, approved)
    await renew(replace(deps, store=cast(Store, store)), SHOP, second.id)
    assert store.begun >= 4
    await days_pass(world, 6)
    after = await them.renewal(2)
    gaps = await watch(deps)
    assert (after.status, after.agreement_id) == (RenewalStatus.PAID, new), (after.status, after.reason, gaps)


async def test_money_of_a_shop_that_was_installed_anew_meanwhile_is_told_of(world: World) -> None:
    """Uninstalling erases the addresses; who was in the Vipps app just then has paid."""
    them = await in_dunning(world)
    new = await begin(them)
    world.vipps.approve(new)
    [app] = world.saleor.apps
    world.saleor.delete_app(app)
    await world.drain()
    await world.install()
    await world.set_account()
    await days_pass(world, 3)
    assert len(world.effects("charge")) == 1
    assert len(world.effects("refund")) == 1
    assert problems(world) == ["vipps-recurring-renewal:ENDED"]


async def test_refund_in_saleor_of_the_moved_order(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    world.vipps.approve(new)
    await settle(world)
    [order] = them.orders()
    paid = [it for it in order.transactions if any(e.type == "CHARGE_SUCCESS" for e in it.events)]
    assert len(paid) == 1
    world.saleor.request_action(paid[0], "REFUND", "50")
    await settle(world)
    assert [it.amount for it in world.effects("refund")] == [5_000]


@pytest.mark.parametrize("held", [False, True])
async def test_who_stops_the_new_agreement_at_once_has_paid(world: World, held: bool) -> None:
    them = await (given_up(world) if held else in_dunning(world))
    new = await begin(them)
    world.vipps.approve(new)
    world.vipps.stop_in_app(new)
    world.vipps.set_failure(them.agreement, None)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert (await them.row()).status is SubscriptionStatus.ACTIVE
    await days_pass(world, 40)
    assert [it.agreement_id for it in world.effects("charge")][:2] == [new, them.agreement]
    assert await watch(world.context.deps) == []


async def test_two_processes_press_at_once(world: World) -> None:
    them = await in_dunning(world)
    renewal = await them.renewal()
    other = another_worker(world)
    results = await asyncio.gather(
        *[pay(d, renewal.id) for d in (world.context.deps, other.deps, world.context.deps, other.deps)],
        return_exceptions=True,
    )
    await other.store.close()
    assert len(world.vipps.book.agreements) == 2, results
    [new] = [n for n in world.vipps.book.agreements if n != them.agreement]
    world.vipps.approve(new)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_completed_at_once_in_dunning(world: World) -> None:
    await account_is(world, complete_when_paid=False)
    them = await failing(world)
    await account_is(world, complete_when_paid=False)
    await days_pass(world, 6)
    world.vipps.approve(await begin(them))
    await settle(world)
    [order] = them.orders()
    assert (await them.renewal()).status is RenewalStatus.PAID
    assert order.charge_status == "FULL"


async def test_v3_meanwhile(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    await on_v3(world)
    world.vipps.approve(new)
    await settle(world)
    assert (await them.renewal()).status is RenewalStatus.PAID
    await days_pass(world, 40)
    assert len(world.effects("charge")) == 2


async def test_draft_deleted_or_dearer_meanwhile(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    [draft] = them.orders()
    draft.status = "CANCELED"
    world.vipps.approve(new)
    await days_pass(world, 1)
    assert problems(world), await them.outcomes()
    await days_pass(world, 20)
    assert len(world.effects("refund")) == 1


async def test_saleor_down_after_approval(world: World) -> None:
    them = await in_dunning(world)
    new = await begin(them)
    world.vipps.approve(new)
    deps = world.context.deps

    class Down:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            async def call(*_a: Any, **_k: Any) -> Any:
                raise Unavailable("Saleor is down")

            return call

    up = world.context
    world.context = replace(up, deps=replace(deps, shop=cast(Any, Down(deps.shop))))
    await days_pass(world, 2)
    world.context = up
    await days_pass(world, 1)
    assert (await them.renewal()).status is RenewalStatus.PAID
    [order] = them.orders()
    assert order.charge_status == "FULL"


async def test_that_a_skipped_period_was_collected_stands_on_its_order_too(world: World) -> None:
    """Saleor before 3.22 shows no problems of apps."""
    them = await subscribe(world)
    await days_pass(world, 3)
    world.vipps.faults.add(Fault("status", method="GET", path="/charges", status=503, times=None))
    await error_of(skip(world.context.deps, await owner(them), [them.agreement]))
    world.advance(timedelta(days=2))
    world.vipps.faults.clear()
    await days_pass(world, 2)
    [order] = them.orders()
    assert any("the period was skipped: refund it" in (note.message or "") for note in order.notes)


async def test_a_hold_that_is_over_while_its_customer_pays_does_not_end_it(one_world: World) -> None:
    them = await failing(one_world, retry_after=(), cancel_after=10)
    await days_pass(one_world, 17)
    assert (await them.row()).status is SubscriptionStatus.HELD
    one_world.vipps.approve(await begin(them))
    await watch(one_world.context.deps)
    await settle(one_world)
    assert one_world.effects("refund") == []
    assert (await them.renewal()).status is RenewalStatus.PAID


async def test_the_page_says_what_the_button_takes(one_world: World) -> None:
    """The draft became dearer after its charge failed: staff agree to it, and nothing is taken that nobody has seen."""
    them = await in_dunning(one_world)
    [draft] = them.orders()
    draft.lines[0].quantity = 2
    with pytest.raises(IllegalState, match="comes to"):
        await begin(them)
    rows = [(await them.charge()).id]
    [item] = (await retry_charges(one_world.context.deps, MACHINE, rows, 2 * PRICE)).items
    assert item.error is None
    new = await begin(them)
    page = await pay_page(one_world.context.deps, (await them.renewal()).id)
    one_world.vipps.approve(new)
    await settle(one_world)
    assert page.amount == nok(one_world.effects("charge")[0].amount) == nok(2 * PRICE)


async def test_a_link_that_comes_to_nothing_leaves_no_note_for_each_time(one_world: World) -> None:
    them = await given_up(one_world)
    [draft] = them.orders()
    notes = len(draft.notes)
    for _ in range(3):
        one_world.vipps.reject(await begin(them))
        await settle(one_world)
    assert len(draft.notes) == notes, [it.message for it in draft.notes]
