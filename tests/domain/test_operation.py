"""Idempotency keys and waiting times."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.operation import backoff, key_for

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
    assert backoff(attempts, 0.5) == timedelta(seconds=seconds)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_waiting_spreads_by_a_quarter_either_way(attempts: int, jitter: float) -> None:
    middle = backoff(attempts, 0.5)
    assert middle * 0.74 < backoff(attempts, jitter) < middle * 1.26


@given(st.integers(0, 50), st.floats(0, 1), st.floats(0, 86_400))
def test_nobody_is_asked_again_before_the_time_they_named(attempts: int, jitter: float, retry_after: float) -> None:
    assert backoff(attempts, jitter, retry_after) >= timedelta(seconds=retry_after)
    assert backoff(attempts, jitter, retry_after) >= backoff(attempts, jitter)


@pytest.mark.parametrize("retry_after", [1e12, 1e20, float("inf")])
def test_a_senseless_time_to_wait_breaks_nothing(retry_after: float) -> None:
    assert backoff(1, 0.5, retry_after) <= timedelta(days=366)
