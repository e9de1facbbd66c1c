"""The simulator's knobs: who may call it and which of Vipps' numbers it enforces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

ErrorStyle = Literal["documented", "array", "azure", "problem", "text", "empty"]


@dataclass(frozen=True, slots=True)
class MerchantCredentials:
    """One sales unit and the keys that open it."""

    msn: str
    client_id: str
    client_secret: str = field(repr=False)
    subscription_key: str = field(repr=False)


DEFAULT_MERCHANT = MerchantCredentials(
    msn="123456",
    client_id="5a1b7f0e-0000-4000-8000-000000000001",
    client_secret="simulated-client-secret",  # noqa: S106  # opens nothing but this simulator
    subscription_key="simulated-subscription-key",
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `per_minute` calls that agree in what `counted_by` names."""

    per_minute: int
    counted_by: Literal["merchant", "agreement", "charge", "key"]


DOCUMENTED_RATE_LIMITS: Mapping[str, tuple[RateLimit, ...]] = MappingProxyType(
    {
        "createCharge": (RateLimit(2, "key"), RateLimit(500, "merchant")),
        "cancelCharge": (RateLimit(5, "charge"),),
        "captureCharge": (RateLimit(5, "charge"),),
        "refundCharge": (RateLimit(5, "charge"),),
        "listAgreements": (RateLimit(5, "merchant"),),
        "updateAgreement": (RateLimit(5, "agreement"),),
        "getCharge": (RateLimit(10, "charge"),),
        "listCharges": (RateLimit(10, "agreement"),),
        "getAgreement": (RateLimit(120, "agreement"),),
        "draftAgreement": (RateLimit(300, "merchant"),),
    }
)


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """Every default is the newest documented value that fits the test environment of v2."""

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
    rate_limits_on: bool = False
    rate_limits: Mapping[str, tuple[RateLimit, ...]] = field(default_factory=lambda: DOCUMENTED_RATE_LIMITS)
    allow_skip_landing_page: bool = False
    allow_localhost_urls: bool = False
    error_style: ErrorStyle = "documented"
    seed: int = 0
    keep_requests: int = 50_000

    def __post_init__(self) -> None:
        if not self.merchants:
            raise ValueError("The simulator needs at least one merchant.")
        if not self.batch_hours or list(self.batch_hours) != sorted(set(self.batch_hours)):
            raise ValueError("Batch hours must be given once each, in order.")
        for name in ("msn", "client_id", "subscription_key"):
            if len({getattr(merchant, name) for merchant in self.merchants}) != len(self.merchants):
                raise ValueError(f"Two merchants share the same {name}.")
