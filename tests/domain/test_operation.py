"""Idempotency keys and waiting times."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.operation import backoff, key_for

OLD = timedelta(days=1)
AGES = st.timedeltas(timedelta(seconds=-60), timedelta(days=30))
VERBS = st.sampled_from(["create-charge", "create-agreement", "refund", "stop", "capture"])


@given(VERBS, st.text())
def test_a_key_is_32_letters_and_digits_and_always_the_same(verb: str, intent: str) -> None:
    key = key_for(verb, intent)
    assert len(key) == 32
    assert key.isascii()
    assert key.isalnum()
    assert key_for(verb, intent) == key


def test_a_key_does_not_change_between_releases() -> None:
    """A stored intent that is sent again after an upgrade must not turn into a second charge."""
    assert key_for("create-charge", "1") == "ee72e114e23a55ddaee9a50de952753c"


@given(VERBS, VERBS, st.uuids(), st.uuids())
def test_two_intents_have_two_keys(verb: str, other_verb: str, one: object, other: object) -> None:
    same = (verb, one) == (other_verb, other)
    assert (key_for(verb, str(one)) == key_for(other_verb, str(other))) is same


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 20), (6, 160), (10, 2560), (11, 3600), (5000, 3600)]
)
def test_waiting_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert backoff(attempts, OLD, 0.5) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("age", "seconds"), [(-60, 5), (0, 5), (4, 5), (60, 60), (1800, 1800), (7200, 3600)])
def test_nothing_waits_for_longer_than_it_is_old_however_often_it_was_tried(age: int, seconds: int) -> None:
    """An attempt that was killed counts like one that failed: fifty deaths in a minute are not fifty failures."""
    assert backoff(50, timedelta(seconds=age), 0.5) == timedelta(seconds=seconds)


def test_what_only_fails_still_waits_longer_each_time() -> None:
    age, pauses = timedelta(), []
    for attempts in range(1, 13):
        pauses.append(backoff(attempts, age, 0.5))
        age += pauses[-1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)


@given(st.integers(0, 10_000), AGES, st.floats(0, 1))
def test_waiting_spreads_by_a_quarter_either_way(attempts: int, age: timedelta, jitter: float) -> None:
    middle = backoff(attempts, age, 0.5)
    assert middle * 0.74 < backoff(attempts, age, jitter) < middle * 1.26


@given(st.integers(0, 50), AGES, st.floats(0, 1), st.floats(0, 86_400), st.floats(0, 60))
def test_nobody_is_asked_again_before_the_time_they_named(
    attempts: int, age: timedelta, jitter: float, retry_after: float, least: float
) -> None:
    assert backoff(attempts, age, jitter, retry_after) >= timedelta(seconds=retry_after)
    assert backoff(attempts, age, jitter, retry_after) >= backoff(attempts, age, jitter)
    assert backoff(attempts, age, jitter, least=least) >= timedelta(seconds=least)


@pytest.mark.parametrize("retry_after", [1e12, 1e20, float("inf")])
def test_a_senseless_time_to_wait_breaks_nothing(retry_after: float) -> None:
    assert backoff(1, OLD, 0.5, retry_after) <= timedelta(days=366)
