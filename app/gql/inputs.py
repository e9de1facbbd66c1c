"""Input types. Amounts are minor units, as the documented operations have them."""

from datetime import date, datetime
from enum import Enum

import strawberry

from app.domain.agreement import AgreementStatus, Pricing, TransactionType
from app.domain.operation import OperationKind
from app.domain.plan import IntervalUnit
from app.domain.records import AgreementFilter
from app.domain.renewal import RenewalFilter, RenewalReason, RenewalStatus
from app.domain.subscription import VoucherPolicy
from app.gql.naming import camel
from app.usecases.agreements import AgreementChange, AgreementWish, InitialChargeWish
from app.usecases.charges import ChargeMake
from app.usecases.money_moves import ChargeMove
from app.usecases.subscription_terms import Line, NewPrice, Terms

MINOR = "Minor units: 25000 is 250.00."
KEY = "Your own key for this item: the same key again gives the same answer and nothing twice."


@strawberry.input
class IntervalInput:
    unit: IntervalUnit
    count: int = 1


@strawberry.input
class InitialChargeInput:
    price: int = strawberry.field(description=MINOR)
    description: str
    type: TransactionType = strawberry.field(
        default=TransactionType.DIRECT_CAPTURE, description="RESERVE_CAPTURE for goods that are shipped later."
    )


@strawberry.input
class CampaignInput:
    price: int = strawberry.field(description=MINOR)
    end: datetime


@strawberry.input
class AgreementCreateInput:
    product_name: str = strawberry.field(description="At most 45 characters.")
    interval: IntervalInput
    redirect_url: str = strawberry.field(
        description="Where the customer comes back to; `agreement` and `status` are added to its query."
    )
    price: int = strawberry.field(default=0, description=MINOR + " Only LEGACY pricing has one, and needs it.")
    pricing: Pricing = strawberry.field(
        default=Pricing.LEGACY,
        description="LEGACY: charges up to five times the price an interval. VARIABLE: up to what the customer allows. "
        "FLEXIBLE: no limit, v3 only.",
    )
    suggested_max_amount: int | None = strawberry.field(
        default=None, description=MINOR + " What a VARIABLE agreement suggests to the customer as a maximum."
    )
    currency: str = strawberry.field(default="NOK", description="NOK; DKK and EUR on v3 accounts.")
    product_description: str = strawberry.field(default="", description="At most 100 characters.")
    merchant_agreement_url: str | None = strawberry.field(
        default=None,
        description="Where the customer manages this agreement; the account's own page, or ours, if left out.",
    )
    channel: str | None = strawberry.field(default=None, description="Slug: chooses the merchant account.")
    customer_id: strawberry.ID | None = strawberry.field(
        default=None, description="Saleor's user id. Customers make agreements for themselves and leave it out."
    )
    order_id: strawberry.ID | None = strawberry.field(default=None, description="The order it began with.")
    initial_charge: InitialChargeInput | None = None
    campaign: CampaignInput | None = None
    phone_number: str | None = strawberry.field(
        default=None, description="Digits, country code first. Forgotten when the draft is made."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="Your own key: the same key again gives the same agreement, never a second draft."
    )

    def wish(self) -> AgreementWish:
        initial, campaign = self.initial_charge, self.campaign
        return AgreementWish(
            price=self.price,
            product_name=self.product_name,
            redirect_url=self.redirect_url,
            unit=self.interval.unit,
            count=self.interval.count,
            currency=self.currency,
            product_description=self.product_description,
            agreement_url=self.merchant_agreement_url,
            channel=self.channel,
            customer=self.customer_id,
            initial_order=self.order_id,
            initial_charge=InitialChargeWish(initial.price, initial.description, initial.type) if initial else None,
            campaign_price=campaign.price if campaign else None,
            campaign_end=campaign.end if campaign else None,
            phone=self.phone_number,
            pricing=self.pricing,
            suggested_max=self.suggested_max_amount,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input
class SubscriptionLineInput:
    variant_id: strawberry.ID
    quantity: int


@strawberry.input
class VariantPriceInput:
    variant_id: strawberry.ID
    price: int = strawberry.field(description=MINOR)


@strawberry.input
class PriceChangeInput:
    on: date = strawberry.field(description="For renewals that are due on that day or later.")
    price: int = strawberry.field(description=MINOR + " The agreement's new price.")
    unit_prices: list[VariantPriceInput] | None = strawberry.field(
        default=None, description="What a piece costs in the renewal orders; the catalogue's price if left out."
    )

    def wanted(self) -> NewPrice:
        return NewPrice(self.on, self.price, {it.variant_id: it.price for it in self.unit_prices or ()})


@strawberry.input(description="As Saleor's. What is left out is empty.")
class AddressInput:
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None
    street_address1: str | None = strawberry.field(default=None, name="streetAddress1")
    street_address2: str | None = strawberry.field(default=None, name="streetAddress2")
    city: str | None = None
    city_area: str | None = None
    postal_code: str | None = None
    country: str | None = strawberry.field(default=None, description="Two capital letters.")
    country_area: str | None = None
    phone: str | None = None

    def fields(self) -> dict[str, str]:
        """By Saleor's names, without what is empty."""
        return {camel(name): value for name, value in vars(self).items() if value}


@strawberry.input
class AgreementUpdateInput:
    price: int | None = strawberry.field(default=None, description=MINOR)
    product_name: str | None = None
    product_description: str | None = None
    merchant_agreement_url: str | None = None
    suggested_max_amount: int | None = strawberry.field(default=None, description=MINOR + " VARIABLE agreements only.")
    lines: list[SubscriptionLineInput] | None = strawberry.field(
        default=None, description="All lines of the subscription's renewals from now on."
    )
    price_change: PriceChangeInput | None = strawberry.field(
        default=None, description="A new price with notice; `price` above changes the agreement's at once."
    )
    shipping_method_id: strawberry.ID | None = None
    voucher_policy: VoucherPolicy | None = None
    billing_address: AddressInput | None = None
    shipping_address: AddressInput | None = None

    def terms(self) -> Terms:
        """What of it is about the subscription."""
        return Terms(
            lines=None if self.lines is None else [Line(it.variant_id, it.quantity) for it in self.lines],
            price=self.price_change.wanted() if self.price_change else None,
            shipping_method=self.shipping_method_id,
            voucher_policy=self.voucher_policy,
            billing=self.billing_address.fields() if self.billing_address else None,
            shipping=self.shipping_address.fields() if self.shipping_address else None,
        )

    def change(self) -> AgreementChange:
        """What of it is about the agreement at Vipps."""
        return AgreementChange(
            price=self.price,
            product_name=self.product_name,
            product_description=self.product_description,
            agreement_url=self.merchant_agreement_url,
            suggested_max=self.suggested_max_amount,
        )


@strawberry.input
class ChargeMakeInput:
    agreement_id: strawberry.ID
    price: int = strawberry.field(description=MINOR)
    description: str = strawberry.field(description="At most 45 characters.")
    due: date | None = strawberry.field(
        default=None, description="Tomorrow at the earliest; the account's lead time if left out."
    )
    retry_days: int | None = strawberry.field(default=None, description="0 to 14 days of retries by Vipps.")
    order_id: str | None = strawberry.field(
        default=None, description="8 to 50 letters, digits and hyphens. The same one again gives the same charge."
    )
    transaction_type: TransactionType = strawberry.field(
        default=TransactionType.DIRECT_CAPTURE, description="RESERVE_CAPTURE reserves first; v3 accounts only."
    )
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)

    def item(self) -> ChargeMake:
        return ChargeMake(
            agreement_id=self.agreement_id,
            price=self.price,
            description=self.description,
            due=self.due,
            retry_days=self.retry_days,
            order_id=self.order_id,
            idempotency_key=self.idempotency_key,
            transaction_type=self.transaction_type,
        )


@strawberry.input
class ChargeCancelInput:
    agreement_id: strawberry.ID
    charge_id: strawberry.ID
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)

    def item(self) -> ChargeMove:
        return ChargeMove(OperationKind.CANCEL, self.agreement_id, self.charge_id, idempotency_key=self.idempotency_key)


@strawberry.input
class ChargeCaptureInput:
    agreement_id: strawberry.ID
    charge_id: strawberry.ID
    price: int | None = strawberry.field(
        default=None, description=MINOR + " All that is reserved if left out; a part on v3 accounts only."
    )
    description: str = strawberry.field(default="", description="At most 45 characters; shown on v3 only.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)

    def item(self) -> ChargeMove:
        return ChargeMove(
            OperationKind.CAPTURE,
            self.agreement_id,
            self.charge_id,
            price=self.price,
            description=self.description,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input
class ChargeRefundInput:
    agreement_id: strawberry.ID
    charge_id: strawberry.ID
    description: str
    price: int | None = strawberry.field(default=None, description=MINOR + " All that is left if left out.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)

    def item(self) -> ChargeMove:
        return ChargeMove(
            OperationKind.REFUND,
            self.agreement_id,
            self.charge_id,
            price=self.price,
            description=self.description,
            idempotency_key=self.idempotency_key,
        )


@strawberry.input(name="AgreementFilter")
class AgreementFilterInput:
    status: list[AgreementStatus] | None = None
    customer_id: strawberry.ID | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def wanted(self) -> AgreementFilter:
        return AgreementFilter(
            statuses=frozenset(self.status or ()),
            customer=self.customer_id,
            created_from=self.created_from,
            created_to=self.created_to,
        )


@strawberry.input(name="RenewalFilter")
class RenewalFilterInput:
    status: list[RenewalStatus] | None = None
    reason: RenewalReason | None = None
    due_from: date | None = None
    due_to: date | None = None

    def wanted(self) -> RenewalFilter:
        return RenewalFilter(frozenset(self.status or ()), self.reason, self.due_from, self.due_to)


@strawberry.enum
class OrderDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


@strawberry.enum
class AgreementSortField(Enum):
    CREATED = "CREATED"


@strawberry.input(name="AgreementSort")
class AgreementSortInput:
    field: AgreementSortField = AgreementSortField.CREATED
    direction: OrderDirection = OrderDirection.DESC
