"""Periods that stayed unpaid, and for which their subscription is on hold."""

from collections.abc import Iterator, Sequence

from app.domain.renewal import Renewal, RenewalReason, RenewalStatus
from app.domain.subscription import UNPAID, Subscription, SubscriptionStatus

# What the dunning policy is for.
FAILURES = frozenset({RenewalReason.CHARGE_FAILED, RenewalReason.CHARGE_REJECTED})


def on_hold(subscription: Subscription) -> bool:
    return subscription.status is SubscriptionStatus.HELD and subscription.reason == UNPAID


def given_up(subscription: Subscription, rows: Sequence[Renewal]) -> Iterator[Renewal]:
    """Since the last one that was paid, the newest first; none where the subscription is not on hold for them."""
    if not on_hold(subscription):
        return
    for it in reversed(rows):
        if it.status is RenewalStatus.FAILED and it.reason in FAILURES:
            yield it
        elif it.status is not RenewalStatus.SKIPPED:
            return
