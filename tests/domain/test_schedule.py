"""Which day each period is due: month ends, leap years and every interval, counted from one anchor."""

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule

days = st.dates(date(2019, 1, 1), date(2040, 12, 31))
plans = st.builds(Plan, st.sampled_from(IntervalUnit), st.integers(1, 31))


def monthly(anchor: date, count: int = 1) -> Schedule:
    return Schedule(Plan(IntervalUnit.MONTH, count), anchor)


def test_a_month_end_is_kept_where_the_month_has_it() -> None:
    schedule = monthly(date(2027, 1, 31))
    assert [schedule.due(period) for period in range(6)] == [
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
        date(2027, 4, 30),
        date(2027, 5, 31),
        date(2027, 6, 30),
    ]


def test_a_leap_year_has_its_day() -> None:
    assert monthly(date(2028, 1, 31)).due(1) == date(2028, 2, 29)
    yearly = Schedule(Plan(IntervalUnit.YEAR, 1), date(2028, 2, 29))
    assert [yearly.due(period) for period in (1, 4)] == [date(2029, 2, 28), date(2032, 2, 29)]


@pytest.mark.parametrize(
    ("plan", "third"),
    [
        (Plan(IntervalUnit.DAY, 1), date(2026, 3, 5)),
        (Plan(IntervalUnit.DAY, 10), date(2026, 4, 1)),
        (Plan(IntervalUnit.WEEK, 2), date(2026, 4, 13)),
        (Plan(IntervalUnit.MONTH, 3), date(2026, 12, 2)),
        (Plan(IntervalUnit.YEAR, 2), date(2032, 3, 2)),
    ],
    ids=str,
)
def test_every_interval_and_every_n(plan: Plan, third: date) -> None:
    assert Schedule(plan, date(2026, 3, 2)).due(3) == third


@given(days, st.integers(1, 12), st.integers(0, 120))
def test_months_agree_with_a_calendar(anchor: date, count: int, period: int) -> None:
    due = monthly(anchor, count).due(period)
    months = (due.year - anchor.year) * 12 + due.month - anchor.month
    assert months == count * period
    assert due.day == min(anchor.day, calendar.monthrange(due.year, due.month)[1])


@given(plans, days, st.integers(0, 40))
def test_each_period_is_later_than_the_one_before(plan: Plan, anchor: date, period: int) -> None:
    schedule = Schedule(plan, anchor)
    assert schedule.due(period) < schedule.due(period + 1)


@given(plans, days, st.integers(1, 20), st.integers(0, 40))
def test_a_moved_period_carries_those_after_it_and_none_before(plan: Plan, anchor: date, by: int, period: int) -> None:
    schedule = Schedule(plan, anchor)
    day = schedule.due(period) + timedelta(days=by)
    moved = schedule.moved(period, day)
    assert moved.due(period) == day
    assert moved.due(period + 1) == plan.after(day, 1)


@given(plans, days, st.integers(0, 1500), st.integers(0, 30))
def test_the_first_period_from_a_day_is_found_as_by_counting(plan: Plan, anchor: date, later: int, least: int) -> None:
    schedule = Schedule(plan, anchor)
    day = anchor + timedelta(days=later)
    period = least
    while schedule.due(period) < day:
        period += 1
    assert schedule.first_from(day, least) == period


def test_the_first_period_after_years_of_a_daily_plan_is_found_at_once() -> None:
    schedule = Schedule(Plan(IntervalUnit.DAY, 1), date(2026, 1, 1))
    assert schedule.first_from(date(2046, 1, 1), 3) == (date(2046, 1, 1) - date(2026, 1, 1)).days
