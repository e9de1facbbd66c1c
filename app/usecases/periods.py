"""What the periods of a subscription allow today: which one comes next, and what may still become of it."""

from collections.abc import Sequence
from datetime import date, timedelta

from app.domain.account import Account
from app.domain.charge import Charge, ChargeStatus
from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import Subscription

OPEN = frozenset({RenewalStatus.PLANNED, RenewalStatus.WAITING, RenewalStatus.CHARGING})
_RESTED = frozenset({RenewalReason.PAUSED, RenewalReason.HELD, RenewalReason.ENDED})
_NOT_COLLECTED = frozenset({ChargeStatus.NEW, ChargeStatus.PENDING, ChargeStatus.DUE, ChargeStatus.RESERVED})


def upcoming_of(renewals: Sequence[Renewal], today: date) -> Renewal | None:
    """The next period, where it is a renewal already that is neither collected nor late."""
    open_ = (it for it in renewals if it.status in OPEN and it.due >= today and it.failed_on is None)
    return next(open_, None)


def left_out(subscription: Subscription, renewals: Sequence[Renewal], today: date) -> Sequence[Renewal]:
    """Periods that were planned, given up because it rested or was to end, and whose day has not come.

    Where the next date was moved meanwhile they are left out for good: it stands for them.
    """
    due = subscription.schedule.due
    return [
        row
        for row in renewals
        if row.status is RenewalStatus.SKIPPED
        and row.reason in _RESTED
        and row.charge_row is None
        and row.due > today
        and row.due == due(row.period)
    ]


def skipped_already(renewals: Sequence[Renewal], today: date) -> Renewal | None:
    """The latest period that somebody skipped and whose day is not over: one at a time."""
    return next((it for it in reversed(renewals) if it.reason is RenewalReason.SKIPPED and it.due >= today), None)


def may_be_taken_back(charge: Charge | None) -> bool:
    """Whether a period with this charge, or none, can still be left out."""
    return charge is None or charge.status.holds_no_money or charge.status in _NOT_COLLECTED


def first_movable(account: Account, today: date) -> date:
    """The first day to which a period may be moved: its charge has to be made before."""
    return today + timedelta(days=max(account.lead_days, 1))


def ending(subscription: Subscription, upcoming: Renewal | None) -> Subscription:
    """What is charged already is the last period; what is only planned is not charged any more."""
    return subscription.ending(upcoming.due if upcoming is not None and upcoming.charge_row is None else None)
