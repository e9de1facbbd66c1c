"""Vipps' limits per minute: never exceeded whatever the rhythm, and never waited for longer than told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.limits import CREATE_CHARGE, DRAFT_AGREEMENT, LIST_AGREEMENTS, Allowance, RateLimit
from tests.builders import NOW

MINUTE = timedelta(seconds=60)
# Microseconds since some moment: pauses from nothing to more than a minute, and starts anywhere in a slot.
PAUSES = st.integers(min_value=0, max_value=70_000_000) | st.sampled_from([0, 1, 4_999_999, 5_000_000, 60_000_000])
STEPS = st.lists(st.tuples(PAUSES, st.integers(min_value=1, max_value=12)), min_size=1, max_size=60)
STARTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware


@given(start=STARTS, steps=STEPS, per_minute=st.integers(min_value=1, max_value=20))
def test_no_minute_ever_holds_more_than_is_allowed(
    start: datetime, steps: list[tuple[int, int]], per_minute: int
) -> None:
    allowance, now = Allowance(), start
    taken: list[tuple[datetime, int]] = []
    for pause, wanted in steps:
        now += timedelta(microseconds=pause)
        allowance, granted = allowance.take(wanted, per_minute, now)
        assert 0 <= granted.count <= wanted
        taken.append((now, granted.count))

    for first, _ in taken:
        assert sum(count for at, count in taken if first <= at <= first + MINUTE) <= per_minute


@given(start=STARTS, steps=STEPS, per_minute=st.integers(min_value=1, max_value=20))
def test_waiting_for_as_long_as_told_is_enough_to_get_on(
    start: datetime, steps: list[tuple[int, int]], per_minute: int
) -> None:
    allowance, now = Allowance(), start
    for pause, wanted in steps:
        now += timedelta(microseconds=pause)
        allowance, granted = allowance.take(wanted, per_minute, now)
        if granted.count == wanted:
            assert granted.wait == 0
            continue
        assert 0 < granted.wait <= 65
        _, next_one = allowance.take(1, per_minute, now + timedelta(seconds=granted.wait))
        assert next_one.count == 1


@given(
    start=STARTS,
    steps=STEPS,
    retry_after=st.none() | st.floats(min_value=0, max_value=86_400),
    again=st.none() | st.floats(min_value=0, max_value=86_400),
)
def test_after_a_429_nobody_knocks_before_vipps_said_so(
    start: datetime, steps: list[tuple[int, int]], retry_after: float | None, again: float | None
) -> None:
    """And a second one, from a call that was on its way already, does not shorten the pause."""
    pauses = [10.0 if it is None else it for it in (retry_after, again)]
    allowance = Allowance().emptied(start, retry_after).emptied(start, again)
    until, now = start + timedelta(seconds=max(pauses)), start
    for pause, wanted in steps:
        now += timedelta(microseconds=pause)
        if now >= until:
            break
        allowance, granted = allowance.take(wanted, 500, now)
        assert granted.count == 0
        assert now + timedelta(seconds=granted.wait) >= until - timedelta(microseconds=1)

    assert allowance.take(1, 500, until + timedelta(microseconds=1))[1].count == 1


def test_what_was_taken_before_a_429_still_counts_after_it() -> None:
    allowance, _ = Allowance().take(5, 5, NOW)
    allowance = allowance.emptied(NOW, 1.0)

    _, granted = allowance.take(1, 5, NOW + timedelta(seconds=2))

    assert granted.count == 0
    assert granted.wait > 50


def test_as_many_are_granted_as_the_minute_has_left() -> None:
    allowance, first = Allowance().take(400, 500, NOW)
    _, second = allowance.take(400, 500, NOW + timedelta(seconds=30))

    assert (first.count, first.wait) == (400, 0)
    assert second.count == 100
    assert 30 <= second.wait <= 36


def test_a_clock_that_is_behind_anothers_grants_no_more_either() -> None:
    """Two processes share the count, and their clocks differ."""
    allowance, _ = Allowance().take(5, 5, NOW)

    assert allowance.take(1, 5, NOW - timedelta(seconds=20))[1].count == 0


def test_what_was_counted_before_a_clock_was_set_back_far_blocks_nobody() -> None:
    full, _ = Allowance().take(5, 5, NOW)

    assert full.take(1, 5, NOW - timedelta(hours=1))[1].count == 1


def test_clocks_that_differ_a_little_lose_no_count() -> None:
    """Each worker's own count has to stay for the other, at the edge of a slot as well."""
    early, late = NOW, NOW + timedelta(milliseconds=20)
    allowance, first = Allowance().take(5, 10, late)
    allowance, second = allowance.take(5, 10, early)

    assert (first.count, second.count) == (5, 5)
    assert allowance.take(1, 10, late)[1].count == 0
    # NOW is the first moment of a slot, so that a clock behind it is in the one before.
    behind = NOW - timedelta(milliseconds=20)
    allowance, _ = Allowance().take(10, 10, NOW)
    assert allowance.take(1, 10, behind)[1].count == 0


def test_nothing_asked_for_is_granted_at_once() -> None:
    full, _ = Allowance().take(5, 5, NOW)

    assert full.take(0, 5, NOW)[1].wait == 0


@pytest.mark.parametrize(("limit", "per_minute"), [(CREATE_CHARGE, 500), (DRAFT_AGREEMENT, 300), (LIST_AGREEMENTS, 5)])
def test_the_documented_limits(limit: RateLimit, per_minute: int) -> None:
    assert limit.per_minute == per_minute


def test_buckets_belong_to_a_serial_number_in_an_environment() -> None:
    """Shops that share a serial number share its limits; the test environment counts for itself."""
    names = {CREATE_CHARGE.bucket("test", "1"), CREATE_CHARGE.bucket("live", "1"), CREATE_CHARGE.bucket("live", "2")}
    names.add(DRAFT_AGREEMENT.bucket("live", "1"))

    assert len(names) == 4
    assert CREATE_CHARGE.bucket("live", "1") == RateLimit("createCharge", 1).bucket("live", "1")
