"""What a payment provider must do, in our words; Vipps v2 is the first that does it, v3 the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from app.domain.agreement import AgreementChanges, AgreementDraft, AgreementStatus, Campaign
from app.domain.charge import ChargeRequest, ChargeStatus, SeenCharge
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
    campaign: Campaign | None = None
    suggested_max: Money | None = None
    max_amount: Money | None = None
    agreement_url: str | None = None
    sub: str | None = None
    userinfo_url: str | None = None


class RecurringProvider(Protocol):
    """One merchant account's way to Vipps. Writes carry the caller's stored key; all raise ProviderErrors only."""

    async def authenticate(self) -> AccessToken: ...
    async def create_agreement(self, draft: AgreementDraft, *, key: str) -> DraftedAgreement: ...
    async def get_agreement(self, agreement_id: str) -> SeenAgreement: ...
    async def list_agreements(
        self, status: AgreementStatus | None = None, created_after: datetime | None = None
    ) -> Sequence[SeenAgreement]: ...
    async def update_agreement(self, agreement_id: str, changes: AgreementChanges, *, key: str) -> Outcome: ...
    async def stop_agreement(self, agreement_id: str, *, key: str) -> Outcome: ...
    async def accept_agreement(self, agreement_id: str, phone: str) -> None:
        """Approve in the customer's place; the test environment only."""
        ...

    async def create_charge(self, request: ChargeRequest, *, key: str) -> str:
        """Returns Vipps' charge id."""
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
