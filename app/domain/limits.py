"""Vipps' rate limits, and the counting that keeps within them (facts: VIPPS 10).

Limits per merchant are counted here and shared by all processes. Limits per charge and per agreement are kept by the
rows: one process holds a row at a time and its next attempt has a time (`app/domain/operation.py`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

_SLOT = timedelta(seconds=5)
_WINDOW = timedelta(seconds=60)
_PAUSE_AFTER_429 = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `per_minute` calls of an operation for one merchant serial number."""

    operation: str
    per_minute: int

    def bucket(self, environment: str, msn: str) -> str:
        return f"{environment}/{msn}/{self.operation}"


CREATE_CHARGE = RateLimit("createCharge", 500)
DRAFT_AGREEMENT = RateLimit("draftAgreement", 300)
FIND_CHARGE = RateLimit("getChargeById", 100)
LIST_AGREEMENTS = RateLimit("listAgreements", 5)


@dataclass(frozen=True, slots=True)
class Granted:
    """How many calls may be made now, and after how many seconds the next ones may be asked for."""

    count: int
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """The calls of the last minute, counted in slots of five seconds, so that any minute holds no more than allowed."""

    used: tuple[tuple[int, int], ...] = ()
    blocked_until: datetime | None = None

    def take(self, wanted: int, per_minute: int, now: datetime) -> tuple["Allowance", Granted]:
        """As many of the `wanted` calls as the minute has left."""
        if self.blocked_until is not None and self.blocked_until > now:
            return self, Granted(0, (self.blocked_until - now).total_seconds())
        slot = _slot(now)
        # A slot counts until its last call is a minute old.
        # Clocks differ by seconds. What lies minutes ahead was counted before a clock was set back, and would block for
        # as long as that was.
        window = _WINDOW // _SLOT
        recent = {at: count for at, count in self.used if slot - window - 1 < at <= slot + 2 * window}
        left = max(per_minute - sum(recent.values()), 0)
        count = min(wanted, left)
        if count:
            recent[slot] = recent.get(slot, 0) + count
        after = Allowance(tuple(sorted(recent.items())))
        if count == wanted:
            return after, Granted(count)
        first = min(recent, default=slot)
        frees = datetime.fromtimestamp((first + 1) * _SLOT.total_seconds(), now.tzinfo) + _WINDOW
        return after, Granted(count, max((frees - now).total_seconds(), 1.0))

    def emptied(self, now: datetime, retry_after: float | None) -> "Allowance":
        """After a 429: nobody else knocks before Vipps said so."""
        pause = timedelta(seconds=retry_after) if retry_after is not None else _PAUSE_AFTER_429
        until = now + pause
        return Allowance(self.used, max(until, self.blocked_until or until))


def _slot(now: datetime) -> int:
    return int(now.timestamp() // _SLOT.total_seconds())
