"""Periods on the merchant's own clock, and sums that no float ever touched."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule
from app.domain.subscription import Alike, SubscriptionLine, SubscriptionStatus
from app.usecases.overview import recurring_revenue
from app.usecases.spans import Span, period_of, zone_of
from tests.builders import an_account, nok

OSLO = ZoneInfo("Europe/Oslo")


def test_a_month_has_days_of_23_and_25_hours() -> None:
    spring = period_of(Span.THIS_MONTH, datetime(2026, 3, 15, tzinfo=UTC), OSLO).buckets
    assert [it.day.day for it in spring] == list(range(1, 32))
    assert {it.day.day: it.until - it.since for it in spring}[29] == timedelta(hours=23)
    autumn = period_of(Span.LAST_MONTH, datetime(2026, 11, 1, 12, tzinfo=UTC), OSLO).buckets
    assert {it.day.day: it.until - it.since for it in autumn}[25] == timedelta(hours=25)
    assert all(one.until == other.since for one, other in itertools.pairwise(spring))


def test_the_month_begins_when_it_begins_where_the_merchant_is() -> None:
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)
    assert period_of(Span.THIS_MONTH, late, OSLO).first == date(2026, 3, 1)
    assert period_of(Span.THIS_MONTH, late, ZoneInfo("UTC")).first == date(2026, 2, 1)
    assert period_of(Span.THIS_MONTH, late, ZoneInfo("Asia/Kolkata")).buckets[0].since == datetime(
        2026, 2, 28, 18, 30, tzinfo=UTC
    )


def test_twelve_months_end_with_this_one() -> None:
    period = period_of(Span.YEAR, datetime(2026, 1, 31, 12, tzinfo=UTC), OSLO)
    assert [it.day for it in period.buckets] == [
        *(date(2025, month, 1) for month in range(2, 13)),
        date(2026, 1, 1),
    ]
    assert (period.first, period.last) == (date(2025, 2, 1), date(2026, 1, 31))


def test_a_period_ends_today_unless_it_is_over() -> None:
    now = datetime(2026, 3, 15, tzinfo=UTC)
    assert period_of(Span.THIS_MONTH, now, OSLO).last == date(2026, 3, 15)
    assert period_of(Span.LAST_MONTH, now, OSLO).last == date(2026, 2, 28)


@pytest.mark.parametrize(
    ("plan", "price", "month"),
    [
        (Plan(IntervalUnit.MONTH, 1), 29_900, 29_900),
        (Plan(IntervalUnit.MONTH, 3), 10_000, 3_333),
        (Plan(IntervalUnit.MONTH, 2), 1, 1),  # half a minor unit goes up
        (Plan(IntervalUnit.YEAR, 1), 120_000, 10_000),
        (Plan(IntervalUnit.YEAR, 1), 6, 1),
        (Plan(IntervalUnit.YEAR, 1), 5, 0),
        (Plan(IntervalUnit.WEEK, 1), 10_000, 43_333),
        (Plan(IntervalUnit.WEEK, 4), 10_000, 10_833),
        (Plan(IntervalUnit.DAY, 1), 1_000, 30_417),
        (Plan(IntervalUnit.DAY, 14), 10_000, 21_726),
    ],
)
def test_a_price_makes_so_much_a_month(plan: Plan, price: int, month: int) -> None:
    assert plan.per_month(price) == month


def alike(count: int, plan: Plan, price: Money, **over: Any) -> Alike:
    schedule = Schedule(plan, date(2026, 3, 1))
    return replace(Alike(count, schedule, date(2026, 3, 1), SubscriptionStatus.ACTIVE, None, price, None, ()), **over)


def test_only_active_subscriptions_bring_something_in_and_each_is_rounded_for_itself() -> None:
    monthly = Plan(IntervalUnit.MONTH, 1)
    lines = (SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6MQ==", 2, "Kaffe", 500),)
    groups = [
        alike(1_000, Plan(IntervalUnit.MONTH, 3), nok(100)),
        alike(2, monthly, nok(0), lines=lines),
        alike(1, monthly, Money(700, Currency.DKK)),
        alike(5, monthly, nok(9_900), status=SubscriptionStatus.PAUSED),
    ]
    assert recurring_revenue(groups) == {Currency.NOK: 33 * 1_000 + 2 * 1_000, Currency.DKK: 700}


def test_the_default_accounts_clock_counts_for_all_channels() -> None:
    default, other = an_account(time_zone="Europe/Helsinki"), an_account(channel="a", time_zone="Asia/Tokyo")
    assert zone_of([other, default]) == ZoneInfo("Europe/Helsinki")
    assert zone_of([other]) == ZoneInfo("Asia/Tokyo")
    assert zone_of([]) == OSLO
