"""A charge's states, its rules, and what may be done to it."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.charge import (
    ChargeStatus,
    check_description,
    check_due,
    check_limit,
    check_order_id,
    check_retry_days,
)
from app.domain.errors import IllegalState, InvalidInput, LimitExceeded
from app.domain.money import Currency, Money
from app.domain.plan import IntervalUnit, Plan, add_months
from tests.builders import NOW, a_charge, a_seen_charge, an_agreement, nok

S = ChargeStatus
# What may be seen after what. Steps may be skipped; a failure may come late, even after the money.
FORWARD = {
    "NEW": "PENDING DUE PROCESSING RESERVED PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED "
    "REJECTED",
    "PENDING": "DUE PROCESSING RESERVED PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED",
    "DUE": "PROCESSING RESERVED PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED",
    "PROCESSING": "RESERVED PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED",
    "RESERVED": "PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED",
    "PARTIALLY_CAPTURED": "CHARGED PARTIALLY_REFUNDED REFUNDED FAILED CANCELLED",
    "CHARGED": "PARTIALLY_REFUNDED REFUNDED FAILED",
    "PARTIALLY_REFUNDED": "REFUNDED",
    "REFUNDED": "",
    "FAILED": "",
    "CANCELLED": "",
    "REJECTED": "",
    "UNKNOWN": "PENDING DUE PROCESSING RESERVED PARTIALLY_CAPTURED CHARGED PARTIALLY_REFUNDED REFUNDED FAILED "
    "CANCELLED REJECTED",
}
PAIRS = list(itertools.product(ChargeStatus, ChargeStatus))
SEEN = st.builds(
    lambda status, captured, refunded: a_seen_charge(status=status, captured=captured, refunded=refunded),
    st.sampled_from(ChargeStatus),
    st.integers(0, 25_000),
    st.integers(0, 25_000),
)


def is_forward(before: ChargeStatus, seen: ChargeStatus) -> bool:
    return seen.value in FORWARD[before.value].split()


@pytest.mark.parametrize(("before", "seen"), PAIRS)
def test_a_charge_moves_forward_or_not_at_all(before: ChargeStatus, seen: ChargeStatus) -> None:
    after = a_charge(status=before, charge_id="chr-1").see(a_seen_charge(status=seen), NOW)
    assert after.status is (seen if is_forward(before, seen) else before)


@pytest.mark.parametrize(("before", "seen"), PAIRS)
def test_a_step_back_is_a_contradiction(before: ChargeStatus, seen: ChargeStatus) -> None:
    back = seen not in {before, S.UNKNOWN} and not is_forward(before, seen)
    assert a_charge(status=before, charge_id="chr-1").contradicts(a_seen_charge(status=seen)) is back


@pytest.mark.parametrize("status", [S.REFUNDED, S.FAILED, S.CANCELLED, S.REJECTED])
def test_terminal_charges_stay_whatever_is_seen(status: ChargeStatus) -> None:
    charge = a_charge(status=status, charge_id="chr-1")
    assert {charge.see(a_seen_charge(status=seen), NOW).status for seen in ChargeStatus} == {status}


@pytest.mark.parametrize("status", [S.CANCELLED, S.REJECTED])
def test_what_was_given_up_unmade_begins_anew_where_vipps_has_it_after_all(status: ChargeStatus) -> None:
    charge = a_charge(status=status)
    after = charge.see(a_seen_charge(status=S.DUE), NOW)
    assert (after.status, after.charge_id) == (S.DUE, "chr-5kSeqzF")


@pytest.mark.parametrize("status", ChargeStatus)
def test_an_unknown_status_never_moves_a_charge(status: ChargeStatus) -> None:
    charge = a_charge(status=status)
    assert charge.see(a_seen_charge(status=S.UNKNOWN), NOW).status is status
    assert not charge.contradicts(a_seen_charge(status=S.UNKNOWN))


def test_a_late_failure_after_success_is_legal_and_keeps_the_amounts() -> None:
    charge = a_charge(status=S.CHARGED, captured=25_000)
    late = a_seen_charge(status=S.FAILED, failure_reason="technical_error", failure_text="Taken back")
    after = charge.see(late, NOW)
    assert (after.status, after.captured) == (S.FAILED, 25_000)
    assert (after.failure_code, after.failure) == ("technical_error", "Taken back")
    assert not charge.contradicts(late)


@given(st.lists(SEEN, max_size=12))
def test_whatever_is_seen_amounts_never_go_down_and_every_step_is_forward(seen: list[Any]) -> None:
    charge = a_charge()
    for observation in seen:
        after = charge.see(observation, NOW)
        assert after.captured == min(max(charge.captured, observation.captured), charge.amount.minor)
        assert after.refunded == min(max(charge.refunded, observation.refunded), after.captured)
        assert after.captured + after.cancelled <= after.amount.minor
        assert after.status is charge.status or is_forward(charge.status, after.status)
        assert after.see(observation, NOW) == after
        charge = after


def test_an_observation_fills_in_what_was_not_known() -> None:
    after = a_charge(transaction_id=None).see(
        a_seen_charge(status=S.CHARGED, captured=25_000, transaction_id="5001"), NOW
    )
    assert (after.charge_id, after.transaction_id, after.captured) == ("chr-5kSeqzF", "5001", 25_000)


def test_an_observation_does_not_take_away_what_was_known() -> None:
    charge = a_charge(status=S.CHARGED, charge_id="ORD-1", transaction_id="5001", captured=25_000, refunded=100)
    charge = replace(charge, settled_at=NOW, refunded_at=NOW)
    after = charge.see(a_seen_charge(status=S.DUE, transaction_id=None, captured=0, refunded=0), NOW)
    assert after == charge


def test_the_day_when_money_came_stays_when_some_of_it_goes_back() -> None:
    came, went, later = NOW - timedelta(days=9), NOW - timedelta(days=2), NOW + timedelta(days=1)
    paid = a_charge(status=S.DUE).see(a_seen_charge(status=S.CHARGED, captured=25_000, happened_at=came), NOW)
    assert (paid.settled_at, paid.refunded_at) == (came, None)
    part = a_seen_charge(status=S.PARTIALLY_REFUNDED, captured=25_000, refunded=5_000, happened_at=went)
    refunded = paid.see(part, NOW)
    assert (refunded.settled_at, refunded.refunded_at) == (came, went)
    assert refunded.see(part, later) == refunded
    whole = refunded.see(replace(part, status=S.REFUNDED, refunded=25_000, happened_at=None), later)
    assert (whole.settled_at, whole.refunded_at) == (came, later)


def test_what_vipps_does_not_date_happened_when_it_was_first_seen() -> None:
    failed = a_charge(status=S.DUE).see(a_seen_charge(status=S.FAILED), NOW)
    assert failed.settled_at == NOW
    assert failed.see(a_seen_charge(status=S.FAILED), NOW + timedelta(days=1)) == failed
    assert a_charge(status=S.DUE).see(a_seen_charge(status=S.CANCELLED), NOW).settled_at is None


def test_a_failure_after_success_counts_on_its_own_day() -> None:
    paid = a_charge(status=S.DUE).see(a_seen_charge(status=S.CHARGED, captured=25_000), NOW)
    later = NOW + timedelta(days=3)
    assert paid.see(a_seen_charge(status=S.FAILED), later).settled_at == later


def test_a_step_back_brings_no_failure_with_it() -> None:
    charge = a_charge(status=S.REFUNDED, captured=25_000, refunded=25_000)
    after = charge.see(a_seen_charge(status=S.FAILED, failure_reason="technical_error", failure_text="No"), NOW)
    assert (after.failure_code, after.failure) == (None, None)


@pytest.mark.parametrize("status", ChargeStatus)
def test_final_charges_change_only_by_a_refund_or_a_late_failure(status: ChargeStatus) -> None:
    beyond = set(FORWARD[status.value].split()) - {"PARTIALLY_REFUNDED", "REFUNDED", "FAILED"}
    assert status.final is (not beyond)


@pytest.mark.parametrize("status", ChargeStatus)
def test_what_failed_was_cancelled_or_never_made_holds_no_money(status: ChargeStatus) -> None:
    assert status.holds_no_money is (status in {S.FAILED, S.CANCELLED, S.REJECTED})


@pytest.mark.parametrize(
    ("today", "due"),
    [
        (date(2026, 3, 2), date(2026, 3, 3)),
        (date(2026, 3, 2), date(2028, 3, 2)),
        (date(2028, 2, 28), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2028, 3, 1)),
        (date(2028, 2, 29), date(2030, 2, 28)),
        (date(2026, 12, 31), date(2027, 1, 1)),
        (date(2026, 3, 31), date(2028, 3, 31)),
    ],
)
def test_due_dates_from_tomorrow_to_two_years_ahead_are_accepted(today: date, due: date) -> None:
    assert check_due(due, today) == due


@pytest.mark.parametrize(
    ("today", "due"),
    [
        (date(2026, 3, 2), date(2026, 3, 2)),
        (date(2026, 3, 2), date(2026, 3, 1)),
        (date(2026, 3, 2), date(2028, 3, 3)),
        (date(2028, 2, 29), date(2028, 2, 29)),
        (date(2028, 2, 29), date(2030, 3, 1)),
        (date(2026, 3, 31), date(2028, 4, 1)),
    ],
)
def test_other_due_dates_are_refused(today: date, due: date) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_due(due, today)
    assert refused.value.field == "due"


@given(st.dates(date(2024, 1, 1), date(2040, 12, 31)))
def test_the_due_range_is_exact_on_every_day_of_the_calendar(today: date) -> None:
    latest = add_months(today, 24)
    assert check_due(latest, today) == latest
    with pytest.raises(InvalidInput, match=str(latest)):
        check_due(latest + timedelta(days=1), today)
    with pytest.raises(InvalidInput):
        check_due(today, today)


@pytest.mark.parametrize("days", [0, 1, 14])
def test_retry_days_in_range_are_accepted(days: int) -> None:
    assert check_retry_days(days) == days


@pytest.mark.parametrize("days", [-1, 15])
def test_retry_days_out_of_range_are_refused(days: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_retry_days(days)
    assert refused.value.field == "retryDays"


@pytest.mark.parametrize("description", ["x", "d" * 45, "æøå"])
def test_descriptions_in_range_are_accepted(description: str) -> None:
    assert check_description(description) == description


@pytest.mark.parametrize("description", ["", "  ", "d" * 46])
def test_descriptions_out_of_range_are_refused(description: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_description(description)
    assert refused.value.field == "description"


@pytest.mark.parametrize("order_id", ["A1234567", "a" * 50, "ORD-2026-1", "-------a"])
def test_order_ids_that_every_era_accepts_are_accepted(order_id: str) -> None:
    assert check_order_id(order_id) == order_id


@pytest.mark.parametrize(
    "order_id", ["", "A123456", "a" * 51, "12345678", "--------", "order_1234", "ORDER 1234", "ordré1234", "ORDER123\n"]
)
def test_other_order_ids_are_refused(order_id: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_order_id(order_id)
    assert refused.value.field == "orderId"


def limited(**over: Any) -> Any:
    return an_agreement(**({"price": nok(10_000), "start": datetime(2026, 1, 31, 12, tzinfo=UTC)} | over))


def test_one_charge_may_take_five_times_the_price() -> None:
    check_limit(limited(), [], nok(50_000), date(2026, 3, 4))
    with pytest.raises(LimitExceeded) as refused:
        check_limit(limited(), [], nok(50_001), date(2026, 3, 4))
    assert refused.value.field == "price"


def test_the_limit_counts_all_charges_of_the_interval() -> None:
    # From 31 January the intervals begin on 28 February and 31 March.
    taken = [(date(2026, 2, 28), 30_000), (date(2026, 3, 30), 10_000)]
    check_limit(limited(), taken, nok(10_000), date(2026, 3, 4))
    with pytest.raises(LimitExceeded, match="2026-02-28 to 2026-03-30"):
        check_limit(limited(), taken, nok(10_001), date(2026, 3, 4))


def test_charges_of_other_intervals_do_not_count() -> None:
    taken = [(date(2026, 2, 27), 50_000), (date(2026, 3, 31), 50_000)]
    check_limit(limited(), taken, nok(50_000), date(2026, 3, 4))


def test_an_agreement_without_a_start_counts_from_the_due_date() -> None:
    fresh = limited(start=None, plan=Plan(IntervalUnit.WEEK, 1))
    with pytest.raises(LimitExceeded):
        check_limit(fresh, [(date(2026, 3, 10), 50_000)], nok(100), date(2026, 3, 4))
    check_limit(fresh, [(date(2026, 3, 11), 50_000)], nok(100), date(2026, 3, 4))


def test_a_variable_agreement_is_limited_charge_by_charge() -> None:
    variable = limited(price=nok(0), max_amount=nok(20_000))
    check_limit(variable, [(date(2026, 3, 4), 20_000)], nok(20_000), date(2026, 3, 4))
    with pytest.raises(LimitExceeded):
        check_limit(variable, [], nok(20_001), date(2026, 3, 4))


def test_a_charge_is_in_the_agreements_currency() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_limit(limited(), [], Money(100, Currency.DKK), date(2026, 3, 4))
    assert refused.value.field == "currency"


@given(st.lists(st.integers(100, 60_000), max_size=10))
def test_whatever_is_accepted_one_after_another_stays_within_the_limit(amounts: list[int]) -> None:
    due, taken = date(2026, 3, 4), list[tuple[date, int]]()
    for minor in amounts:
        try:
            check_limit(limited(), taken, nok(minor), due)
        except LimitExceeded:
            assert sum(it for _, it in taken) + minor > 50_000
        else:
            taken.append((due, minor))
    assert sum(minor for _, minor in taken) <= 50_000


@pytest.mark.parametrize("status", ChargeStatus)
def test_only_open_charges_can_be_cancelled(status: ChargeStatus) -> None:
    charge = a_charge(status=status, charge_id="chr-1")
    if status in {S.PENDING, S.DUE, S.RESERVED, S.PARTIALLY_CAPTURED}:
        charge.require_cancellable()
        return
    with pytest.raises(IllegalState) as refused:
        charge.require_cancellable()
    assert ("refund it" in str(refused.value)) is (status in {S.CHARGED, S.PARTIALLY_REFUNDED})


@pytest.mark.parametrize("status", ChargeStatus)
def test_only_reservations_can_be_captured(status: ChargeStatus) -> None:
    charge = a_charge(status=status, captured=5_000, cancelled=1_000)
    if status in {S.RESERVED, S.PARTIALLY_CAPTURED}:
        assert charge.check_capture(None) == nok(19_000)
        assert charge.check_capture(nok(19_000)) == nok(19_000)
        with pytest.raises(LimitExceeded):
            charge.check_capture(nok(19_001))
        return
    with pytest.raises(IllegalState):
        charge.check_capture(None)


@pytest.mark.parametrize("status", ChargeStatus)
def test_only_money_that_was_taken_can_be_refunded(status: ChargeStatus) -> None:
    charge = a_charge(status=status, captured=25_000, refunded=10_000)
    if status in {S.CHARGED, S.PARTIALLY_CAPTURED, S.PARTIALLY_REFUNDED}:
        assert charge.refundable() == nok(15_000)
        return
    with pytest.raises(IllegalState) as refused:
        charge.check_refund(None)
    assert ("cancel it" in str(refused.value)) is (status in {S.PENDING, S.DUE, S.PROCESSING, S.RESERVED})


@pytest.mark.parametrize(("asked", "granted"), [(None, 15_000), (15_000, 15_000), (14_999, 14_999), (100, 100)])
def test_a_refund_takes_what_is_asked_or_all_that_is_left(asked: int | None, granted: int) -> None:
    charge = a_charge(status=S.PARTIALLY_REFUNDED, captured=25_000, refunded=10_000)
    assert charge.check_refund(None if asked is None else nok(asked)) == nok(granted)


def test_more_than_is_left_cannot_be_refunded() -> None:
    with pytest.raises(LimitExceeded) as refused:
        a_charge(status=S.CHARGED, captured=25_000, refunded=10_000).check_refund(nok(15_001))
    assert refused.value.field == "price"


@pytest.mark.parametrize("minor", [0, 99, -100])
def test_a_refund_below_the_minimum_is_refused(minor: int) -> None:
    with pytest.raises(InvalidInput):
        a_charge(status=S.CHARGED, captured=25_000).check_refund(nok(minor))


def test_what_is_refunded_already_cannot_be_refunded_again() -> None:
    with pytest.raises(IllegalState, match="refunded already"):
        a_charge(status=S.PARTIALLY_REFUNDED, captured=25_000, refunded=25_000).check_refund(None)


def test_a_refund_in_another_currency_is_refused() -> None:
    with pytest.raises(InvalidInput):
        a_charge(status=S.CHARGED, captured=25_000).check_refund(Money(100, Currency.DKK))


@pytest.mark.parametrize(
    ("status", "kind"), list(itertools.product(ChargeStatus, ["order/", "id/", "key/", "like/", None]))
)
def test_a_slot_is_freed_only_where_the_same_may_be_asked_again(status: ChargeStatus, kind: str | None) -> None:
    slot = f"{kind}1" if kind else None
    gone = (kind == "like/" and status.holds_no_money) or (kind == "id/" and status is S.REJECTED)
    charge = a_charge(status=status, slot=slot)
    assert charge.freed() == replace(charge, slot=None if gone else slot)


@pytest.mark.parametrize("status", [status for status in ChargeStatus if status.final])
def test_nobody_looks_at_a_final_charge(status: ChargeStatus) -> None:
    assert a_charge(status=status).next_look(NOW) is None


@pytest.mark.parametrize(
    ("status", "due", "expected"),
    [
        (S.PENDING, date(2026, 4, 20), NOW + timedelta(days=1)),
        (S.RESERVED, date(2026, 3, 1), NOW + timedelta(days=1)),
        (S.DUE, date(2026, 3, 3), datetime(2026, 3, 3, tzinfo=UTC)),
        (S.DUE, date(2026, 3, 2), NOW + timedelta(hours=9) / 16),
        (S.UNKNOWN, date(2026, 3, 1), NOW + timedelta(hours=33) / 16),
        (S.UNKNOWN, date(2026, 2, 1), NOW + timedelta(hours=6)),
    ],
)
def test_an_open_charge_is_looked_at_more_often_once_it_is_due(
    status: ChargeStatus, due: date, expected: datetime
) -> None:
    assert a_charge(status=status, due=due).next_look(NOW) == expected


@given(st.sampled_from([s for s in S if not s.final]), st.dates(date(2026, 1, 1), date(2028, 12, 31)))
def test_the_next_look_is_ahead_and_at_most_a_day(status: ChargeStatus, due: date) -> None:
    look = a_charge(status=status, due=due).next_look(NOW)
    assert look is not None
    assert NOW < look <= NOW + timedelta(days=1)
