"""What is written down or asked for beside agreements and charges: webhooks received, the audit, pages of a list."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.agreement import AgreementStatus


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One verified webhook. `event_key` tells deliveries of the same event apart from new events."""

    id: str
    shop: str
    source: str
    event: str
    event_key: str
    body: str
    received_at: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which object, when, from what to what, and why. Holds ids and states, never a person's data."""

    shop: str
    actor: str
    action: str
    object_id: str
    at: datetime
    before: str = ""
    after: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AgreementFilter:
    statuses: frozenset[AgreementStatus] = frozenset()
    customer: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list in creation order: up to `size` rows past `cursor` (a time and an id), forwards or back."""

    size: int
    cursor: tuple[datetime, str] | None = None
    backwards: bool = False
    newest_first: bool = True


@dataclass(frozen=True, slots=True)
class AppIdentity:
    app_id: str
    identifier: str | None
    version: str | None
