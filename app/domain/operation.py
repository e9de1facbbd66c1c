"""A write to Vipps other than a new charge: stored with its key before the call, finished by whoever finds it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

_KEYS = uuid.UUID("5b0c1f2e-4c0b-5b6e-9d43-6a1d0f6f7a10")


def key_for(verb: str, intent_id: str) -> str:
    """The idempotency key of one intent: 32 letters and digits, legal in every era (facts: VIPPS 9.2)."""
    return uuid.uuid5(_KEYS, f"{verb}/{intent_id}").hex


class OperationKind(StrEnum):
    CREATE = "CREATE"  # of an agreement; its `agreement_id` is our row's until Vipps names one
    UPDATE = "UPDATE"
    STOP = "STOP"
    CANCEL = "CANCEL"
    CAPTURE = "CAPTURE"
    REFUND = "REFUND"


class OperationStatus(StrEnum):
    OPEN = "OPEN"
    DONE = "DONE"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Operation:
    """`lock` lets one open operation of its sort stand per object; `slot` is a client's own key, once and for ever.

    `api_version` is the one it was first sent with and is repeated with; `dead` says why nobody tries any more.
    """

    id: str
    shop: str
    account_id: str
    kind: OperationKind
    agreement_id: str
    idempotency_key: str
    request: Mapping[str, str | int]
    status: OperationStatus
    actor: str
    created_at: datetime
    charge_id: str | None = None
    slot: str | None = None
    lock: str | None = None
    api_version: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    dead: str | None = None
    failure_code: str | None = None
    failure: str | None = field(default=None)


_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 86_400.0


def backoff(
    attempts: int, age: timedelta, jitter: float, retry_after: float | None = None, least: float = 0.0
) -> timedelta:
    """When to try again: 5 s, doubling to an hour, spread by `jitter` (0 to 1).

    No longer than what is tried is old: an attempt whose process was killed is counted like one that failed, and many
    deaths in a minute are no reason to wait for an hour. Never before `retry_after` seconds, and never before `least`,
    which a rate limit per object may ask for.
    """
    doubled = min(_FIRST_PAUSE * 2.0 ** min(max(attempts - 1, 0), 10), 3600.0)
    pause = min(doubled, max(age.total_seconds(), _FIRST_PAUSE)) * (0.75 + jitter / 2)
    return timedelta(seconds=max(pause, least, min(retry_after or 0.0, _LONGEST_PAUSE)))
