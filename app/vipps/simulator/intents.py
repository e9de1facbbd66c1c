"""What a merchant asks for, freed of the version of the API in which it was asked."""

from dataclasses import dataclass
from typing import Any

from app.vipps.simulator.models import Campaign, Currency, Period


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInitialCharge:
    amount: int
    description: str
    reserve_only: bool
    order_id: str | None
    external_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAgreement:
    """`price` belongs to ordinary pricing, `suggested_max_amount` to variable; flexible pricing has neither."""

    currency: Currency
    price: int | None
    suggested_max_amount: int | None
    is_flexible: bool = False
    interval: Period | None
    product_name: str
    product_description: str
    agreement_url: str
    redirect_url: str
    is_app: bool
    skip_landing_page: bool
    phone: str | None
    scope: str | None
    campaign: Campaign | None
    initial_charge: NewInitialCharge | None
    external_id: str | None = None
    country_code: str | None = None
    payment_method: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementChange:
    """None leaves a thing as it is, but for the campaign: whether it changes is said apart, so that it can go."""

    product_name: str | None = None
    product_description: str | None = None
    agreement_url: str | None = None
    external_id: str | None = None
    price: int | None = None
    suggested_max_amount: int | None = None
    changes_campaign: bool = False
    campaign: Campaign | None = None
    changes_interval: bool = False
    interval: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCharge:
    """Without a currency the agreement's is meant."""

    amount: int
    currency: Currency | None
    description: str
    due: str  # as it was written
    retry_days: int
    order_id: str | None
    external_id: str | None = None
    reserve_only: bool = False
    single_attempt: bool = False
