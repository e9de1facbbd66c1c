"""A charge: money taken on an agreement, its states, and the rules it must meet before Vipps hears of it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum

from app.domain.agreement import LIKE_SLOT, Agreement, Pricing, TransactionType, check_amount, check_text
from app.domain.errors import IllegalState, InvalidInput, LimitExceeded
from app.domain.money import Money
from app.domain.plan import add_months

DESCRIPTION_MAX = 45
REFUND_DESCRIPTION_MAX = 45  # the strictest of the versions: VIPPS 4 and the file of 2022; v3 takes 100
MAX_RETRY_DAYS = 14
DEFAULT_RETRY_DAYS = 5
MIN_LEAD_DAYS = 1  # facts: VIPPS 6.1, since October 2025; it was 2
DEFAULT_LEAD_DAYS = 2  # a day of slack, because nobody documents whose midnight counts (facts: VIPPS 6.1)
MAX_YEARS_AHEAD = 2
LIMIT_FACTOR = 5  # facts: VIPPS 6.5
ORDER_SLOT, ORDER_ID_SLOT, KEY_SLOT = "order/", "id/", "key/"
OWN_ORDER_ID = "vr-"
_ORDER_ID = re.compile(r"[A-Za-z0-9-]{8,50}")


class ChargeStatus(StrEnum):
    """Vipps' statuses, plus NEW (stored, its outcome not known yet), REJECTED (never made) and UNKNOWN."""

    NEW = "NEW"
    PENDING = "PENDING"
    DUE = "DUE"
    PROCESSING = "PROCESSING"
    RESERVED = "RESERVED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CHARGED = "CHARGED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @property
    def final(self) -> bool:
        """True where nothing more happens unless somebody refunds."""
        return self in _FINAL

    @property
    def holds_no_money(self) -> bool:
        return self in {ChargeStatus.FAILED, ChargeStatus.CANCELLED, ChargeStatus.REJECTED}


_S = ChargeStatus
_FINAL = frozenset({_S.CHARGED, _S.PARTIALLY_REFUNDED, _S.REFUNDED, _S.FAILED, _S.CANCELLED, _S.REJECTED})
_PATH = (_S.NEW, _S.PENDING, _S.DUE, _S.PROCESSING, _S.RESERVED, _S.PARTIALLY_CAPTURED, _S.CHARGED)
_REFUNDS = (_S.PARTIALLY_REFUNDED, _S.REFUNDED)


def _successors() -> dict[ChargeStatus, frozenset[ChargeStatus]]:
    """Any step forward along the path may be skipped; a late failure after success is legal (facts: VIPPS 7.2)."""
    table: dict[ChargeStatus, frozenset[ChargeStatus]] = {}
    for place, status in enumerate(_PATH):
        table[status] = frozenset(_PATH[place + 1 :]) | set(_REFUNDS) | {_S.FAILED, _S.CANCELLED}
    table[_S.NEW] |= {_S.REJECTED}
    table[_S.CHARGED] = frozenset({*_REFUNDS, _S.FAILED})
    table[_S.PARTIALLY_REFUNDED] = frozenset({_S.REFUNDED})
    table[_S.UNKNOWN] = frozenset(_S) - {_S.NEW, _S.UNKNOWN}
    for status in (_S.REFUNDED, _S.FAILED, _S.CANCELLED, _S.REJECTED):
        table[status] = frozenset()
    return table


_NEXT = _successors()


class ChargeOrigin(StrEnum):
    """Who asked for the charge; FOUND ones were made outside this app and learnt from Vipps."""

    ORDER = "ORDER"
    API = "API"
    INITIAL = "INITIAL"
    FOUND = "FOUND"
    RENEWAL = "RENEWAL"


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge, stored before Vipps is called.

    `order_id` is ours and becomes Vipps' charge id; `slot` is what may be charged once (one order, one order id of a
    client): the database lets one charge hold it. `captured`, `refunded` and `cancelled` count minor units of
    `amount`'s currency. `api_version` is the one it was first sent with and is repeated with; `batch_id` names the
    batch it was sent in, `accepted_at` says when Vipps took that without having made the charge yet, and `sent_at` when
    it may last have been sent. `happened_at` is when, by Vipps' own word, what it shows came about, where Vipps tells.
    `settled_at` is when money last came or Vipps gave up, `refunded_at` when money last went back: by Vipps' word, or
    when we first saw it.
    `withdrawn` says why nobody wants it any more, though its outcome is open; `dead` why nobody tries any more until a
    person asks for it.
    """

    id: str
    shop: str
    account_id: str
    agreement_id: str
    order_id: str
    idempotency_key: str
    amount: Money
    description: str
    due: date
    retry_days: int
    status: ChargeStatus
    origin: ChargeOrigin
    created_at: datetime
    charge_id: str | None = None
    slot: str | None = None
    saleor_order: str | None = None
    actor: str = ""
    transaction_type: TransactionType = TransactionType.DIRECT_CAPTURE
    captured: int = 0
    refunded: int = 0
    cancelled: int = 0
    failure_code: str | None = None
    failure: str | None = None
    transaction_id: str | None = None
    api_version: str | None = None
    batch_id: str | None = None
    accepted_at: datetime | None = None
    sent_at: datetime | None = None
    withdrawn: str | None = None
    attempts: int = 0
    failures: int = 0
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    dead: str | None = None
    reported: str | None = None
    saleor_transaction: str | None = None
    happened_at: datetime | None = None
    settled_at: datetime | None = None
    refunded_at: datetime | None = None

    def collected_on(self, zone: tzinfo) -> date | None:
        """The day on which its money came, by a clock of that zone."""
        return self.settled_at.astimezone(zone).date() if self.captured and self.settled_at else None

    @property
    def shown(self) -> str:
        """What its order and its transaction have to show: the status and each sum."""
        return f"{self.status}/{self.sums}"

    @property
    def sums(self) -> str:
        """What money has moved; it changes with every move, whoever made it."""
        return f"{self.captured}/{self.refunded}/{self.cancelled}"

    @property
    def in_saleor(self) -> bool:
        """Whether there is, or may be, an order or a transaction in Saleor that has to show it."""
        return self.saleor_order is not None or self.saleor_transaction is not None

    def see(self, seen: "SeenCharge", now: datetime) -> "Charge":
        """Apply an observation: status forward or not at all, amounts upwards or not at all.

        What cannot be (more captured than asked for, more refunded than captured) is not taken over: reconciliation
        tells of it.
        """
        forward = seen.status in self._next()
        captured = min(self._captured(seen), self.amount.minor - min(self.cancelled, self.amount.minor))
        after = replace(
            self,
            charge_id=self.charge_id or seen.charge_id,
            status=seen.status if forward else self.status,
            captured=captured,
            refunded=min(max(self.refunded, seen.refunded), captured),
            cancelled=min(max(self.cancelled, seen.cancelled), self.amount.minor - captured),
            dead=None,
            transaction_id=seen.transaction_id or self.transaction_id,
            failure_code=seen.failure_reason if forward else self.failure_code,
            failure=seen.failure_text if forward else self.failure,
        )
        at = seen.happened_at or now
        after = replace(
            after,
            settled_at=at if self._settles(after) else self.settled_at,
            refunded_at=at if after.refunded > (self.refunded if self.refunded_at else 0) else self.refunded_at,
        )
        return after if after.shown == self.shown else replace(after, happened_at=seen.happened_at)

    def _settles(self, after: "Charge") -> bool:
        """Whether money came, or Vipps gave up, between this and what it is after an observation."""
        outcome = (after.captured, after.status is _S.FAILED)
        return outcome != (0, False) and (
            self.settled_at is None or outcome != (self.captured, self.status is _S.FAILED)
        )

    def matches(self, seen: "SeenCharge") -> bool:
        """Whether a charge that Vipps shows under our order id can be this one.

        An order id that we made says so by itself; one that a caller chose may have been used before, by somebody else.
        """
        ours = self.order_id.startswith(OWN_ORDER_ID)
        return seen.amount == self.amount.minor and (ours or seen.description == self.description)

    def _captured(self, seen: "SeenCharge") -> int:
        """v2 guesses the sum from the status, and guesses wrong where a part was captured and the rest released."""
        if seen.guessed and 0 < self.captured < self.amount.minor:
            return self.captured
        whole = seen.captured + seen.cancelled == self.amount.minor
        if not seen.guessed and seen.cancelled and whole and seen.captured < self.captured:
            return seen.captured
        return max(self.captured, seen.captured)

    def contradicts(self, seen: "SeenCharge") -> bool:
        """True where an observation would be a step back: kept out of the row, shown in the audit."""
        return seen.status not in (self.status, ChargeStatus.UNKNOWN) and seen.status not in self._next()

    def _next(self) -> frozenset[ChargeStatus]:
        """What was given up without a charge at Vipps begins anew where Vipps has one after all."""
        return _NEXT[_S.NEW if self.unmade else self.status]

    @property
    def unmade(self) -> bool:
        """True while Vipps is not known to have it."""
        return self.charge_id is None and self.status in {_S.NEW, _S.CANCELLED, _S.REJECTED}

    def next_look(self, now: datetime) -> datetime | None:
        """When to ask Vipps again: daily before the due date and while reserved, then with growing pauses.

        From a quarter of an hour on the due day to six hours days after it; never where nothing more happens.
        """
        if self.status.final:
            return None
        tomorrow = now + timedelta(days=1)
        if self.status is _S.RESERVED or self.due > now.date() + timedelta(days=1):
            return tomorrow
        if self.due > now.date():
            # The last look at the order before Vipps' first run of the due day (facts: VIPPS 6.3).
            return min(tomorrow, self._due_midnight())
        pause = (now - self._due_midnight()) / 16
        return now + min(max(pause, timedelta(minutes=15)), timedelta(hours=6))

    def _due_midnight(self) -> datetime:
        return datetime(self.due.year, self.due.month, self.due.day, tzinfo=UTC)

    def freed(self) -> "Charge":
        """Give up the slot where the same may rightly be asked for again.

        A charge made for an order keeps it whatever happens: another attempt is a decision, not an event.
        """
        slot = self.slot or ""
        same_again = self.status.holds_no_money and slot.startswith(LIKE_SLOT)
        never_made = self.status is _S.REJECTED and slot.startswith(ORDER_ID_SLOT)
        return replace(self, slot=None) if same_again or never_made else self

    def require_cancellable(self) -> None:
        if self.status not in {_S.PENDING, _S.DUE, _S.RESERVED, _S.PARTIALLY_CAPTURED}:
            remedy = "; refund it instead" if self.status in {_S.CHARGED, _S.PARTIALLY_REFUNDED} else ""
            raise IllegalState(
                f"charge {self.charge_id} is {self.status} and can no longer be cancelled{remedy}", field="chargeId"
            )

    def check_capture(self, amount: Money | None) -> Money:
        """The amount to capture: what is asked for, or all that is still reserved. Raises where it is more."""
        if self.status not in {_S.RESERVED, _S.PARTIALLY_CAPTURED}:
            raise IllegalState(
                f"charge {self.charge_id} is {self.status}; only a RESERVED one can be captured", field="chargeId"
            )
        left = Money(self.amount.minor - self.captured - self.cancelled, self.amount.currency)
        if amount is None:
            return left
        check_amount(amount, "price")
        if not amount <= left:
            raise LimitExceeded(f"price {amount.minor} is more than the {left.minor} still reserved", field="price")
        return amount

    def refundable(self) -> Money:
        if self.status not in {_S.CHARGED, _S.PARTIALLY_CAPTURED, _S.PARTIALLY_REFUNDED}:
            open_ = {_S.PENDING, _S.DUE, _S.PROCESSING, _S.RESERVED}
            remedy = "; cancel it instead" if self.status in open_ else ""
            raise IllegalState(
                f"charge {self.charge_id} is {self.status} and has nothing to refund{remedy}", field="chargeId"
            )
        return Money(self.captured - self.refunded, self.amount.currency)

    def check_refund(self, amount: Money | None) -> Money:
        """The amount to refund: what is asked for, or all that is left. Raises where it is more than that."""
        left = self.refundable()
        wanted = left if amount is None else amount
        if amount is not None:
            check_amount(amount, "price")
        if left.minor <= 0:
            raise IllegalState(f"charge {self.charge_id} is refunded already", field="chargeId")
        if not wanted <= left:
            raise LimitExceeded(
                f"price {wanted.minor} is more than the {left.minor} that is left to refund", field="price"
            )
        return wanted


@dataclass(frozen=True, slots=True)
class SeenCharge:
    """A charge as Vipps shows it. Amounts are minor units; `due` may carry a time, which means nothing.

    `applied` holds the idempotency keys of what succeeded on it; None where the version does not tell (v2). `guessed`
    where the version shows no captured sum and the status has to tell. `happened_at` is when the last of it happened,
    where the version tells.
    """

    charge_id: str
    status: ChargeStatus
    due: datetime | None
    amount: int
    captured: int
    refunded: int
    description: str
    kind: str
    transaction_id: str | None = None
    failure_reason: str | None = None
    failure_text: str | None = None
    cancelled: int = 0
    applied: frozenset[str] | None = None
    guessed: bool = False
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """What Vipps is asked to charge; the same fields give the same bytes on every repeat.

    `external_id` is for settlement reports; v2 has no place for it, nor for RESERVE_CAPTURE.
    """

    agreement_id: str
    order_id: str
    amount: Money
    description: str
    due: date
    retry_days: int
    transaction_type: TransactionType = TransactionType.DIRECT_CAPTURE
    external_id: str | None = None


def check_order_id(order_id: str) -> str:
    """8 to 50 of [A-Za-z0-9-] with a letter: what every era of Vipps' rules accepts (facts: VIPPS 6.19)."""
    if not _ORDER_ID.fullmatch(order_id) or not any(c.isalpha() for c in order_id):
        raise InvalidInput(
            "an order id is 8 to 50 letters, digits and hyphens, with at least one letter", field="orderId"
        )
    return order_id


def check_description(description: str) -> str:
    check_text(description, "description", DESCRIPTION_MAX)
    return description


def check_retry_days(days: int) -> int:
    if not 0 <= days <= MAX_RETRY_DAYS:
        raise InvalidInput(f"retryDays is {days}; Vipps takes 0 to {MAX_RETRY_DAYS}", field="retryDays")
    return days


def check_due(due: date, today: date) -> date:
    """Raise unless `due` is late enough for Vipps to announce it and at most two years ahead (facts: VIPPS 6.1)."""
    earliest = today + timedelta(days=MIN_LEAD_DAYS)
    latest = add_months(today, 12 * MAX_YEARS_AHEAD)
    if due < earliest:
        raise InvalidInput(f"due is {due}; the earliest date Vipps takes today is {earliest}", field="due")
    if due > latest:
        raise InvalidInput(f"due is {due}; the latest date Vipps takes today is {latest}", field="due")
    return due


def check_limit(agreement: Agreement, charges: Iterable[tuple[date, int]], wanted: Money, due: date) -> None:
    """The amount rule: five times the price, cumulative within one interval (facts: VIPPS 6.5).

    `charges` are due dates and minor units of the other recurring charges that stand. The interval is counted from the
    agreement's start, which Vipps does not document: Vipps' own answer stays the last word.
    """
    if wanted.currency is not agreement.price.currency:
        raise InvalidInput(f"the agreement is in {agreement.price.currency}, not {wanted.currency}", field="currency")
    if agreement.pricing is Pricing.FLEXIBLE:
        return
    if agreement.max_amount is not None:
        if not wanted <= agreement.max_amount:
            raise LimitExceeded(
                f"price {wanted.minor} is above the {agreement.max_amount.minor} the customer agreed to "
                "(amount.exceeds.expected.chargelimit)",
                field="price",
            )
        return
    first, after = agreement.plan.window(agreement.anchor(due), due)
    taken = sum(minor for day, minor in charges if first <= day < after)
    limit = agreement.price.times(LIMIT_FACTOR)
    if taken + wanted.minor > limit.minor:
        raise LimitExceeded(
            f"price {wanted.minor} with the {taken} already charged from {first} to {after - timedelta(days=1)} is "
            f"above {limit.minor}, five times the agreement's price; raise the agreement's price first "
            "(amount.exceeds.expected.chargelimit)",
            field="price",
        )
