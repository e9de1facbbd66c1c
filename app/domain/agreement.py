"""An agreement: a customer's consent to be charged, its states and what may be asked of it."""

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from app.domain.errors import IllegalState, InvalidInput
from app.domain.money import Money
from app.domain.plan import Plan

PRODUCT_NAME_MAX = 45
PRODUCT_DESCRIPTION_MAX = 100
URL_MAX = 1024
AMOUNT_MAX = 2**31 - 1  # an int32 on the wire (facts: VIPPS 4.1, 4.5)
DRAFT_LIFE = timedelta(minutes=10)  # facts: VIPPS 6.8
LIKE_SLOT = "like/"
_PHONE = re.compile(r"[0-9]{8,15}")


class AgreementStatus(StrEnum):
    """Vipps' statuses, plus NEW (stored, not known to Vipps yet), REJECTED (Vipps refused the draft) and UNKNOWN."""

    NEW = "NEW"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STOPPED = "STOPPED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @property
    def final(self) -> bool:
        return self in {AgreementStatus.STOPPED, AgreementStatus.EXPIRED, AgreementStatus.REJECTED}


# Which statuses may be seen after which; skipping ahead is legal, going back is not (facts: VIPPS 7.1, 16.2).
_NEXT: dict[AgreementStatus, frozenset[AgreementStatus]] = {
    AgreementStatus.NEW: frozenset(AgreementStatus) - {AgreementStatus.NEW, AgreementStatus.UNKNOWN},
    AgreementStatus.PENDING: frozenset({AgreementStatus.ACTIVE, AgreementStatus.STOPPED, AgreementStatus.EXPIRED}),
    AgreementStatus.ACTIVE: frozenset({AgreementStatus.STOPPED}),
    AgreementStatus.STOPPED: frozenset(),
    AgreementStatus.EXPIRED: frozenset(),
    AgreementStatus.REJECTED: frozenset(),
    AgreementStatus.UNKNOWN: frozenset(AgreementStatus) - {AgreementStatus.NEW, AgreementStatus.UNKNOWN},
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """A reduced price until `end`; it charges nothing by itself (facts: VIPPS 6.6)."""

    price: Money
    end: datetime
    start: datetime | None = None


class TransactionType(StrEnum):
    DIRECT_CAPTURE = "DIRECT_CAPTURE"
    RESERVE_CAPTURE = "RESERVE_CAPTURE"


class Pricing(StrEnum):
    """What limits a charge: five times the price, the customer's own maximum, or nothing (facts: VIPPS 6.5)."""

    LEGACY = "LEGACY"
    VARIABLE = "VARIABLE"
    FLEXIBLE = "FLEXIBLE"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our mapping of one Vipps agreement to a shop, a customer and an account.

    `customer` is Saleor's user id; None where the agreement was made outside this app and nobody may claim it.
    `slot` is what may be drafted once at a time; `stopped_by` is who Vipps says stopped it: MERCHANT, USER or ADMIN.
    `link_number` is what its customer's links are signed with besides its id: another number, and they open nothing.
    `return_url` is where the customer is sent on to after deciding, None where Vipps leads there itself.
    """

    id: str
    shop: str
    account_id: str
    environment: str
    idempotency_key: str
    plan: Plan
    price: Money
    product_name: str
    product_description: str
    status: AgreementStatus
    created_at: datetime
    agreement_id: str | None = None
    customer: str | None = None
    initial_order: str | None = None
    slot: str | None = None
    pricing: Pricing = Pricing.LEGACY
    campaign: Campaign | None = None
    max_amount: Money | None = None
    confirmation_url: str | None = None
    start: datetime | None = None
    stop: datetime | None = None
    failure: str | None = None
    stopped_by: str | None = None
    checked_at: datetime | None = None
    link_number: int = 0
    return_url: str | None = field(default=None, repr=False)

    def see(self, status: AgreementStatus) -> "Agreement":
        """Apply an observed status: forward, or not at all. Equal to self where nothing changed."""
        return replace(self, status=status) if status in _NEXT[self.status] else self

    def freed(self) -> "Agreement":
        """Give up the slot of a draft that came to nothing: the same may be asked for again.

        A caller's own key is kept: the same key gives the same agreement, whatever became of it.
        """
        return replace(self, slot=None) if self.status.final and (self.slot or "").startswith(LIKE_SLOT) else self

    def alive(self, now: datetime) -> bool:
        """Whether asking for the same again means this one: a draft, or what was approved a moment ago.

        How long a draft lives counts from when Vipps made it, which only Vipps knows for sure (facts: VIPPS 6.8).
        """
        if self.status in {AgreementStatus.NEW, AgreementStatus.PENDING}:
            return True
        return not self.status.final and (self.start or self.created_at) > now - DRAFT_LIFE

    def contradicts(self, status: AgreementStatus) -> bool:
        """True where an observation would be a step back, which is kept out of the row and shown in the audit."""
        return status not in (self.status, AgreementStatus.UNKNOWN) and status not in _NEXT[self.status]

    def require_active(self) -> None:
        if self.status is not AgreementStatus.ACTIVE:
            raise IllegalState(
                f"agreement {self.agreement_id} is {self.status}, and only an ACTIVE one can be charged or changed "
                "(status.notActive)",
                field="agreementId",
            )

    def anchor(self, fallback: date) -> date:
        return self.start.date() if self.start else fallback


@dataclass(frozen=True, slots=True)
class InitialCharge:
    """Taken when the customer approves. RESERVE_CAPTURE only reserves, for goods that are shipped later."""

    amount: Money
    description: str
    transaction_type: TransactionType = TransactionType.DIRECT_CAPTURE
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class AgreementDraft:
    """What a new agreement says. Raises InvalidInput on construction where Vipps would refuse it.

    `price` is 0 unless the pricing is LEGACY; `suggested_max` belongs to VARIABLE. `external_id` is ours and tells our
    draft apart from others; v2 has no place for it.
    """

    price: Money
    plan: Plan
    product_name: str
    redirect_url: str
    agreement_url: str
    product_description: str = ""
    initial_charge: InitialCharge | None = None
    campaign: Campaign | None = None
    phone: str | None = field(default=None, repr=False)
    pricing: Pricing = Pricing.LEGACY
    suggested_max: Money | None = None
    external_id: str | None = None

    def __post_init__(self) -> None:
        self._check_pricing()
        check_text(self.product_name, "productName", PRODUCT_NAME_MAX)
        check_text(self.product_description, "productDescription", PRODUCT_DESCRIPTION_MAX, required=False)
        check_url(self.redirect_url, "redirectUrl", app_schemes=True)
        check_url(self.agreement_url, "merchantAgreementUrl", app_schemes=False)
        if self.initial_charge:
            check_amount(self.initial_charge.amount, "initialCharge.price")
            check_text(self.initial_charge.description, "initialCharge.description", 45)
        if self.phone is not None and not _PHONE.fullmatch(self.phone):
            raise InvalidInput("a phone number is 8 to 15 digits, country code first, without +", field="phoneNumber")

    def _check_pricing(self) -> None:
        if self.pricing is Pricing.LEGACY:
            check_amount(self.price, "price")
        elif self.price.minor:
            raise InvalidInput(f"a {self.pricing} agreement has no price of its own; leave it out", field="price")
        elif self.campaign:
            raise InvalidInput(f"a {self.pricing} agreement cannot have a campaign", field="campaign")
        if (self.suggested_max is not None) != (self.pricing is Pricing.VARIABLE):
            raise InvalidInput("suggestedMaxAmount belongs to a VARIABLE agreement, which needs it", field=_SUGGESTED)
        if self.suggested_max is not None:
            check_suggested_max(self.suggested_max)


@dataclass(frozen=True, slots=True)
class AgreementChanges:
    """What of an ACTIVE agreement may change; None leaves a field as it is."""

    price: Money | None = None
    product_name: str | None = None
    product_description: str | None = None
    agreement_url: str | None = None
    suggested_max: Money | None = None

    def __post_init__(self) -> None:
        given = (self.price, self.product_name, self.product_description, self.agreement_url, self.suggested_max)
        if not any(value is not None for value in given):
            raise InvalidInput("nothing to change: give a price, a name, a description or a URL", field="input")
        if self.suggested_max is not None:
            check_suggested_max(self.suggested_max)
        if self.price is not None:
            check_amount(self.price, "price")
        if self.product_name is not None:
            check_text(self.product_name, "productName", PRODUCT_NAME_MAX)
        if self.product_description is not None:
            check_text(self.product_description, "productDescription", PRODUCT_DESCRIPTION_MAX, required=False)
        if self.agreement_url is not None:
            check_url(self.agreement_url, "merchantAgreementUrl", app_schemes=False)


def check_text(text: str, field_name: str, longest: int, *, required: bool = True) -> None:
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise InvalidInput(f"{field_name} holds control characters; send plain text", field=field_name)
    if required and not text.strip():
        raise InvalidInput(f"{field_name} must not be empty", field=field_name)
    if len(text) > longest:
        raise InvalidInput(
            f"{field_name} is {len(text)} characters long; Vipps takes {longest} at most", field=field_name
        )


_SUGGESTED = "suggestedMaxAmount"


def check_suggested_max(amount: Money) -> None:
    check_amount(amount, _SUGGESTED)
    most = amount.currency.highest_suggested_max
    if amount.minor > most:
        raise InvalidInput(
            f"{_SUGGESTED} is {amount.minor}; Vipps takes {most} at most in {amount.currency}", field=_SUGGESTED
        )


def check_amount(amount: Money, field_name: str) -> None:
    if amount.minor < amount.currency.minimum:
        raise InvalidInput(
            f"{field_name} is {amount.minor} minor units; the least Vipps charges in {amount.currency} is "
            f"{amount.currency.minimum}",
            field=field_name,
        )
    if amount.minor > AMOUNT_MAX:
        raise InvalidInput(
            f"{field_name} is more than {AMOUNT_MAX} minor units, more than Vipps counts", field=field_name
        )


def check_url(url: str, field_name: str, *, app_schemes: bool) -> None:
    """Vipps takes http(s) URLs, and for the redirect an app's own scheme too (facts: VIPPS 4.1, 6.17)."""
    if len(url) > URL_MAX:
        raise InvalidInput(f"{field_name} is longer than {URL_MAX} characters", field=field_name)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    own_app = app_schemes and parts.scheme not in {"", "http", "https", "javascript", "data", "file"}
    if not (web or own_app) or not url.isprintable() or " " in url:
        raise InvalidInput(f"{field_name} must be an absolute URL that starts with https://", field=field_name)
