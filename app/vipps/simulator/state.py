"""The simulator itself: one place that holds the state, answers calls, and lets tests play user, bank and time."""

from collections import deque
from datetime import datetime, timedelta

from app.vipps.simulator import user
from app.vipps.simulator.answers import Answer, refusal_answer
from app.vipps.simulator.book import Book, Caller
from app.vipps.simulator.clock import SimulatorClock
from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.faults import Faults
from app.vipps.simulator.gateway import Call, Gateway, RateLimiter, check_content_type
from app.vipps.simulator.idempotency import IdempotencyStore, check_key
from app.vipps.simulator.models import Agreement, Charge, FailureReason, LedgerEntry, RequestRecord
from app.vipps.simulator.operations import Operation
from app.vipps.simulator.processing import process_due
from app.vipps.simulator.refusals import RefusedError
from app.vipps.simulator.timeline import next_hour
from app.vipps.simulator.tokens import TokenDesk


class Simulator:
    def __init__(self, config: SimulatorConfig | None = None, clock: SimulatorClock | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.clock = clock or SimulatorClock()
        self.latency = self.config.latency
        self.faults = Faults(self.config.seed)
        self.requests: deque[RequestRecord] = deque(maxlen=self.config.keep_requests)
        self.requests_seen = 0
        self.tokens = TokenDesk(self.config, self.clock)
        self.gateway = Gateway(self.config, self.tokens)
        self.book = Book(self.config, self.clock)
        self._keys = IdempotencyStore()
        self._limiter = RateLimiter(self.config.rate_limits)
        self._plan_batch(self.clock.now())

    # What the merchant's software reaches, through the web layer.

    def handle(self, operation: Operation, call: Call) -> Answer:
        """The whole way of one call; refusals become answers here."""
        try:
            msn = self.gateway.admit(call)
            if self.config.rate_limits_on:
                self._limiter.check(call, msn, self.clock.now())
            if operation.takes_body:
                check_content_type(call)
            key = None if call.method == "GET" else call.idempotency_key
            check_key(key, required=operation.needs_key)
            caller = Caller(msn, key, call.base_url)
            if key is None:
                return self._run(operation, caller, call)
            scope = (msn, call.method, call.path, key)
            return self._keys.once(scope, call.body, lambda: self._run(operation, caller, call))
        except RefusedError as refusal:
            return refusal_answer(refusal, call.path, self.config.error_style)

    def _run(self, operation: Operation, caller: Caller, call: Call) -> Answer:
        """A refusal is an answer already here, so that it is kept with its idempotency key."""
        try:
            return operation.run(self.book, caller, call)
        except RefusedError as refusal:
            return refusal_answer(refusal, call.path, self.config.error_style)

    def note(self, record: RequestRecord) -> None:
        self.requests.append(record)
        self.requests_seen += 1

    # What tests and the control endpoints read.

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

    # What users and their banks do.

    def approve(self, agreement_id: str, max_amount: int | None = None) -> None:
        user.approve(self.book, self.agreement(agreement_id), max_amount)

    def reject(self, agreement_id: str) -> None:
        user.reject(self.book, self.agreement(agreement_id))

    def stop_in_app(self, agreement_id: str) -> None:
        user.stop_in_app(self.book, self.agreement(agreement_id))

    def set_max_amount(self, agreement_id: str, amount: int) -> None:
        """The user's own limit of a variable agreement."""
        user.set_max_amount(self.agreement(agreement_id), amount)

    def set_failure(self, agreement_id: str, reason: FailureReason | None) -> None:
        """Every payment of this agreement fails for this reason, until None is set."""
        self.agreement(agreement_id).payment_failure = reason

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

    def _plan_batch(self, after: datetime) -> None:
        self.book.timeline.plan(next_hour(after, self.config.batch_hours), self._run_batch)

    def _run_batch(self, at: datetime) -> None:
        process_due(self.book, at, last_of_day=at.hour == self.config.batch_hours[-1])
        self._plan_batch(at)
