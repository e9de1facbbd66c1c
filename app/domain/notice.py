"""What the shop is told of so that it can tell its customers: ids, amounts and links, never a person's data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeKind(StrEnum):
    SUBSCRIPTION_STARTED = "subscription.started"
    SUBSCRIPTION_PAUSED = "subscription.paused"
    SUBSCRIPTION_RESUMED = "subscription.resumed"
    SUBSCRIPTION_HELD = "subscription.held"
    SUBSCRIPTION_ENDED = "subscription.ended"
    SUBSCRIPTION_MOVED = "subscription.moved"
    PRICE_CHANGE = "subscription.price_change"
    LINK = "subscription.link"  # nothing has happened: the shop wants the customer to have the link once more
    RENEWAL_PAID = "renewal.paid"
    RENEWAL_FAILED = "renewal.failed"
    RENEWAL_WAITING = "renewal.waiting"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice, sent until the shop's endpoint takes it. `id` is the same for the same news, so it is stored once."""

    id: str
    shop: str
    account_id: str
    kind: NoticeKind
    subscription_id: str
    data: Mapping[str, str | int | None]
    created_at: datetime
    attempts: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    dead: str | None = None
