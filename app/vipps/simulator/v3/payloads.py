"""The request bodies of v3. Fields that v3 does not know are kept, so that they can be refused by name."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.vipps.simulator.models import Currency, Unit
from app.vipps.simulator.payloads import (
    INT32_MAX,
    AmountOrZero,
    LongText,
    Omittable,
    OrderId,
    Payload,
    Title,
    Url,
    UtcDateTime,
    read_payload,
)
from app.vipps.simulator.refusals import ErrorItem, RefusedError

# The least amount depends on the currency, so it is a rule and no part of the type.
Amount = Annotated[int, Field(ge=1, le=INT32_MAX)]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
RedirectUrl = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Description = Annotated[str, StringConstraints(min_length=1, max_length=100)]
TransactionType = Literal["DIRECT_CAPTURE", "RESERVE_CAPTURE"]


class V3Payload(Payload):
    model_config = ConfigDict(extra="allow")


class TimePeriod(V3Payload):
    unit: Unit
    count: Annotated[int, Field(ge=1, le=31)]


class Pricing(V3Payload):
    type: Literal["LEGACY", "VARIABLE", "FLEXIBLE"] = "LEGACY"
    currency: Currency
    amount: Annotated[Amount | None, Omittable] = None
    suggested_max_amount: Annotated[Amount | None, Omittable] = None


class PriceCampaign(V3Payload):
    type: Literal["PRICE_CAMPAIGN"]
    price: AmountOrZero
    end: UtcDateTime


class PeriodCampaign(V3Payload):
    type: Literal["PERIOD_CAMPAIGN"]
    price: AmountOrZero
    period: TimePeriod


class EventCampaign(V3Payload):
    type: Literal["EVENT_CAMPAIGN"]
    price: AmountOrZero
    event_date: UtcDateTime
    event_text: Annotated[str, StringConstraints(min_length=1)]


class FullFlexCampaign(V3Payload):
    type: Literal["FULL_FLEX_CAMPAIGN"]
    price: AmountOrZero
    interval: TimePeriod
    end: UtcDateTime


CampaignRequest = Annotated[
    PriceCampaign | PeriodCampaign | EventCampaign | FullFlexCampaign, Field(discriminator="type")
]


class InitialCharge(V3Payload):
    amount: Amount
    description: Title
    transaction_type: TransactionType
    order_id: Annotated[OrderId | None, Omittable] = None
    external_id: Annotated[ExternalId | None, Omittable] = None


class PaymentMethod(V3Payload):
    blocked_sources: list[Literal["COMMERCIAL_CARDS"]]


class DraftAgreement(V3Payload):
    pricing: Pricing
    interval: Annotated[TimePeriod | None, Omittable] = None
    merchant_redirect_url: RedirectUrl
    merchant_agreement_url: Url
    product_name: Title
    product_description: Annotated[LongText | None, Omittable] = None
    phone_number: Annotated[Annotated[str, StringConstraints(max_length=15)] | None, Omittable] = None
    initial_charge: Annotated[InitialCharge | None, Omittable] = None
    campaign: CampaignRequest | None = None
    external_id: Annotated[ExternalId | None, Omittable] = None
    country_code: Annotated[Literal["NO", "DK", "FI"] | None, Omittable] = None
    scope: Annotated[str | None, Omittable] = None
    is_app: bool = False
    skip_landing_page: bool = False
    payment_method: Annotated[PaymentMethod | None, Omittable] = None


class PricingChange(V3Payload):
    amount: Annotated[Amount | None, Omittable] = None
    suggested_max_amount: Annotated[Amount | None, Omittable] = None


class IntervalChange(V3Payload):
    type: Literal["RECURRING", "FLEXIBLE"] = "RECURRING"
    period: Annotated[TimePeriod | None, Omittable] = None


class UpdateAgreement(V3Payload):
    product_name: Annotated[Title | None, Omittable] = None
    product_description: Annotated[LongText | None, Omittable] = None
    merchant_agreement_url: Annotated[Url | None, Omittable] = None
    external_id: Annotated[ExternalId | None, Omittable] = None
    status: Annotated[Literal["STOPPED"] | None, Omittable] = None
    pricing: Annotated[PricingChange | None, Omittable] = None
    interval: Annotated[IntervalChange | None, Omittable] = None


class CreateCharge(V3Payload):
    amount: Amount
    type: Literal["RECURRING", "UNSCHEDULED"] = "RECURRING"
    transaction_type: TransactionType
    description: Title
    due: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    retry_days: Annotated[int, Field(ge=0, le=INT32_MAX)]
    order_id: Annotated[OrderId | None, Omittable] = None
    external_id: Annotated[ExternalId | None, Omittable] = None
    processing_mode: Literal["MULTIPLE_ATTEMPTS", "SINGLE_ATTEMPT"] = "MULTIPLE_ATTEMPTS"


class BatchItem(CreateCharge):
    agreement_id: str
    order_id: OrderId


class Capture(V3Payload):
    """The description is required as in the file of 2023; since October 2024 it may be missing."""

    amount: Amount
    description: Description


class Refund(V3Payload):
    amount: Amount
    description: Description


class ForceAccept(V3Payload):
    phone_number: Annotated[str, StringConstraints(pattern=r"^[0-9]{8,15}$")]


V3PayloadType = TypeVar("V3PayloadType", bound=V3Payload)


def read(kind: type[V3PayloadType], body: bytes, *, strict_fields: bool) -> V3PayloadType:
    request = read_payload(kind, body)
    if strict_fields:
        refuse_unknown(request)
    return request


def refuse_unknown(request: V3Payload) -> None:
    unknown = tuple(
        ErrorItem("This field is not known.", code="validation-error", field=name, as_sent=True)
        for name in _unknown(request)
    )
    if unknown:
        raise RefusedError(400, unknown)


def _unknown(request: BaseModel, prefix: str = "") -> Iterator[str]:
    fields = type(request).model_fields
    for name in request.model_extra or {}:
        yield prefix + name
    for name in request.model_fields_set & fields.keys():
        value: Any = getattr(request, name)
        if isinstance(value, BaseModel):
            yield from _unknown(value, f"{prefix}{fields[name].alias}.")
