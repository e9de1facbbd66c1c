"""What a payment provider must do, in our words; Vipps v2 and v3 both do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.domain.agreement import AgreementChanges, AgreementDraft, AgreementStatus, Campaign, Pricing
from app.domain.charge import ChargeRequest, ChargeStatus, SeenCharge
from app.domain.errors import Rejected
from app.domain.money import Money
from app.domain.plan import Plan


class Outcome(StrEnum):
    """DONE means done; ACCEPTED means that it will probably be, and that somebody has to look (facts: VIPPS 5)."""

    DONE = "DONE"
    ACCEPTED = "ACCEPTED"


@dataclass(frozen=True, slots=True)
class AccessToken:
    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class DraftedAgreement:
    agreement_id: str
    confirmation_url: str
    charge_id: str | None


@dataclass(frozen=True, slots=True)
class SeenAgreement:
    """An agreement as Vipps shows it."""

    agreement_id: str
    status: AgreementStatus
    product_name: str
    product_description: str
    price: Money
    plan: Plan
    start: datetime | None
    stop: datetime | None
    pricing: Pricing = Pricing.LEGACY
    campaign: Campaign | None = None
    suggested_max: Money | None = None
    max_amount: Money | None = None
    agreement_url: str | None = None
    sub: str | None = None
    userinfo_url: str | None = None
    created: datetime | None = None
    external_id: str | None = None
    confirmation_url: str | None = None


@dataclass(frozen=True, slots=True)
class AgreementPage:
    """A part of a list; `next_page` is None at its end. v2 gives the whole list at once."""

    items: Sequence[SeenAgreement]
    next_page: int | None = None


class ChargeBatches(Protocol):
    """Many charges in one request, as v3 takes them."""

    @property
    def largest(self) -> int: ...
    async def create_charges(self, requests: Sequence[ChargeRequest], *, key: str) -> Mapping[str, Rejected | None]:
        """Per order id None where Vipps took the charge, which it makes later, or why it did not.

        An order id without an answer is not in the mapping: its outcome is open.
        """
        ...


@dataclass(frozen=True, slots=True)
class WebhookRegistration:
    """A webhook as Vipps lists it."""

    id: str
    url: str
    events: frozenset[str]


class WebhookRegistry(Protocol):
    """The webhooks of one merchant account (facts: VIPPS 12.1)."""

    async def register(self, url: str) -> tuple[str, str]:
        """Register for all events that we know; the registration's id and its secret, which is shown this once."""
        ...

    async def registrations(self) -> Sequence[WebhookRegistration]: ...
    async def remove(self, registration_id: str) -> None:
        """Nothing happens where it is gone already."""
        ...


class RecurringProvider(Protocol):
    """One merchant account's way to Vipps. Writes carry the caller's stored key; all raise ProviderErrors only."""

    @property
    def batches(self) -> ChargeBatches | None:
        """None where the version makes one charge a request."""
        ...

    async def authenticate(self) -> AccessToken: ...
    async def create_agreement(self, draft: AgreementDraft, *, key: str) -> DraftedAgreement: ...
    async def find_draft(self, draft: AgreementDraft, since: datetime) -> DraftedAgreement | None:
        """The draft that a lost answer was about, while it can still be approved.

        None where there is none, or none that can be told apart from another customer's.
        """
        ...

    async def get_agreement(self, agreement_id: str) -> SeenAgreement: ...
    async def list_agreements(
        self, status: AgreementStatus | None = None, created_after: datetime | None = None, page: int = 1
    ) -> AgreementPage:
        """Without a status the ACTIVE ones: no version lists all at once."""
        ...

    async def update_agreement(self, agreement_id: str, changes: AgreementChanges, *, key: str) -> Outcome: ...
    async def stop_agreement(self, agreement_id: str, *, key: str) -> Outcome: ...
    async def accept_agreement(self, agreement_id: str, phone: str) -> None:
        """Approve in the customer's place; the test environment only."""
        ...

    async def create_charge(self, request: ChargeRequest, *, key: str) -> str:
        """Returns Vipps' charge id."""
        ...

    async def agreement_of(self, charge_id: str) -> str | None:
        """The agreement that has this charge, whatever became of either; None where Vipps knows no such charge."""
        ...

    async def get_charge(self, agreement_id: str, charge_id: str) -> SeenCharge: ...
    async def list_charges(self, agreement_id: str, status: ChargeStatus | None = None) -> Sequence[SeenCharge]: ...
    async def cancel_charge(self, agreement_id: str, charge_id: str, *, key: str) -> Outcome: ...
    async def capture_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome: ...
    async def refund_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome: ...
