"""Money and charges as the API shows them, and the domain's enums under their names in the API."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from app.domain import charge as charges
from app.domain.account import ApiVersion, Environment
from app.domain.agreement import AgreementStatus, Pricing, TransactionType
from app.domain.charge import ChargeOrigin, ChargeStatus
from app.domain.errors import ErrorCode
from app.domain.money import Money as DomainMoney
from app.domain.plan import IntervalUnit
from app.domain.records import Failing, FindingKind
from app.domain.renewal import RenewalReason, RenewalStatus
from app.domain.subscription import SubscriptionStatus, VoucherPolicy
from app.usecases.subscriptions import CancelAt

# Registered here and used under their own names: the domain's words are the API's words.
for _enum, _name in (
    (ErrorCode, "RecurringErrorCode"),
    (AgreementStatus, "AgreementStatus"),
    (ChargeStatus, "ChargeStatus"),
    (ChargeOrigin, "ChargeOrigin"),
    (IntervalUnit, "IntervalUnit"),
    (TransactionType, "TransactionType"),
    (Pricing, "Pricing"),
    (Failing, "FailureKind"),
    (FindingKind, "FindingKind"),
    (Environment, "VippsEnvironment"),
    (ApiVersion, "VippsApiVersion"),
    (SubscriptionStatus, "SubscriptionStatus"),
    (VoucherPolicy, "VoucherPolicy"),
    (RenewalStatus, "RenewalStatus"),
    (RenewalReason, "RenewalReason"),
    (CancelAt, "CancelAt"),
):
    strawberry.enum(_enum, name=_name)


@strawberry.type(description="An amount: minor units (øre, cent), and the same in major units.")
class Money:
    minor: int
    amount: Decimal
    currency: str

    @classmethod
    def of(cls, it: DomainMoney) -> "Money":
        return cls(minor=it.minor, amount=it.to_decimal(), currency=it.currency.value)


@strawberry.type(description="Money taken, or to be taken, on an agreement. `id` is Vipps' charge id.")
class Charge:
    id: strawberry.ID
    agreement_id: strawberry.ID
    order_id: str = strawberry.field(description="The order id that Vipps knows it by.")
    status: ChargeStatus
    origin: ChargeOrigin
    amount: Money
    captured: Money
    refunded: Money
    cancelled: Money
    transaction_type: TransactionType
    description: str
    due: date
    retry_days: int
    transaction_id: str | None
    failure_reason: str | None
    failure_description: str | None
    saleor_order_id: strawberry.ID | None
    created: datetime

    @classmethod
    def of(cls, it: charges.Charge) -> "Charge":
        currency = it.amount.currency
        return cls(
            id=strawberry.ID(it.charge_id or it.order_id),
            agreement_id=strawberry.ID(it.agreement_id),
            order_id=it.order_id,
            status=it.status,
            origin=it.origin,
            amount=Money.of(it.amount),
            captured=Money.of(DomainMoney(it.captured, currency)),
            refunded=Money.of(DomainMoney(it.refunded, currency)),
            cancelled=Money.of(DomainMoney(it.cancelled, currency)),
            transaction_type=it.transaction_type,
            description=it.description,
            due=it.due,
            retry_days=it.retry_days,
            transaction_id=it.transaction_id,
            failure_reason=it.failure_code,
            failure_description=it.failure,
            saleor_order_id=strawberry.ID(it.saleor_order) if it.saleor_order else None,
            created=it.created_at,
        )
