"""Intervals and their windows on the calendar."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput
from app.domain.plan import IntervalUnit, Plan, add_months

DAYS = st.dates(date(2000, 1, 1), date(2060, 12, 31))
PLANS = st.builds(Plan, st.sampled_from(IntervalUnit), st.integers(1, 31))


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("MONTH:1", Plan(IntervalUnit.MONTH, 1)),
        ("YEAR:2", Plan(IntervalUnit.YEAR, 2)),
        ("WEEK:31", Plan(IntervalUnit.WEEK, 31)),
        ("DAY:14", Plan(IntervalUnit.DAY, 14)),
    ],
)
def test_unit_and_count_are_read(text: str, plan: Plan) -> None:
    assert Plan.parse(text) == plan


@given(PLANS)
def test_a_plan_reads_what_it_writes(plan: Plan) -> None:
    assert Plan.parse(str(plan)) == plan


@pytest.mark.parametrize(
    "text",
    [
        *("", "MONTH", "MONTH:", ":1", "1:MONTH", "month:1", "QUARTER:1"),
        *("MONTH:0", "MONTH:32", "MONTH:-1", "MONTH:1.5", "MONTH:x", "MONTH:1:2", "MONTH:1_2"),
    ],
)
def test_other_texts_are_no_plan(text: str) -> None:
    with pytest.raises(InvalidInput):
        Plan.parse(text)


@pytest.mark.parametrize("count", [0, -1, 32, True, 1.0, "1"])
def test_counts_are_whole_numbers_from_1_to_31(count: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        Plan(IntervalUnit.DAY, count)
    assert refused.value.field == "intervalCount"


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 1, 31), 2, date(2026, 3, 31)),
        (date(2026, 3, 31), 1, date(2026, 4, 30)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 11, 15), 14, date(2028, 1, 15)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2026, 5, 5), 0, date(2026, 5, 5)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
    ],
)
def test_months_are_added_by_the_calendar(anchor: date, months: int, expected: date) -> None:
    assert add_months(anchor, months) == expected


@given(DAYS, st.integers(0, 400))
def test_added_months_land_in_the_right_month_on_the_right_or_last_day(anchor: date, months: int) -> None:
    later = add_months(anchor, months)
    assert (later.year * 12 + later.month) - (anchor.year * 12 + anchor.month) == months
    assert later.day == anchor.day or (later.day < anchor.day and (later + timedelta(days=1)).day == 1)


@pytest.mark.parametrize(
    ("plan", "periods", "expected"),
    [
        (Plan(IntervalUnit.YEAR, 1), 1, date(2029, 2, 28)),
        (Plan(IntervalUnit.YEAR, 2), 2, date(2032, 2, 29)),
        (Plan(IntervalUnit.MONTH, 3), 1, date(2028, 5, 29)),
        (Plan(IntervalUnit.WEEK, 2), 1, date(2028, 3, 14)),
        (Plan(IntervalUnit.DAY, 10), 3, date(2028, 3, 30)),
    ],
)
def test_periods_begin_by_their_unit(plan: Plan, periods: int, expected: date) -> None:
    assert plan.after(date(2028, 2, 29), periods) == expected


@given(PLANS, DAYS, st.integers(0, 5_000))
def test_a_day_lies_in_its_window(plan: Plan, anchor: date, later: int) -> None:
    day = anchor + timedelta(days=later)
    first, after = plan.window(anchor, day)
    assert first <= day < after


@given(PLANS, DAYS, st.integers(0, 5_000))
def test_windows_leave_no_gap_and_do_not_overlap(plan: Plan, anchor: date, later: int) -> None:
    first, after = plan.window(anchor, anchor + timedelta(days=later))
    assert plan.window(anchor, after)[0] == after
    assert plan.window(anchor, after - timedelta(days=1)) == (first, after)
    assert plan.window(anchor, first) == (first, after)


@given(PLANS, DAYS, st.integers(0, 20))
def test_the_windows_are_the_periods(plan: Plan, anchor: date, periods: int) -> None:
    assert plan.window(anchor, plan.after(anchor, periods)) == (
        plan.after(anchor, periods),
        plan.after(anchor, periods + 1),
    )


def test_a_day_before_the_anchor_falls_in_the_first_window() -> None:
    plan = Plan(IntervalUnit.MONTH, 1)
    assert plan.window(date(2026, 3, 31), date(2026, 1, 1)) == (date(2026, 3, 31), date(2026, 4, 30))


def test_month_windows_from_the_31st_follow_the_months_ends() -> None:
    plan, anchor = Plan(IntervalUnit.MONTH, 1), date(2027, 12, 31)
    starts = [plan.window(anchor, anchor + timedelta(days=days))[0] for days in range(150)]
    assert sorted(set(starts)) == [
        date(2027, 12, 31),
        date(2028, 1, 31),
        date(2028, 2, 29),
        date(2028, 3, 31),
        date(2028, 4, 30),
    ]
