"""One webhook request: what is told to whom, what was sent, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from app.saleor.simulator.models import App, Webhook
from app.saleor.simulator.records import Event


class Status(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    DROPPED = "dropped"  # lost on the way, by the wish of a test


@dataclass(frozen=True)
class Attempt:
    """`status_code` is absent where no answer came; then `response` says why."""

    at: datetime
    status_code: int | None
    response: str


@dataclass(eq=False, kw_only=True)
class Delivery:
    """Body and signature are made once: every attempt, duplicate and replay sends the same bytes.

    `on_answer` hears what the app answered to a request for an action.
    """

    number: int
    app: App
    webhook: Webhook
    event: Event
    due_at: datetime
    body: bytes | None = None
    signature: str = ""
    status: Status = Status.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    replay_of: int | None = None
    on_answer: Callable[[Any], None] | None = None

    @property
    def body_sha256(self) -> str | None:
        return sha256(self.body).hexdigest() if self.body is not None else None


@dataclass
class Mischief:
    """What the network may do to deliveries.

    `events` limits it to events of these names, `subjects` to events about the records with these ids; without them
    all are hit. What is dropped is lost for good: `Mischief(drop=True, subjects=frozenset({order.id}))` keeps all
    news of one order from the app. `lose_answers` lets the app work and then hides its answer: as a time-out, or, with
    `bad_gateway`, as a 502, which Saleor tries again where it tries at all.
    """

    duplicate: bool = False
    drop: bool = False
    reorder: bool = False
    events: frozenset[str] | None = None
    subjects: frozenset[str] | None = None
    lose_answers: bool = False
    bad_gateway: bool = False

    def hits(self, event: Event) -> bool:
        named = self.events is None or event.name in self.events
        return named and (self.subjects is None or event.subject.id in self.subjects)
