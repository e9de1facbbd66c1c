"""What is done after a charge failed for good at Vipps: by reason and by the merchant's policy, one step at a time."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.errors import InvalidInput

MAX_RETRIES = 10
MAX_DAYS = 90


class GiveUp(StrEnum):
    """What becomes of the subscription when a period stays unpaid."""

    HOLD = "HOLD"
    CANCEL = "CANCEL"
    CONTINUE = "CONTINUE"  # the period is lost, the next one is charged as planned


class StepKind(StrEnum):
    RETRY = "RETRY"
    GIVE_UP = "GIVE_UP"


@dataclass(frozen=True, slots=True)
class Step:
    """A new charge that is due on `on`, or the end of trying."""

    kind: StepKind
    on: date
    then: GiveUp | None = None


# The customer's own limit is too low: charging the same again cannot succeed (facts: VIPPS 7.3).
_NEVER_BY_ITSELF = frozenset({"charge_amount_too_high"})


@dataclass(frozen=True, slots=True)
class DunningPolicy:
    """`retry_after` are days after each failure on which a new charge is due, after Vipps' own retry days are over.

    `cancel_after` ends a subscription that was held that many days for an unpaid period.
    """

    retry_after: tuple[int, ...] = (3, 7)
    then: GiveUp = GiveUp.HOLD
    cancel_after: int | None = None

    def __post_init__(self) -> None:
        if len(self.retry_after) > MAX_RETRIES:
            raise InvalidInput(f"at most {MAX_RETRIES} retries", field="dunning-retry")
        for days in (*self.retry_after, *(() if self.cancel_after is None else (self.cancel_after,))):
            if not 1 <= days <= MAX_DAYS:
                raise InvalidInput(f"{days} days: it is 1 to {MAX_DAYS}", field="dunning-retry")

    def after_failure(self, failures: int, today: date, reason: str | None) -> Step:
        """What follows the period's `failures`-th failed charge (1 is the first)."""
        if failures <= len(self.retry_after) and reason not in _NEVER_BY_ITSELF:
            return Step(StepKind.RETRY, today + timedelta(days=self.retry_after[failures - 1]))
        return Step(StepKind.GIVE_UP, today, self.then)


DEFAULT_DUNNING = DunningPolicy()
