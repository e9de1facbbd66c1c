"""The simulator itself: one place that holds the state, answers calls, and lets tests play user, bank and time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from app.vipps.simulator import user
from app.vipps.simulator.answers import Answer, refusal_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.faults import Faults
from app.vipps.simulator.gateway import Call, Gateway, RateLimiter, check_content_type
from app.vipps.simulator.idempotency import IdempotencyStore, check_key
from app.vipps.simulator.knobs import Knobs
from app.vipps.simulator.models import Agreement, Charge, FailureReason, LedgerEntry, RequestRecord
from app.vipps.simulator.operation import Operation
from app.vipps.simulator.processing import process_due
from app.vipps.simulator.refusals import RefusedError
from app.vipps.simulator.timeline import next_hour
from app.vipps.simulator.tokens import TokenDesk
from app.vipps.simulator.webhooks.deliveries import Delivery, Mischief, Registration
from app.vipps.simulator.webhooks.events import Event
from app.vipps.simulator.webhooks.sender import ClientFactory, Sender, default_client

# In the background nobody waits for an end.
_ALL_THERE_ARE = 10**12


class Simulator:
    """`clients` makes the HTTP clients that webhooks use; a test passes one with an ASGI transport."""

    def __init__(
        self,
        config: SimulatorConfig | None = None,
        clock: SimulatorClock | None = None,
        clients: ClientFactory | None = None,
    ) -> None:
        self.config = config or SimulatorConfig()
        self.clock = clock or SimulatorClock()
        self.latency = self.config.latency
        self.faults = Faults(self.config.seed)
        self.requests: deque[RequestRecord] = deque(maxlen=self.config.keep_requests)
        self.requests_seen = 0
        self.tokens = TokenDesk(self.config, self.clock)
        self.gateway = Gateway(self.config, self.tokens)
        self.book = Book(self.config, self.clock)
        self.sender = Sender(self.config, self.book.knobs, self.clock, clients or default_client)
        self.book.listeners.append(self.sender.hear)
        self._keys = IdempotencyStore()
        self._limiter = RateLimiter(self.config.rate_limits)
        self._plan_batch(self.clock.now())

    # What the merchant's software reaches, through the web layer.

    def handle(self, operation: Operation, call: Call) -> Answer:
        """The whole way of one call; refusals become answers here."""
        try:
            msn = self.gateway.admit(call)
            if self.knobs.rate_limits_on:
                self._limiter.check(call, msn, self.clock.now(), operation.weight(call))
            if operation.takes_body:
                check_content_type(call)
            key = self._key(operation, call)
            caller = Caller(msn, key, call.base_url)
            if key is None:
                return self._run(operation, caller, call)
            scope = (msn, call.method, call.path, key)
            return self._keys.once(scope, call.body, lambda: self._run(operation, caller, call))
        except RefusedError as refusal:
            return refusal_answer(refusal, call.path, self.config.error_style)

    def _key(self, operation: Operation, call: Call) -> str | None:
        if operation.keys == "ignored" or (operation.keys == "knob" and not self.knobs.v2_draft_keys):
            return None
        check_key(call.idempotency_key, required=operation.keys == "required")
        return call.idempotency_key

    def _run(self, operation: Operation, caller: Caller, call: Call) -> Answer:
        """A refusal is an answer already here, so that it is kept with its idempotency key."""
        try:
            return operation.run(self.book, caller, call)
        except RefusedError as refusal:
            return refusal_answer(refusal, call.path, self.config.error_style)

    def note(self, record: RequestRecord) -> None:
        self.requests.append(record)
        self.requests_seen += 1

    # What tests and the control endpoints read and turn.

    @property
    def knobs(self) -> Knobs:
        return self.book.knobs

    @property
    def ledger(self) -> list[LedgerEntry]:
        return self.book.ledger

    @property
    def tokens_issued(self) -> int:
        return self.tokens.issued

    @property
    def agreements(self) -> list[Agreement]:
        self.settle()
        return list(self.book.agreements.values())

    def agreement(self, agreement_id: str) -> Agreement:
        """Raises KeyError for an agreement that does not exist."""
        self.settle()
        return self.book.agreements[agreement_id]

    def charges(self, agreement_id: str) -> list[Charge]:
        return list(self.agreement(agreement_id).charges.values())

    def disguise(
        self,
        agreement_id: str,
        charge_id: str | None = None,
        *,
        status: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Show an agreement, or one of its charges, with another status, even an unheard-of one, and with more fields.

        Only what is shown changes; without `status` and `fields` everything is shown as it is again.
        """
        shown = self.agreement(agreement_id)
        target = shown if charge_id is None else shown.charges[charge_id]
        target.shown_status, target.extra_fields = status, dict(fields or {})

    # What users and their banks do.

    def approve(self, agreement_id: str, max_amount: int | None = None) -> None:
        user.approve(self.book, self.agreement(agreement_id), max_amount)

    def reject(self, agreement_id: str) -> None:
        user.reject(self.book, self.agreement(agreement_id))

    def stop_in_app(self, agreement_id: str) -> None:
        user.stop_from_outside(self.book, self.agreement(agreement_id), "USER")

    def stop_as_admin(self, agreement_id: str) -> None:
        """Vipps itself ends the agreement."""
        user.stop_from_outside(self.book, self.agreement(agreement_id), "ADMIN")

    def set_max_amount(self, agreement_id: str, amount: int) -> None:
        """The user's own limit of a variable agreement."""
        user.set_max_amount(self.agreement(agreement_id), amount)

    def set_failure(self, agreement_id: str, reason: FailureReason | None) -> None:
        """Every payment of this agreement fails for this reason, until None is set."""
        self.agreement(agreement_id).payment_failure = reason

    def fail_creation(self, order_id: str, reason: FailureReason = "technical_error") -> None:
        """A batch will take this order in, and its charge will never come into being."""
        self.book.doomed_orders[order_id] = reason

    # What time brings.

    def advance(self, delta: timedelta) -> datetime:
        """Move the clock; everything planned on the way happens, in order."""
        now = self.clock.advance(delta)
        self.settle()
        return now

    def settle(self) -> None:
        """Let happen what should have happened by now."""
        self.book.timeline.play(self.clock.now())

    def process_due(self) -> int:
        """The whole day's batches at once, whatever the hour; answers how many payments were tried."""
        self.settle()
        return process_due(self.book, self.clock.now(), last_of_day=True)

    def revoke_tokens(self) -> None:
        self.tokens.revoke_all()

    # Webhooks.

    @property
    def registrations(self) -> list[Registration]:
        return list(self.sender.registrations)

    @property
    def events(self) -> list[Event]:
        """What has happened that is told by webhook, heard or not, oldest first."""
        self.settle()
        return list(self.sender.events)

    @property
    def deliveries(self) -> list[Delivery]:
        return list(self.sender.deliveries)

    @property
    def mischief(self) -> Mischief:
        return self.sender.mischief

    @mischief.setter
    def mischief(self, mischief: Mischief) -> None:
        self.sender.mischief = mischief

    async def deliver(self, limit: int = 100_000) -> int:
        """Send the webhooks that are due now, and those that this causes; how many requests were made."""
        self.settle()
        return await self.sender.deliver(limit)

    def replay(self, number: int) -> Delivery:
        """Queue a delivery again. Raises LookupError where there is none of that number."""
        return self.sender.replay(number)

    def invent_event(self, event_type: str, fields: dict[str, Any] | None = None, msn: str | None = None) -> None:
        """Tell all registrations of a sales unit, by default the first, of something that never happened."""
        self.sender.invent(msn or self.config.merchants[0].msn, event_type, fields or {})

    @asynccontextmanager
    async def delivering(self, pause: float = 0.5) -> AsyncIterator[None]:
        """Sends in the background: at once what happens, and every `pause` seconds what has become due."""
        task = asyncio.create_task(self._deliver_for_ever(pause))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _deliver_for_ever(self, pause: float) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.sender.news.wait(), pause)
            self.sender.news.clear()
            await self.deliver(limit=_ALL_THERE_ARE)

    def _plan_batch(self, after: datetime) -> None:
        self.book.timeline.plan(next_hour(after, self.config.batch_hours), self._run_batch)

    def _run_batch(self, at: datetime) -> None:
        process_due(self.book, at, last_of_day=at.hour == self.config.batch_hours[-1])
        self._plan_batch(at)
