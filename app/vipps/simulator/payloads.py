"""The request bodies of v2, read as strictly as Vipps' own OpenAPI files describe them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from app.vipps.simulator.intents import AgreementChange, NewAgreement, NewCharge, NewInitialCharge
from app.vipps.simulator.models import Campaign, Period, Unit
from app.vipps.simulator.refusals import ErrorItem, RefusedError, refuse

INT32_MAX = 2**31 - 1
DATE_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"


def _refuse_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null")
    return value


def _read_utc(value: str) -> str:
    moment = datetime.fromisoformat(value.upper())
    if moment.utcoffset() != timedelta():
        raise ValueError("must be given in UTC")
    return value


# The field may be left out; an explicit null is no string, number or object, and is refused as such.
Omittable = BeforeValidator(_refuse_null)
Amount = Annotated[int, Field(ge=100, le=INT32_MAX)]
AmountOrZero = Annotated[int, Field(ge=0, le=INT32_MAX)]
VariableMaximum = Annotated[int, Field(ge=100, le=2_000_000)]
# The schemas give only an upper bound for titles; an empty title is refused as v3 documents it.
Title = Annotated[str, StringConstraints(min_length=1, max_length=45)]
LongText = Annotated[str, StringConstraints(max_length=100)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
OrderId = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9-]{1,50}$")]
# Eight digits are what the samples show, MSISDN is what the newer schema wants: both are taken.
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9]{8,15}$")]
UtcDateTime = Annotated[str, StringConstraints(pattern=DATE_TIME), AfterValidator(_read_utc)]


class Payload(BaseModel):
    """Strict types, camel case on the wire; unknown fields are ignored, as neither v2 schema forbids them."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", alias_generator=to_camel)


class VariableAmount(Payload):
    suggested_max_amount: VariableMaximum


class DraftCampaign(Payload):
    campaign_price: AmountOrZero
    end: UtcDateTime


class UpdateCampaign(DraftCampaign):
    start: UtcDateTime

    def changed(self) -> Campaign:
        return Campaign(self.campaign_price, read_date_time(self.start), read_date_time(self.end))


class InitialCharge(Payload):
    amount: Amount
    currency: Literal["NOK"]
    description: Title
    transaction_type: Literal["DIRECT_CAPTURE", "RESERVE_CAPTURE"]
    order_id: Annotated[OrderId | None, Omittable] = None

    def intent(self) -> NewInitialCharge:
        return NewInitialCharge(
            amount=self.amount,
            description=self.description,
            reserve_only=self.transaction_type == "RESERVE_CAPTURE",
            order_id=self.order_id,
        )


class DraftAgreement(Payload):
    """`isApp` and `productDescription` are required as in the stricter file of 2022."""

    currency: Literal["NOK"]
    interval: Unit
    interval_count: Annotated[int, Field(ge=1, le=31)]
    price: Annotated[AmountOrZero | None, Omittable] = None
    product_name: Title
    product_description: LongText
    merchant_agreement_url: Url
    merchant_redirect_url: Url
    is_app: bool
    skip_landing_page: bool = False
    customer_phone_number: Annotated[Phone | None, Omittable] = None
    scope: Annotated[str | None, Omittable] = None
    campaign: DraftCampaign | None = None
    variable_amount: Annotated[VariableAmount | None, Omittable] = None
    initial_charge: Annotated[InitialCharge | None, Omittable] = None

    def intent(self, now: datetime) -> NewAgreement:
        """The start of a campaign is not the merchant's to choose on a draft."""
        campaign, variable, initial = self.campaign, self.variable_amount, self.initial_charge
        return NewAgreement(
            currency=self.currency,
            price=self.price,
            suggested_max_amount=variable.suggested_max_amount if variable else None,
            interval=Period(self.interval, self.interval_count),
            product_name=self.product_name,
            product_description=self.product_description,
            agreement_url=self.merchant_agreement_url,
            redirect_url=self.merchant_redirect_url,
            is_app=self.is_app,
            skip_landing_page=self.skip_landing_page,
            phone=self.customer_phone_number,
            scope=self.scope,
            campaign=Campaign(campaign.campaign_price, now, read_date_time(campaign.end)) if campaign else None,
            initial_charge=initial.intent() if initial else None,
        )


class UpdateAgreement(Payload):
    """Keeps the names of unknown fields too: a status must come without any other field."""

    model_config = ConfigDict(extra="allow")

    product_name: Annotated[Title | None, Omittable] = None
    product_description: Annotated[LongText | None, Omittable] = None
    merchant_agreement_url: Annotated[Url | None, Omittable] = None
    price: Annotated[AmountOrZero | None, Omittable] = None
    suggested_max_amount: Annotated[VariableMaximum | None, Omittable] = None
    campaign: UpdateCampaign | None = None
    status: Annotated[Literal["ACTIVE", "STOPPED"] | None, Omittable] = None

    def intent(self) -> AgreementChange:
        """`campaign: null` takes the campaign away."""
        given = self.campaign
        return AgreementChange(
            product_name=self.product_name,
            product_description=self.product_description,
            agreement_url=self.merchant_agreement_url,
            price=self.price,
            suggested_max_amount=self.suggested_max_amount,
            changes_campaign="campaign" in self.model_fields_set,
            campaign=given.changed() if given else None,
        )


class CreateCharge(Payload):
    """`currency` and `retryDays` are required as in the stricter file of 2023."""

    amount: Amount
    currency: Literal["NOK"]
    description: Title
    due: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    retry_days: Annotated[int, Field(ge=0, le=INT32_MAX)]
    order_id: Annotated[OrderId | None, Omittable] = None

    def intent(self) -> NewCharge:
        """Recurring charges of v2 are taken at once."""
        return NewCharge(
            amount=self.amount,
            currency=self.currency,
            description=self.description,
            due=self.due,
            retry_days=self.retry_days,
            order_id=self.order_id,
        )


class Refund(Payload):
    amount: Amount
    description: Title


class ForceAccept(Payload):
    customer_phone_number: Annotated[str, StringConstraints(pattern=r"^[0-9]{8,16}$")]


PayloadType = TypeVar("PayloadType", bound=Payload)


def read_payload(kind: type[PayloadType], body: bytes, *, malformed: int = 400) -> PayloadType:
    """Parse or refuse; `malformed` is the status for a body that is no JSON at all."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise as_refusal(error, malformed) from None


def as_refusal(error: ValidationError, malformed: int = 400) -> RefusedError:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        return refuse(malformed, "The body is not valid JSON.", code="invalid-json")
    return RefusedError(400, tuple(_as_item(detail["loc"], detail["msg"]) for detail in details))


def _as_item(location: tuple[int | str, ...], message: str) -> ErrorItem:
    # Where a body can be one of several kinds, the kind stands in the location, though nowhere in the body.
    field = ".".join(str(step) for step in location if not str(step).endswith("_CAMPAIGN"))
    return ErrorItem(message=message, code="validation-error", field=field or None, as_sent=True)


def read_date_time(value: str) -> datetime:
    return datetime.fromisoformat(value.upper()).astimezone(UTC)
