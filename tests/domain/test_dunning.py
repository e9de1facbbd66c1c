"""What follows a failed charge, by reason and by the merchant's policy."""

from datetime import date

import pytest

from app.domain.dunning import DunningPolicy, GiveUp, Step, StepKind
from app.domain.errors import InvalidInput

TODAY = date(2026, 3, 2)


def test_each_failure_has_its_retry_until_there_are_no_more() -> None:
    policy = DunningPolicy(retry_after=(3, 7), then=GiveUp.CANCEL)
    assert policy.after_failure(1, TODAY, "insufficient_funds") == Step(StepKind.RETRY, date(2026, 3, 5))
    assert policy.after_failure(2, TODAY, "insufficient_funds") == Step(StepKind.RETRY, date(2026, 3, 9))
    assert policy.after_failure(3, TODAY, None) == Step(StepKind.GIVE_UP, TODAY, GiveUp.CANCEL)


def test_what_cannot_succeed_by_itself_is_not_tried_again() -> None:
    policy = DunningPolicy(retry_after=(3, 7))
    assert policy.after_failure(1, TODAY, "charge_amount_too_high") == Step(StepKind.GIVE_UP, TODAY, GiveUp.HOLD)


def test_a_merchant_may_have_no_retries() -> None:
    policy = DunningPolicy(retry_after=(), then=GiveUp.CONTINUE)
    assert policy.after_failure(1, TODAY, "user_action_required") == Step(StepKind.GIVE_UP, TODAY, GiveUp.CONTINUE)


@pytest.mark.parametrize("wrong", [(0,), (91,), (3, -1), (1,) * 11])
def test_retries_that_make_no_sense_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        DunningPolicy(retry_after=wrong)


@pytest.mark.parametrize("days", [0, 91])
def test_so_is_an_end_that_makes_no_sense(days: int) -> None:
    with pytest.raises(InvalidInput):
        DunningPolicy(cancel_after=days)
