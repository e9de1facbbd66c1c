"""What the simulator remembers: agreements, charges, and two diaries that tests can read."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

FailureReason = Literal["user_action_required", "charge_amount_too_high", "non_technical_error", "technical_error"]


class AgreementStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STOPPED = "STOPPED"
    EXPIRED = "EXPIRED"


class ChargeStatus(StrEnum):
    PENDING = "PENDING"
    DUE = "DUE"
    PROCESSING = "PROCESSING"
    RESERVED = "RESERVED"
    CHARGED = "CHARGED"
    # Listed by Vipps; out of reach in v2, where a capture takes all that is reserved.
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


class Effect(StrEnum):
    """The kinds of change the ledger tells apart; `charge` is money taken, `create` only plans it."""

    DRAFT = "draft"
    UPDATE = "update"
    ACTIVATE = "activate"
    REJECT = "reject"
    EXPIRE = "expire"
    STOP = "stop"
    CREATE = "create"
    CHARGE = "charge"
    RESERVE = "reserve"
    CAPTURE = "capture"
    REFUND = "refund"
    CANCEL = "cancel"
    FAIL = "fail"


@dataclass(slots=True)
class Campaign:
    price: int
    start: datetime
    end: datetime


@dataclass(slots=True)
class Charge:
    id: str
    type: Literal["INITIAL", "RECURRING"]
    amount: int
    description: str
    due: date
    status: ChargeStatus
    order_id: str | None = None
    retry_days: int = 0
    reserve_only: bool = False
    captured: int = 0
    refunded: int = 0
    reserved_at: datetime | None = None
    captured_at: datetime | None = None
    transaction_id: str | None = None
    failure_reason: FailureReason | None = None
    failure_description: str | None = None


@dataclass(slots=True)
class Agreement:
    id: str
    msn: str
    approval_token: str = field(repr=False)
    created: datetime
    expires: datetime
    product_name: str
    product_description: str
    price: int
    interval: str
    interval_count: int
    merchant_agreement_url: str
    merchant_redirect_url: str
    scope: str | None = None
    campaign: Campaign | None = None
    suggested_max_amount: int | None = None
    max_amount: int | None = None
    status: AgreementStatus = AgreementStatus.PENDING
    start: datetime | None = None
    stop: datetime | None = None
    sub: str | None = None
    # What the user's bank says to every payment, until told otherwise.
    payment_failure: FailureReason | None = None
    charges: dict[str, Charge] = field(default_factory=dict)
    # Recurring money asked for, by interval counted from the start: spares a scan for each new charge.
    interval_totals: dict[int, int] = field(default_factory=dict)

    @property
    def initial_charge(self) -> Charge | None:
        return next((charge for charge in self.charges.values() if charge.type == "INITIAL"), None)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One effect, in the order in which effects happened."""

    number: int
    at: datetime
    effect: Effect
    msn: str
    agreement_id: str
    charge_id: str | None
    order_id: str | None
    amount: int | None
    idempotency_key: str | None
    actor: Literal["MERCHANT", "USER", "VIPPS"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One API request as it came in, without the values of secret headers."""

    at: datetime
    operation: str
    method: str
    path: str
    query: str
    header_names: tuple[str, ...]
    idempotency_key: str | None
    vipps_system: dict[str, str]
    body_sha256: str
    status: int | None  # None: the connection was left without an answer
    fault: str | None
