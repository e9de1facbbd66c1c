"""The watchdog: what is not as the schedule says is found, told, put right where it can be, and filled by a command."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import text

from app.domain.account import system
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import SubscriptionStatus
from app.domain.transaction import ActionType, Session
from app.usecases.backfilling import backfill
from app.usecases.ports import Job
from app.usecases.watchdog import GapKind, watch
from tests.builders import nok
from tests.usecases.renewing import days_pass, planned, problems, settle, subscribe
from tests.usecases.steps import agreement_row
from tests.world import SHOP, World


async def kinds(world: World) -> list[GapKind]:
    return [it.kind for it in await watch(world.context.deps)]


async def test_where_all_is_well_nobody_hears_anything(world: World) -> None:
    await subscribe(world)
    await days_pass(world, 35)
    assert await kinds(world) == []
    assert problems(world) == []


async def test_a_planner_that_stands_still_is_noticed_and_the_problem_goes_away(world: World) -> None:
    who = await subscribe(world)
    world.advance(timedelta(days=6))
    [gap] = await watch(world.context.deps)
    assert (gap.kind, gap.agreement_id) == (GapKind.NOT_PLANNED, who.agreement)
    assert problems(world) == ["vipps-recurring-watchdog:NOT_PLANNED"]
    await settle(world)
    assert await kinds(world) == []
    assert problems(world) == []


async def test_a_period_without_a_row_is_found_and_filled(world: World) -> None:
    who = await subscribe(world)
    await days_pass(world, 36)
    assert await who.outcomes() == ["PAID", "PAID"]
    async with world.context.store.engine.begin() as connection:
        await connection.execute(text("DELETE FROM renewal WHERE period = 2"))
    assert await kinds(world) == [GapKind.NO_RENEWAL]

    assert await backfill(world.context.deps, system(SHOP), world.time.now.date() - timedelta(days=60)) == 1
    await settle(world)
    # Its order and its charge exist, and are found by their names.
    assert await who.outcomes() == ["PAID", "PAID"]
    charged = [it.order_id for it in world.effects("charge")]
    assert len(charged) == len(set(charged)) > 0
    assert await kinds(world) == []


async def test_missed_periods_are_told_for_a_week(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    one_world.advance(timedelta(days=66))
    await settle(one_world)
    told = await watch(one_world.context.deps)
    assert [(it.kind, it.agreement_id) for it in told] == [(GapKind.MISSED, who.agreement)] * 2
    assert problems(one_world) == ["vipps-recurring-watchdog:MISSED"]
    await days_pass(one_world, 8)
    assert await kinds(one_world) == []
    assert problems(one_world) == []


async def test_missed_periods_are_charged_when_a_person_says_so(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    one_world.advance(timedelta(days=66))
    await settle(one_world)
    assert (await who.outcomes())[:2] == ["SKIPPED/MISSED", "SKIPPED/MISSED"]
    since = (await who.renewal(2)).due
    assert await backfill(one_world.context.deps, system(SHOP), since) == 1
    await days_pass(one_world, 5)
    assert await who.outcomes() == ["SKIPPED/MISSED", "PAID", "PAID"]
    assert await backfill(one_world.context.deps, system(SHOP), since) == 0


async def test_what_has_ended_is_not_filled(one_world: World) -> None:
    who = await subscribe(one_world, 100)
    one_world.advance(timedelta(days=66))
    await settle(one_world)
    await who.change((await who.row()).ended("enough"))
    assert await backfill(one_world.context.deps, system(SHOP), one_world.time.now.date() - timedelta(days=90)) == 0


async def test_a_renewal_that_nobody_takes_up_is_a_gap(one_world: World) -> None:
    who = await subscribe(one_world)
    one_world.advance(timedelta(days=3))
    await planned(one_world)
    one_world.jobs.waiting.clear()
    one_world.advance(timedelta(days=4))
    [gap] = await watch(one_world.context.deps)
    assert (gap.kind, gap.agreement_id) == (GapKind.STUCK, who.agreement)


async def test_what_names_its_reason_is_no_gap(one_world: World) -> None:
    who = await subscribe(one_world)
    one_world.saleor.set_stock(who.product.variants[0], 0)
    await days_pass(one_world, 8)
    assert (await who.renewal()).reason is RenewalReason.OUT_OF_STOCK
    assert await kinds(one_world) == []


async def test_an_approval_without_an_order_is_told_after_a_day(one_world: World) -> None:
    who = await subscribe(one_world)
    row = await who.row()
    other = await subscribe(one_world)
    async with one_world.context.store.engine.begin() as connection:
        await connection.execute(text("DELETE FROM subscription WHERE id = :id"), {"id": other.id})
    session = Session(
        "VHJhbnNhY3Rpb24x", SHOP, row.account_id, other.id, ActionType.CHARGE, nok(19_900), "checkout", row.created_at
    )
    async with one_world.context.store.begin() as unit:
        await unit.sessions.add(session)
    assert await kinds(one_world) == []
    one_world.advance(timedelta(days=1, minutes=1))
    [gap] = await watch(one_world.context.deps)
    assert (gap.kind, gap.agreement_id) == (GapKind.NO_ORDER, other.agreement)


async def test_a_stopped_agreement_has_no_live_subscription(one_world: World) -> None:
    who = await subscribe(one_world)
    one_world.vipps.stop_in_app(who.agreement)
    agreement = await agreement_row(one_world, who.agreement)
    stopped = replace(agreement, status=agreement.status.STOPPED, stopped_by="USER")
    async with one_world.context.store.begin() as unit:
        await unit.agreements.save(stopped)
    await watch(one_world.context.deps)
    assert (await who.row()).status is SubscriptionStatus.ENDED


async def test_a_pause_that_is_over_is_over_even_where_nothing_is_due(one_world: World) -> None:
    who = await subscribe(one_world)
    row = await who.row()
    await who.change(row.paused(one_world.time.now.date() + timedelta(days=10), one_world.time.now.date()))
    await days_pass(one_world, 9)
    await watch(one_world.context.deps)
    assert (await who.row()).status is SubscriptionStatus.PAUSED
    await days_pass(one_world, 1)
    await watch(one_world.context.deps)
    assert (await who.row()).status is SubscriptionStatus.ACTIVE
    assert await who.outcomes() == ["SKIPPED/PAUSED"]


async def test_the_sweeper_finds_a_renewal_whose_job_is_lost(one_world: World) -> None:
    who = await subscribe(one_world)
    one_world.advance(timedelta(days=2))
    await planned(one_world)
    assert [kind for kind, _, _ in one_world.jobs.waiting] == [Job.RENEW]
    one_world.jobs.waiting.clear()
    swept = await one_world.sweep()
    assert swept.renewals == 1
    assert (await who.renewal()).status is RenewalStatus.CHARGING


async def test_two_who_fill_in_at_once_plan_each_period_once(world: World) -> None:
    who = await subscribe(world, 100)
    world.advance(timedelta(days=66))
    await settle(world)
    since = (await who.renewal(1)).due
    found = await asyncio.gather(*(backfill(world.context.deps, system(SHOP), since) for _ in range(3)))
    assert sum(found) == 2
    async with world.context.store.begin() as unit:
        entries = await unit.audit.of_object(SHOP, who.agreement)
    assert [it.before for it in entries if it.action == "renewal.backfilled"] == [
        "period 1 SKIPPED",
        "period 2 SKIPPED",
    ]
    await days_pass(world, 5)
    charged = [it.order_id for it in world.effects("charge")]
    assert len(charged) == len(set(charged)) > 0
