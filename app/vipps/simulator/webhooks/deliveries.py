"""One event on its way to one registration: what is sent, what came of it, and when it is tried again."""

import base64
import json
import secrets
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal

from app.vipps.simulator.webhooks.events import Event

QUICK_ATTEMPTS = 4
HOURLY_UNTIL = 29
GIVE_UP_AFTER = timedelta(days=7)
Tampering = Literal["body", "body-and-hash", "signature", "secret"]


class Status(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    EXPIRED = "expired"  # given up after a week
    DROPPED = "dropped"  # lost on the way, by the wish of a test
    ABANDONED = "abandoned"  # the registration went away first


def wait_after(attempts: int) -> timedelta:
    """The schedule of 2026: four tries close together, a minute, two, every hour, every day."""
    if attempts < QUICK_ATTEMPTS:
        return timedelta(seconds=2)
    if attempts == QUICK_ATTEMPTS:
        return timedelta(seconds=60)
    if attempts == QUICK_ATTEMPTS + 1:
        return timedelta(seconds=120)
    return timedelta(hours=1) if attempts < HOURLY_UNTIL else timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status_code` is absent where no answer came; then `response` says why."""

    at: datetime
    status_code: int | None
    response: str


@dataclass(eq=False, kw_only=True)
class Registration:
    """One endpoint, what it wants to hear of, and what it has still to be told, in order."""

    msn: str
    url: str
    events: tuple[str, ...]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(64)).decode(), repr=False)
    queue: "deque[Delivery]" = field(default_factory=deque, repr=False)
    failing_since: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Delivery:
    number: int
    registration: Registration
    event: Event
    due_at: datetime
    status: Status = Status.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    tries: int = 0  # without the duplicates that a test asked for
    was_delayed: bool = False
    replay_of: int | None = None

    @cached_property
    def body(self) -> bytes:
        return json.dumps(self.event.payload, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(kw_only=True)
class Mischief:
    """What the network may do to deliveries. `events` limits it to some types; without it all are hit."""

    drop: bool = False
    duplicate: bool = False
    reorder: bool = False  # the newest first
    delay: timedelta = timedelta()  # from the event on; what follows waits as well, only `reorder` breaks the order
    tamper: Tampering | None = None
    stale: timedelta = timedelta()  # rightly signed, but so long ago
    x_authorization: bool = False  # as behind a web server that keeps Authorization to itself
    events: frozenset[str] | None = None

    def hits(self, delivery: Delivery) -> bool:
        return self.events is None or delivery.event.type in self.events
