"""What may be asked of a subscription in each of its states, and what that makes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from app.domain.errors import IllegalState, InvalidInput
from app.domain.money import Currency
from app.domain.plan import IntervalUnit, Plan
from app.domain.schedule import Schedule
from app.domain.subscription import (
    MAX_LINES,
    PriceChange,
    Subscription,
    SubscriptionLine,
    SubscriptionStatus,
)
from tests.builders import NOW, SHOP, nok

TODAY = date(2026, 3, 2)
S = SubscriptionStatus


def a_subscription(status: SubscriptionStatus = S.ACTIVE) -> Subscription:
    schedule = Schedule(Plan(IntervalUnit.MONTH, 1), date(2026, 1, 31))
    return Subscription(
        id="row",
        shop=SHOP,
        account_id="account",
        agreement_id="agr_1",
        customer="VXNlcjox",
        channel="default-channel",
        channel_id="Q2hhbm5lbDox",
        currency=Currency.NOK,
        initial_order="T3JkZXI6MQ==",
        lines=(SubscriptionLine("v1", 2, "Coffee", 9900), SubscriptionLine("v2", 1, "Tea")),
        schedule=schedule,
        next_period=2,
        next_due=schedule.due(2),
        status=status,
        created_at=NOW,
        ends_on=schedule.due(2) if status is S.ENDING else None,
    )


def test_planned_periods_lead_to_the_next_due_day() -> None:
    after = a_subscription().planned(4)
    assert (after.next_period, after.next_due) == (4, date(2026, 5, 31))


def test_a_pause_ends_tomorrow_at_the_earliest() -> None:
    for day in (TODAY, date(2026, 3, 1)):
        with pytest.raises(InvalidInput):
            a_subscription().paused(day, TODAY)
    paused = a_subscription().paused(date(2026, 3, 3), TODAY)
    assert (paused.status, paused.paused_until) == (S.PAUSED, date(2026, 3, 3))
    assert a_subscription().paused(None, TODAY).paused_until is None


@pytest.mark.parametrize("status", [S.PAUSED, S.HELD, S.ENDING])
def test_what_rests_can_be_resumed(status: SubscriptionStatus) -> None:
    after = a_subscription(status).resumed()
    assert (after.status, after.paused_until, after.ends_on, after.reason) == (S.ACTIVE, None, None, None)


def test_what_is_over_stays_over() -> None:
    ended = a_subscription().ended("enough")
    assert ended.ended("again") is ended
    assert ended.held("unpaid") is ended
    verbs: list[Callable[[], object]] = [
        ended.resumed,
        ended.ending,
        lambda: ended.paused(None, TODAY),
        lambda: ended.moved(date(2026, 4, 1), TODAY),
        lambda: ended.with_lines(ended.lines, NOW),
    ]
    for verb in verbs:
        with pytest.raises(IllegalState):
            verb()


def test_what_is_ending_is_not_put_on_hold() -> None:
    ending = a_subscription(S.ENDING)
    assert ending.held("unpaid") is ending


def test_it_ends_when_what_is_paid_for_is_over() -> None:
    ending = a_subscription().ending()
    assert (ending.status, ending.ends_on) == (S.ENDING, date(2026, 3, 31))


def test_the_next_date_is_moved_with_those_after_it() -> None:
    moved = a_subscription().moved(date(2026, 4, 5), TODAY)
    assert moved.next_due == date(2026, 4, 5)
    assert moved.planned(3).next_due == date(2026, 5, 5)


def test_it_is_moved_by_one_interval_at_most_and_never_to_a_day_that_is_too_near() -> None:
    with pytest.raises(InvalidInput):
        a_subscription().moved(date(2026, 5, 1), TODAY)
    with pytest.raises(InvalidInput):
        a_subscription().moved(TODAY, date(2026, 3, 4))
    assert a_subscription().moved(date(2026, 4, 30), TODAY).next_due == date(2026, 4, 30)


def test_lines_are_at_least_one_and_each_variant_stands_once() -> None:
    line = SubscriptionLine("v1", 1)
    wrong = [(), (line, line), tuple(SubscriptionLine(f"v{number}", 1) for number in range(MAX_LINES + 1))]
    for lines in wrong:
        with pytest.raises(InvalidInput):
            a_subscription().with_lines(lines, NOW)
    assert a_subscription().with_lines((line,), NOW).lines == (replace(line, since=NOW.isoformat()),)


@pytest.mark.parametrize("quantity", [0, -1, 1001])
def test_quantities_that_make_no_sense_are_refused(quantity: int) -> None:
    with pytest.raises(InvalidInput):
        SubscriptionLine("v1", quantity)


def test_a_unit_price_is_not_negative() -> None:
    with pytest.raises(InvalidInput):
        SubscriptionLine("v1", 1, unit_price=-1)
    assert SubscriptionLine("v1", 1, unit_price=0).unit_price == 0


def test_a_price_change_reprices_the_lines_that_it_names() -> None:
    change = PriceChange(date(2026, 4, 1), nok(30_000), {"v1": 12_900}, NOW)
    after = a_subscription().repriced(change)
    assert [line.unit_price for line in after.lines] == [12_900, None]
    assert after.price_change is None
