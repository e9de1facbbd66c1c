"""The simulator's knobs: who may call it and which of Vipps' numbers it enforces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from app.vipps.simulator.models import Currency

ErrorStyle = Literal["documented", "array", "azure", "problem", "text", "empty"]


@dataclass(frozen=True, slots=True)
class MerchantCredentials:
    """One sales unit, the keys that open it, and the currency of its market, which is the only one it may use."""

    msn: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)
    currency: Currency = "NOK"


DEFAULT_MERCHANT = MerchantCredentials(
    msn="123456",
    client_id="5a1b7f0e-0000-4000-8000-000000000001",
    client_secret="simulated-client-secret",  # noqa: S106  # opens nothing but this simulator
    subscription_key="simulated-subscription-key",
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `per_minute` calls that agree in what `counted_by` names; both versions count together.

    Operations with the same `bucket` share a limit.
    """

    per_minute: int
    counted_by: Literal["merchant", "agreement", "charge", "key"]
    bucket: str | None = None


DOCUMENTED_RATE_LIMITS: Mapping[str, tuple[RateLimit, ...]] = MappingProxyType(
    {
        "createCharge": (RateLimit(2, "key"), RateLimit(500, "merchant", "creations")),
        "createCharges": (RateLimit(500, "merchant", "creations"),),
        "cancelCharge": (RateLimit(5, "charge"),),
        "captureCharge": (RateLimit(5, "charge"),),
        "refundCharge": (RateLimit(5, "charge"),),
        "listAgreements": (RateLimit(5, "merchant"),),
        "updateAgreement": (RateLimit(5, "agreement"),),
        "getCharge": (RateLimit(10, "charge"),),
        "getChargeById": (RateLimit(100, "merchant"),),
        "listCharges": (RateLimit(10, "agreement"),),
        "getAgreement": (RateLimit(120, "agreement"),),
        "draftAgreement": (RateLimit(300, "merchant"),),
    }
)


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Every default is the newest documented value that fits the test environment.

    The last group can be changed while the simulator runs: see `Simulator.knobs`.
    """

    merchants: tuple[MerchantCredentials, ...] = (DEFAULT_MERCHANT,)
    public_url: str | None = None  # None: the address under which the caller reached us
    due_lead_days: int = 1
    max_due_years: int = 2
    visible_days: int = 30
    pending_ttl: timedelta = timedelta(seconds=600)
    limit_factor: int = 5
    capture_days: int = 180
    refund_days: int = 365
    max_retry_days: int = 14
    batch_hours: tuple[int, ...] = (7, 15)
    retry_status: Literal["DUE", "PROCESSING"] = "DUE"
    token_seconds: int = 3600
    latency: float = 0.0
    rate_limits: Mapping[str, tuple[RateLimit, ...]] = field(default_factory=lambda: DOCUMENTED_RATE_LIMITS)
    allow_skip_landing_page: bool = False
    allow_localhost_urls: bool = False
    allow_full_flex_campaign: bool = False
    error_style: ErrorStyle = "documented"
    seed: int = 0
    keep_requests: int = 50_000
    keep_deliveries: int = 50_000
    max_batch: int = 2000
    max_registrations: int = 25  # for each event type and sales unit

    rate_limits_on: bool = False
    strict_fields: bool = True
    forced_202: bool = False
    accepted_delay: timedelta = timedelta()
    batch_delay: timedelta = timedelta()
    repeated_stop_ok: bool = False
    v2_draft_keys: bool = False
    require_https: bool = False

    def __post_init__(self) -> None:
        if not self.merchants:
            raise ValueError("The simulator needs at least one merchant.")
        if not self.batch_hours or list(self.batch_hours) != sorted(set(self.batch_hours)):
            raise ValueError("Batch hours must be given once each, in order.")
        for name in ("msn", "client_id", "subscription_key"):
            if len({getattr(merchant, name) for merchant in self.merchants}) != len(self.merchants):
                raise ValueError(f"Two merchants share the same {name}.")
