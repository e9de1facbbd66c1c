"""The tables. Rows do not validate; the rules live in the domain, and repositories map between the two.

Every row carries its shop (Saleor's API URL), the tenant. Times are UTC, amounts are minor units.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Dialect,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on every database; SQLite would hand back a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must know its time zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> Any:
    return Field(primary_key=True, sa_type=String(36))


def _text(length: int, *, null: bool = False, index: bool = False) -> Any:
    return Field(sa_type=String(length), nullable=null, index=index, default=None if null else ...)


def _long(*, null: bool = False) -> Any:
    return Field(sa_type=Text, nullable=null, default=None if null else ...)


def _time(*, null: bool = False) -> Any:
    return Field(sa_type=UtcDateTime, nullable=null, default=None if null else ...)


def _minor(*, null: bool = False) -> Any:
    return Field(sa_type=BigInteger, nullable=null, default=None if null else ...)


def _defaulted(length: int, default: str) -> Any:
    """A column that came later: rows from before hold the default."""
    return Field(sa_type=String(length), nullable=False, sa_column_kwargs={"server_default": default})


SHOP = 255
# Texts that stand for something and are never read by people: compared byte by byte, which is quicker.
_BYTEWISE = String(160).with_variant(String(160, collation="C"), "postgresql")


class InstallationRow(SQLModel, table=True):
    __tablename__ = "installation"
    shop: str = Field(primary_key=True, sa_type=String(SHOP))
    app_id: str = _text(256)
    token_sealed: str | None = _long(null=True)
    jwks: str | None = _long(null=True)
    saleor_version: str | None = _text(60, null=True)
    installed_at: datetime = _time()
    active: bool = Field(sa_type=Boolean, nullable=False)
    shop_name: str | None = _text(100, null=True)


class AccountRow(SQLModel, table=True):
    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("shop", "channel", name="uq_account_shop_channel"),)
    id: str = _id()
    shop: str = _text(SHOP)
    channel: str = _text(255)
    environment: str = _text(4)
    msn: str = _text(20)
    client_id: str = _text(128)
    client_secret_sealed: str | None = _long(null=True)
    subscription_key_sealed: str | None = _long(null=True)
    api_version: str = _text(4)
    retry_days: int = Field(sa_type=Integer, nullable=False)
    lead_days: int = Field(sa_type=Integer, nullable=False)
    agreement_url: str | None = _text(1024, null=True)
    time_zone: str = _defaulted(64, "Europe/Oslo")
    dunning: dict[str, Any] | None = Field(default=None, sa_type=JSON, nullable=True)
    reserve_initial: bool = Field(sa_type=Boolean, nullable=False, sa_column_kwargs={"server_default": text("false")})
    complete_when_paid: bool = Field(sa_type=Boolean, nullable=False, sa_column_kwargs={"server_default": text("true")})
    price_notice_days: int = Field(sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "14"})
    notify_url: str | None = _text(1024, null=True)
    notify_secret_sealed: str | None = _long(null=True)


_BEGUN = text("initial_order IS NOT NULL")
_STOPPED = text("stop IS NOT NULL")


class AgreementRow(SQLModel, table=True):
    __tablename__ = "agreement"
    __table_args__ = (
        # An agreement belongs to one shop, even where two shops share a merchant account.
        UniqueConstraint("environment", "agreement_id", name="uq_agreement_environment_id"),
        # One open draft of a sort: whoever asks again is shown the first one's URL.
        UniqueConstraint("shop", "slot", name="uq_agreement_shop_slot"),
        Index("ix_agreement_name", "shop", "agreement_id"),
        Index("ix_agreement_shop_created", "shop", "created_at", "id"),
        Index("ix_agreement_shop_customer", "shop", "customer", "created_at"),
        Index("ix_agreement_status", "shop", "status", "currency"),
        Index("ix_agreement_stopped", "shop", "stop", sqlite_where=_STOPPED, postgresql_where=_STOPPED),
        Index("ix_agreement_order", "shop", "initial_order", sqlite_where=_BEGUN, postgresql_where=_BEGUN),
        Index(
            "ix_agreement_unsettled",
            "checked_at",
            sqlite_where=text("status IN ('NEW', 'PENDING')"),
            postgresql_where=text("status IN ('NEW', 'PENDING')"),
        ),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    environment: str = _text(4)
    agreement_id: str | None = _text(64, null=True)
    customer: str | None = _text(256, null=True)
    initial_order: str | None = _text(256, null=True)
    slot: str | None = _text(160, null=True)
    idempotency_key: str = _text(40)
    pricing: str = _defaulted(8, "LEGACY")
    interval_unit: str = _text(5)
    interval_count: int = Field(sa_type=Integer, nullable=False)
    price: int = _minor()
    currency: str = _text(3)
    campaign_price: int | None = _minor(null=True)
    campaign_start: datetime | None = _time(null=True)
    campaign_end: datetime | None = _time(null=True)
    max_amount: int | None = _minor(null=True)
    product_name: str = _text(100)
    product_description: str = _text(255)
    status: str = _text(20)
    confirmation_url: str | None = _long(null=True)
    start: datetime | None = _time(null=True)
    stop: datetime | None = _time(null=True)
    failure: str | None = _long(null=True)
    stopped_by: str | None = _text(20, null=True)
    checked_at: datetime | None = _time(null=True)
    return_url: str | None = _text(1024, null=True)
    link_number: int = Field(sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "0"})
    created_at: datetime = _time()


_OPEN_CHARGE = text("status IN ('NEW', 'PENDING', 'DUE', 'PROCESSING', 'RESERVED', 'PARTIALLY_CAPTURED', 'UNKNOWN')")
_RENAMED = text("charge_id <> order_id")  # Vipps calls nearly all charges by the order id that they were made with
_ORDER_CHARGE = text("saleor_order IS NOT NULL")
_IN_BATCH = text("batch_id IS NOT NULL")
_TOLD = text("saleor_transaction IS NOT NULL")
_DEAD = text("dead IS NOT NULL")
_SETTLED = text("settled_at IS NOT NULL")
_REFUNDED = text("refunded_at IS NOT NULL")
# What Saleor has not been shown: `Charge.in_saleor` and `Charge.shown`, in the very words of the index.
UNSHOWN = text(
    "(saleor_order IS NOT NULL OR saleor_transaction IS NOT NULL) AND status <> 'NEW' AND (reported IS NULL OR "
    "reported <> status || '/' || CAST(captured AS VARCHAR) || '/' || CAST(refunded AS VARCHAR) || '/' || "
    "CAST(cancelled AS VARCHAR))"
)


class ChargeRow(SQLModel, table=True):
    __tablename__ = "charge"
    __table_args__ = (
        # What may be charged once: an order, a client's order id, an identical request.
        UniqueConstraint("shop", "slot", name="uq_charge_shop_slot"),
        UniqueConstraint("shop", "agreement_id", "charge_id", name="uq_charge_shop_agreement_id"),
        Index("ix_charge_shop_agreement_due", "shop", "agreement_id", "due"),
        Index("ix_charge_shop_due", "shop", "due", "id"),
        Index("ix_charge_shop_status_due", "shop", "status", "due", "id"),
        Index("ix_charge_shop_name", "shop", "order_id"),
        Index("ix_charge_renamed", "shop", "charge_id", sqlite_where=_RENAMED, postgresql_where=_RENAMED),
        Index("ix_charge_open", "next_attempt_at", sqlite_where=_OPEN_CHARGE, postgresql_where=_OPEN_CHARGE),
        Index("ix_charge_order", "shop", "saleor_order", sqlite_where=_ORDER_CHARGE, postgresql_where=_ORDER_CHARGE),
        Index("ix_charge_transaction", "shop", "saleor_transaction", sqlite_where=_TOLD, postgresql_where=_TOLD),
        Index("ix_charge_batch", "batch_id", sqlite_where=_IN_BATCH, postgresql_where=_IN_BATCH),
        # In the very order in which the sweeper reads: without it PostgreSQL reads every charge.
        Index("ix_charge_unshown", text("lease_until NULLS FIRST"), sqlite_where=UNSHOWN, postgresql_where=UNSHOWN),
        Index("ix_charge_dead", "shop", "created_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
        # The overview's sums are read from these two alone.
        Index(
            "ix_charge_settled",
            "shop",
            "settled_at",
            sqlite_where=_SETTLED,
            postgresql_where=_SETTLED,
            postgresql_include=["currency", "status", "captured", "amount"],
        ),
        Index(
            "ix_charge_refunded",
            "shop",
            "refunded_at",
            sqlite_where=_REFUNDED,
            postgresql_where=_REFUNDED,
            postgresql_include=["currency", "refunded"],
        ),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    agreement_id: str = _text(64)
    order_id: str = _text(64)
    charge_id: str | None = _text(64, null=True)
    idempotency_key: str = _text(40)
    slot: str | None = _text(160, null=True)
    origin: str = _text(10)
    actor: str = _text(320)
    saleor_order: str | None = _text(256, null=True)
    amount: int = _minor()
    currency: str = _text(3)
    transaction_type: str = _defaulted(20, "DIRECT_CAPTURE")
    captured: int = _minor()
    refunded: int = _minor()
    cancelled: int = Field(sa_type=BigInteger, nullable=False, sa_column_kwargs={"server_default": "0"})
    description: str = _text(255)
    due: date = Field(sa_type=Date, nullable=False)
    retry_days: int = Field(sa_type=Integer, nullable=False)
    status: str = _text(20)
    failure_code: str | None = _text(120, null=True)
    failure: str | None = _long(null=True)
    transaction_id: str | None = _text(64, null=True)
    api_version: str | None = _text(4, null=True)
    batch_id: str | None = _text(36, null=True)
    accepted_at: datetime | None = _time(null=True)
    sent_at: datetime | None = _time(null=True)
    withdrawn: str | None = _long(null=True)
    attempts: int = Field(sa_type=Integer, nullable=False)
    failures: int = Field(sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "0"})
    next_attempt_at: datetime | None = _time(null=True)
    lease_until: datetime | None = _time(null=True)
    dead: str | None = _long(null=True)
    reported: str | None = _text(100, null=True)
    saleor_transaction: str | None = _text(256, null=True)
    happened_at: datetime | None = _time(null=True)
    settled_at: datetime | None = _time(null=True)
    refunded_at: datetime | None = _time(null=True)
    created_at: datetime = _time()


_OPEN = text("status = 'OPEN'")


class OperationRow(SQLModel, table=True):
    __tablename__ = "operation"
    __table_args__ = (
        UniqueConstraint("shop", "slot", name="uq_operation_shop_slot"),
        UniqueConstraint("shop", "lock", name="uq_operation_shop_lock"),
        Index("ix_operation_open", "next_attempt_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_operation_object", "shop", "agreement_id", "charge_id"),
        Index("ix_operation_dead", "shop", "created_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    kind: str = _text(10)
    agreement_id: str = _text(64)
    charge_id: str | None = _text(64, null=True)
    idempotency_key: str = _text(40)
    slot: str | None = _text(160, null=True)
    lock: str | None = _text(160, null=True)
    request: dict[str, Any] = Field(sa_type=JSON, nullable=False)
    status: str = _text(10)
    actor: str = _text(320)
    api_version: str | None = _text(4, null=True)
    attempts: int = Field(sa_type=Integer, nullable=False)
    next_attempt_at: datetime | None = _time(null=True)
    lease_until: datetime | None = _time(null=True)
    dead: str | None = _long(null=True)
    failure_code: str | None = _text(120, null=True)
    failure: str | None = _long(null=True)
    created_at: datetime = _time()


_WAITING = text("status = 'WAITING'")
_GIVEN_UP = text("status = 'DEAD'")


class InboxRow(SQLModel, table=True):
    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("shop", "source", "event_key", name="uq_inbox_event"),
        Index("ix_inbox_waiting", "next_attempt_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_inbox_dead", "shop", "received_at", sqlite_where=_GIVEN_UP, postgresql_where=_GIVEN_UP),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    source: str = _text(10)
    event: str = _text(60)
    event_key: str = _text(160)
    body: str = _long()
    status: str = _text(10)
    attempts: int = Field(sa_type=Integer, nullable=False)
    next_attempt_at: datetime = _time()
    lease_until: datetime | None = _time(null=True)
    result: str | None = _long(null=True)
    received_at: datetime = _time()
    handled_at: datetime | None = _time(null=True)


class ApiClientRow(SQLModel, table=True):
    __tablename__ = "api_client"
    id: str = _id()
    shop: str = _text(SHOP, index=True)
    name: str = _text(120)
    secret_hash: str = _text(64)
    scopes: str = _text(255)
    created_at: datetime = _time()
    revoked_at: datetime | None = _time(null=True)
    used_at: datetime | None = _time(null=True)


# What the app does by itself, or on an event of Vipps' or Saleor's, is by far the most.
BY_PEOPLE = text("actor NOT LIKE 'system%' AND actor NOT LIKE 'vipps%' AND actor NOT LIKE 'saleor%'")


class AuditRow(SQLModel, table=True):
    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_object", "shop", "object_id", "id"),
        Index("ix_audit_shop", "shop", "id"),
        Index("ix_audit_people", "shop", "id", sqlite_where=BY_PEOPLE, postgresql_where=BY_PEOPLE),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    shop: str = _text(SHOP)
    actor: str = _text(320)
    action: str = _text(60)
    object_id: str = _text(256)
    before: str = _long()
    after: str = _long()
    reason: str = _long()
    at: datetime = _time()


class WebhookRow(SQLModel, table=True):
    """A registration of ours at Vipps; more than one of an account while its secret is being renewed."""

    __tablename__ = "webhook"
    __table_args__ = (Index("ix_webhook_account", "account_id"),)
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    registration_id: str = _text(64)
    url: str = _text(1024)
    secret_sealed: str = _long()
    created_at: datetime = _time()
    retired_at: datetime | None = _time(null=True)


class CallRow(SQLModel, table=True):
    """One call to Vipps: writes, and reads that failed. No secret and no person's data in it."""

    __tablename__ = "call"
    __table_args__ = (
        Index("ix_call_agreement", "shop", "agreement_id", "at"),
        Index("ix_call_at", "at"),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    operation: str = _text(40)
    method: str = _text(10)
    path: str = _long()
    status: int | None = Field(default=None, sa_type=Integer, nullable=True)
    milliseconds: int = Field(sa_type=Integer, nullable=False)
    agreement_id: str | None = _text(64, null=True)
    charge_id: str | None = _text(64, null=True)
    idempotency_key: str | None = _text(40, null=True)
    context_id: str | None = _text(120, null=True)
    request: str = _long()
    answer: str = _long()
    at: datetime = _time()


class FindingRow(SQLModel, table=True):
    """Where our books and Vipps' differed when they were last compared; replaced as a whole by the next comparison."""

    __tablename__ = "finding"
    __table_args__ = (Index("ix_finding_account", "shop", "account_id"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    kind: str = _text(30)
    agreement_id: str = _text(64)
    charge_id: str | None = _text(64, null=True)
    ours: str = _long()
    theirs: str = _long()
    repaired: bool = Field(sa_type=Boolean, nullable=False)
    found_at: datetime = _time()


class AllowanceRow(SQLModel, table=True):
    """The calls of the last minute under a rate limit that all processes share: `used` is [slot, calls] pairs.

    Belongs to a merchant serial number, not to a shop: shops that share one share its limits.
    """

    __tablename__ = "allowance"
    bucket: str = Field(primary_key=True, sa_type=String(120))
    used: list[list[int]] = Field(sa_type=JSON, nullable=False)
    blocked_until: datetime | None = _time(null=True)


class WorkerRow(SQLModel, table=True):
    """A sign of life of each process that runs jobs."""

    __tablename__ = "worker"
    id: str = _id()
    seen_at: datetime = _time()


class SessionRow(SQLModel, table=True):
    """A payment that a shopper began in Saleor; `id` is Saleor's id of its transaction."""

    __tablename__ = "payment_session"
    __table_args__ = (
        Index("ix_payment_session_agreement", "shop", "agreement_row", "created_at"),
        Index(
            "ix_payment_session_unstarted",
            "created_at",
            sqlite_where=text("NOT started"),
            postgresql_where=text("NOT started"),
        ),
    )
    shop: str = Field(primary_key=True, sa_type=String(SHOP))
    id: str = Field(primary_key=True, sa_type=String(256))
    account_id: str = _text(36)
    agreement_row: str = _text(36)
    action: str = _text(20)
    amount: int = _minor()
    currency: str = _text(3)
    source: str = _text(256)
    trial: str | None = _text(20, null=True)
    order: str | None = _text(256, null=True)
    started: bool = Field(sa_type=Boolean, nullable=False)
    created_at: datetime = _time()


class ReportRow(SQLModel, table=True):
    """What a transaction of Saleor's has to be told, once."""

    __tablename__ = "report"
    __table_args__ = (
        Index("ix_report_transaction", "shop", "transaction", "created_at"),
        Index("ix_report_waiting", "next_attempt_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_report_dead", "shop", "created_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    transaction: str = _text(256)
    psp_reference: str = _text(255)
    type: str = _text(40)
    amount: int = _minor()
    currency: str = _text(3)
    occurred_at: datetime = _time()
    message: str = _long()
    actions: str = _text(60)
    status: str = _text(10)
    attempts: int = Field(sa_type=Integer, nullable=False)
    next_attempt_at: datetime | None = _time(null=True)
    lease_until: datetime | None = _time(null=True)
    failure: str | None = _long(null=True)
    dead: str | None = _long(null=True)
    created_at: datetime = _time()


_LIVE = text("status != 'ENDED'")


class SubscriptionRow(SQLModel, table=True):
    """What is renewed on an agreement; `id` is the agreement's row. `subscriber_sealed` is a person's data.

    `price` is the agreement's, and `alike` is the same text for all that are renewed on the same days: together they
    let an index alone tell what all of a shop's subscriptions come to.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        UniqueConstraint("shop", "agreement_id", name="uq_subscription_shop_agreement"),
        Index("ix_subscription_due", "account_id", "next_due", "id", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_subscription_shop", "shop", "id"),
        Index("ix_subscription_alike", "shop", "status", "price", "alike"),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    agreement_id: str = _text(64)
    customer: str | None = _text(256, null=True)
    channel: str = _text(255)
    channel_id: str = _text(256)
    currency: str = _text(3)
    initial_order: str = _text(256)
    initial_number: str | None = _text(40, null=True)
    alike: str = Field(sa_type=_BYTEWISE, nullable=False)
    price: int | None = _minor(null=True)
    lines: list[dict[str, Any]] = Field(sa_type=JSON, nullable=False)
    interval_unit: str = _text(5)
    interval_count: int = Field(sa_type=Integer, nullable=False)
    anchor: date = Field(sa_type=Date, nullable=False)
    first_period: int = Field(sa_type=Integer, nullable=False)
    next_period: int = Field(sa_type=Integer, nullable=False)
    next_due: date = Field(sa_type=Date, nullable=False)
    status: str = _text(10)
    shipping_method: str | None = _text(256, null=True)
    voucher: str | None = _text(255, null=True)
    voucher_policy: str = _text(10)
    paused_until: date | None = Field(default=None, sa_type=Date, nullable=True)
    ends_on: date | None = Field(default=None, sa_type=Date, nullable=True)
    price_change: dict[str, Any] | None = Field(default=None, sa_type=JSON, nullable=True)
    reason: str | None = _long(null=True)
    subscriber_sealed: str | None = _long(null=True)
    version: int = Field(sa_type=Integer, nullable=False)
    created_at: datetime = _time()


_NUMBERED = text("order_number IS NOT NULL")
_FAILED_ONCE = text("failed_on IS NOT NULL")
_WITH_REASON = text("reason IS NOT NULL")
_UNFINISHED = text("status NOT IN ('PAID', 'SKIPPED', 'FAILED')")


class RenewalRow(SQLModel, table=True):
    """One period of a subscription."""

    __tablename__ = "renewal"
    __table_args__ = (
        UniqueConstraint("shop", "subscription_id", "period", name="uq_renewal_period"),
        Index("ix_renewal_open", "next_attempt_at", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        Index("ix_renewal_status", "shop", "status", "due", "id", postgresql_include=["reason"]),
        Index("ix_renewal_due", "shop", "due", "id", postgresql_include=["status", "reason", "currency", "amount"]),
        Index(
            "ix_renewal_reason",
            "shop",
            "reason",
            "due",
            "id",
            sqlite_where=_WITH_REASON,
            postgresql_where=_WITH_REASON,
        ),
        Index("ix_renewal_charge", "shop", "charge_row"),
        Index("ix_renewal_order", "shop", "order"),
        Index("ix_renewal_number", "shop", "order_number", sqlite_where=_NUMBERED, postgresql_where=_NUMBERED),
        Index("ix_renewal_failed", "shop", "failed_on", sqlite_where=_FAILED_ONCE, postgresql_where=_FAILED_ONCE),
        Index("ix_renewal_dead", "shop", "created_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    subscription_id: str = _text(36)
    agreement_id: str = _text(64)
    period: int = Field(sa_type=Integer, nullable=False)
    due: date = Field(sa_type=Date, nullable=False)
    status: str = _text(10)
    reason: str | None = _text(30, null=True)
    reason_text: str | None = _long(null=True)
    order: str | None = _text(256, null=True)
    order_number: str | None = _text(40, null=True)
    amount: int | None = _minor(null=True)
    agreed: int | None = _minor(null=True)
    currency: str | None = _text(3, null=True)
    charge_row: str | None = _text(36, null=True)
    attempt: int = Field(sa_type=Integer, nullable=False)
    failed_on: date | None = Field(default=None, sa_type=Date, nullable=True)
    hindered_on: date | None = Field(default=None, sa_type=Date, nullable=True)
    attempts: int = Field(sa_type=Integer, nullable=False)
    failures: int = Field(sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "0"})
    next_attempt_at: datetime | None = _time(null=True)
    lease_until: datetime | None = _time(null=True)
    dead: str | None = _long(null=True)
    created_at: datetime = _time()


class RecoveryRow(SQLModel, table=True):
    """A failed period that its customer pays by a new agreement; `id` is that agreement's row id."""

    __tablename__ = "recovery"
    __table_args__ = (
        UniqueConstraint("shop", "renewal_id", "number", name="uq_recovery_number"),
        # A subscription has one open draft, whichever of its periods somebody wants to pay.
        Index("uq_recovery_open", "shop", "subscription_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    subscription_id: str = _text(36)
    renewal_id: str = _text(36)
    number: int = Field(sa_type=Integer, nullable=False)
    amount: int = _minor()
    currency: str = _text(3)
    status: str = _text(10)
    resume_at: datetime | None = _time(null=True)
    created_at: datetime = _time()


class DayTotalRow(SQLModel, table=True):
    """What a day that is over came to where the merchant is, so that nobody adds up its charges again.

    `sums` and `alive` (agreements at the day's end, where somebody counted) are by currency. A row may be deleted at
    any time: the night makes it anew, and until then its charges are added up.
    """

    __tablename__ = "day_total"
    shop: str = Field(primary_key=True, sa_type=String(SHOP))
    day: date = Field(primary_key=True, sa_type=Date)
    zone: str = _text(64)
    sums: dict[str, list[int]] = Field(sa_type=JSON, nullable=False)
    alive: dict[str, int] | None = Field(default=None, sa_type=JSON, nullable=True)


class NoticeRow(SQLModel, table=True):
    """News for the shop's own endpoint: ids and amounts, nothing of a person."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("ix_notice_waiting", "next_attempt_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_notice_dead", "shop", "created_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
    )
    id: str = _id()
    shop: str = _text(SHOP)
    account_id: str = _text(36)
    kind: str = _text(40)
    subscription_id: str = _text(36)
    data: dict[str, Any] = Field(sa_type=JSON, nullable=False)
    status: str = _text(10)
    attempts: int = Field(sa_type=Integer, nullable=False)
    next_attempt_at: datetime | None = _time(null=True)
    lease_until: datetime | None = _time(null=True)
    dead: str | None = _long(null=True)
    created_at: datetime = _time()
