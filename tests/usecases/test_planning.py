"""Planning: every period that comes due has one row, and those that are not charged say why."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Currency
from app.domain.plan import IntervalUnit, Plan
from app.domain.renewal import Renewal
from app.domain.schedule import Schedule
from app.domain.subscription import Subscription, SubscriptionLine, SubscriptionStatus
from app.usecases.planning import Taken, plan, take
from app.usecases.ports import Job
from tests.builders import SHOP
from tests.usecases.renewing import MONTHLY, account_is, planned, settle, subscribe
from tests.usecases.steps import another_worker
from tests.world import World

TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAILY, WEEKLY = Plan(IntervalUnit.DAY, 1), Plan(IntervalUnit.WEEK, 1)
S = SubscriptionStatus


def a_subscription(next_due: date, plan: Plan = MONTHLY, **over: object) -> Subscription:
    subscription = Subscription(
        id="row",
        shop=SHOP,
        account_id="account",
        agreement_id="agr_1",
        customer=None,
        channel="norway",
        channel_id="Q2hhbm5lbDox",
        currency=Currency.NOK,
        initial_order="T3JkZXI6MQ==",
        lines=(SubscriptionLine("v", 1),),
        schedule=Schedule(plan, next_due, 1),
        next_period=1,
        next_due=next_due,
        status=S.ACTIVE,
        created_at=NOW,
    )
    return replace(subscription, **over)  # type: ignore[arg-type]


def taken(subscription: Subscription, lead_days: int = 2) -> Taken:
    return take(subscription, TODAY, TODAY + timedelta(days=lead_days), NOW)


def told(rows: Taken) -> list[tuple[int, str]]:
    return [(it.period, f"{it.status}/{it.reason}" if it.reason else it.status.value) for it in rows.renewals]


def test_a_period_is_planned_the_lead_days_before_it_is_due() -> None:
    assert told(taken(a_subscription(date(2026, 3, 5)))) == []
    on_time = taken(a_subscription(date(2026, 3, 4)))
    assert told(on_time) == [(1, "PLANNED")]
    assert (on_time.subscription.next_period, on_time.subscription.next_due) == (2, date(2026, 4, 4))


def test_of_months_that_were_missed_only_the_newest_is_charged() -> None:
    late = taken(a_subscription(date(2025, 11, 20)))
    assert told(late) == [(1, "SKIPPED/MISSED"), (2, "SKIPPED/MISSED"), (3, "SKIPPED/MISSED"), (4, "PLANNED")]
    assert late.subscription.next_due == date(2026, 3, 20)


def test_what_is_late_is_not_charged_beside_what_is_on_time() -> None:
    both = taken(a_subscription(date(2026, 2, 24), WEEKLY), lead_days=3)
    assert told(both) == [(1, "SKIPPED/MISSED"), (2, "PLANNED")]


def test_a_daily_plan_is_on_time_for_each_day_to_the_horizon() -> None:
    assert told(taken(a_subscription(date(2026, 3, 3), DAILY))) == [(1, "PLANNED"), (2, "PLANNED")]


def test_a_pause_passes_periods_by_only_as_they_come() -> None:
    paused = a_subscription(date(2026, 3, 4), status=S.PAUSED)
    assert told(taken(paused)) == []
    come = taken(replace(paused, schedule=Schedule(MONTHLY, TODAY, 1), next_due=TODAY))
    assert told(come) == [(1, "SKIPPED/PAUSED")]
    assert come.subscription.status is S.PAUSED


def test_a_pause_that_is_over_renews_again_and_names_what_it_passed_by() -> None:
    paused = a_subscription(date(2026, 1, 3), status=S.PAUSED, paused_until=date(2026, 2, 20))
    awake = taken(paused)
    assert told(awake) == [(1, "SKIPPED/PAUSED"), (2, "SKIPPED/PAUSED"), (3, "PLANNED")]
    assert (awake.subscription.status, awake.subscription.paused_until) == (S.ACTIVE, None)


def test_a_period_on_the_day_on_which_a_pause_ends_is_planned_in_time() -> None:
    paused = a_subscription(date(2026, 3, 4), status=S.PAUSED, paused_until=date(2026, 3, 4))
    assert told(taken(paused)) == [(1, "PLANNED")]
    longer = replace(paused, paused_until=date(2026, 3, 5))
    assert told(taken(longer)) == []


def test_what_is_on_hold_is_passed_by() -> None:
    held = a_subscription(TODAY, status=S.HELD)
    assert told(taken(held)) == [(1, "SKIPPED/HELD")]
    assert told(taken(a_subscription(date(2026, 3, 3), status=S.HELD))) == []


def test_what_is_ending_is_over_on_its_day_and_never_renewed() -> None:
    ending = a_subscription(date(2026, 3, 4), status=S.ENDING, ends_on=date(2026, 3, 4))
    assert taken(ending) == Taken(ending)
    assert taken(replace(ending, ends_on=TODAY)).over


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("plan", [DAILY, WEEKLY, MONTHLY, Plan(IntervalUnit.YEAR, 1)], ids=str)
def test_every_status_and_plan_leaves_no_period_without_a_row(status: SubscriptionStatus, plan: Plan) -> None:
    before = a_subscription(date(2025, 1, 31), plan, status=status, ends_on=TODAY if status is S.ENDING else None)
    after = taken(before)
    assert [it.period for it in after.renewals] == list(range(1, after.subscription.next_period))
    assert [it.due for it in after.renewals] == [before.schedule.due(it.period) for it in after.renewals]
    if status not in {S.ENDING, S.ENDED}:
        assert after.subscription.next_due > TODAY


async def test_many_are_planned_page_by_page_once_each(world: World) -> None:
    first = await subscribe(world, first_due=TODAY)
    row = await first.row()
    statuses = [S.ACTIVE, S.PAUSED, S.HELD, S.ENDING]
    async with world.context.store.begin() as unit:
        for number in range(20):
            copy = replace(row, id=f"copy-{number:02}", agreement_id=f"agr_copy_{number}", status=statuses[number % 4])
            # What is ending tomorrow, or paused until a later day, stands in the way of no page.
            over = {"ends_on": TODAY + timedelta(days=1)} if copy.status is S.ENDING else {}
            person = await unit.subscriptions.subscriber(SHOP, row.id)
            assert person is not None
            assert await unit.subscriptions.add(replace(copy, **over), person)  # type: ignore[arg-type]

    done = await plan(world.context.deps, page=3)
    assert done.counts == {"PLANNED": 6, "SKIPPED/PAUSED": 5, "SKIPPED/HELD": 5}
    assert (await plan(world.context.deps, page=3)).total == 0
    handed = [row_id for kind, _, ids in world.jobs.waiting if kind is Job.RENEW for row_id in ids]
    assert len(handed) == len(set(handed)) == 6


async def test_two_planners_at_once_make_each_row_once(world: World) -> None:
    subscribed = [await subscribe(world, first_due=TODAY + timedelta(days=1)) for _ in range(6)]
    other = another_worker(world)
    try:
        done = await asyncio.gather(plan(world.context.deps), plan(other.deps))
    finally:
        await other.store.close()
    rows: list[Renewal] = [row for it in subscribed for row in await it.renewals()]
    assert [row.period for row in rows] == [1] * 6
    assert sum((Counter(it.counts) for it in done), Counter()) == {"PLANNED": 6}


async def test_a_dry_run_says_what_would_be_and_writes_nothing(one_world: World) -> None:
    who = await subscribe(one_world, first_due=TODAY + timedelta(days=10))
    deps = one_world.context.deps
    assert (await plan(deps, dry_run=True)).counts == {}
    assert (await plan(deps, TODAY + timedelta(days=10), dry_run=True)).counts == {"PLANNED": 1}
    assert await who.renewals() == []
    # Without a dry run the day only ever brings the horizon nearer.
    assert (await plan(deps, TODAY + timedelta(days=10))).counts == {}


async def test_the_day_is_the_merchants_own(one_world: World) -> None:
    await account_is(one_world, time_zone="Pacific/Kiritimati")  # fourteen hours ahead
    one_world.advance(timedelta(hours=2))
    who = await subscribe(one_world, first_due=TODAY + timedelta(days=3))
    await planned(one_world)
    assert await who.outcomes() == ["PLANNED"]


async def test_a_period_that_has_a_row_already_keeps_it(one_world: World) -> None:
    who = await subscribe(one_world, first_due=TODAY + timedelta(days=1))
    first = taken(await who.row())
    skipped = [replace(it, status=it.status.SKIPPED, next_attempt_at=None) for it in first.renewals]
    async with one_world.context.store.begin() as unit:
        assert await unit.renewals.add_all(skipped) == 1
    await settle(one_world)
    assert await who.outcomes() == ["SKIPPED"]
    assert (await who.row()).next_period == 2
