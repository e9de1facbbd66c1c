"""What the simulator remembers: agreements, charges, and two diaries that tests can read."""

import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

Currency = Literal["NOK", "DKK", "EUR"]
Unit = Literal["YEAR", "MONTH", "WEEK", "DAY"]
Actor = Literal["MERCHANT", "USER", "ADMIN", "VIPPS"]
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
    # Only v3 gets here: in v2 a capture takes all that is reserved.
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
    CREATION_FAIL = "creation-fail"  # a charge of a batch that was taken in, and then could not be made
    CHARGE = "charge"
    RESERVE = "reserve"
    CAPTURE = "capture"
    REFUND = "refund"
    CANCEL = "cancel"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Period:
    unit: Unit
    count: int


CampaignType = Literal["LEGACY_CAMPAIGN", "PRICE_CAMPAIGN", "PERIOD_CAMPAIGN", "EVENT_CAMPAIGN", "FULL_FLEX_CAMPAIGN"]


@dataclass(slots=True)
class Campaign:
    """v2 knows one kind, which v3 calls legacy; `period` belongs to two of the others and `event_text` to one."""

    price: int
    start: datetime
    end: datetime
    type: CampaignType = "LEGACY_CAMPAIGN"
    period: Period | None = None
    event_text: str | None = None


HistoryEvent = Literal["CREATE", "RESERVE", "CAPTURE", "REFUND", "CANCEL", "FAIL"]


@dataclass(frozen=True, slots=True)
class ChargeEvent:
    """A line of a charge's history as v3 shows it."""

    occurred: datetime
    event: HistoryEvent
    amount: int
    idempotency_key: str
    success: bool


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
    cancelled: int = 0
    external_id: str | None = None
    single_attempt: bool = False
    history: list[ChargeEvent] = field(default_factory=list)
    # What a test wants shown in place of the status, and beside the known fields.
    shown_status: str | None = None
    extra_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def visible_status(self) -> str:
        return self.shown_status or self.status


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
    interval: Unit | None  # None: pay per use, which only v3 can ask for
    interval_count: int | None
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
    currency: Currency = "NOK"
    country_code: str = "NO"
    is_flexible: bool = False
    is_app: bool = False
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    external_id: str | None = None
    payment_method: dict[str, Any] | None = None
    # What a test wants shown in place of the status, and beside the known fields.
    shown_status: str | None = None
    extra_fields: dict[str, Any] = field(default_factory=dict)

    @property
    def initial_charge(self) -> Charge | None:
        return next((charge for charge in self.charges.values() if charge.type == "INITIAL"), None)

    @property
    def is_variable(self) -> bool:
        return self.suggested_max_amount is not None

    @property
    def visible_status(self) -> str:
        return self.shown_status or self.status


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
    actor: Actor


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
