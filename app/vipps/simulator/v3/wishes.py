"""From v3's request bodies to what is meant, with the rules that only v3 has."""

from datetime import datetime, timedelta

from app.vipps.simulator import rules
from app.vipps.simulator.intents import AgreementChange, NewAgreement, NewCharge, NewInitialCharge
from app.vipps.simulator.models import Agreement, Campaign, Period
from app.vipps.simulator.payloads import read_date_time
from app.vipps.simulator.refusals import RefusedError, refuse
from app.vipps.simulator.v3.payloads import (
    CreateCharge,
    DraftAgreement,
    EventCampaign,
    FullFlexCampaign,
    InitialCharge,
    PeriodCampaign,
    PriceCampaign,
    Pricing,
    TimePeriod,
    UpdateAgreement,
)

AnyCampaign = PriceCampaign | PeriodCampaign | EventCampaign | FullFlexCampaign


def new_agreement(request: DraftAgreement, now: datetime) -> NewAgreement:
    _check_pricing(request.pricing)
    rules.check_https(request.merchant_agreement_url, "merchantAgreementUrl")
    return NewAgreement(
        currency=request.pricing.currency,
        price=request.pricing.amount,
        suggested_max_amount=request.pricing.suggested_max_amount,
        is_flexible=request.pricing.type == "FLEXIBLE",
        interval=_period(request.interval) if request.interval else None,
        product_name=request.product_name,
        product_description=request.product_description or "",
        agreement_url=request.merchant_agreement_url,
        redirect_url=request.merchant_redirect_url,
        is_app=request.is_app,
        skip_landing_page=request.skip_landing_page,
        phone=request.phone_number,
        scope=request.scope,
        campaign=_campaign(request.campaign, now) if request.campaign else None,
        initial_charge=_initial_charge(request.initial_charge) if request.initial_charge else None,
        external_id=request.external_id,
        country_code=request.country_code,
        payment_method=request.payment_method.model_dump(by_alias=True) if request.payment_method else None,
    )


def _check_pricing(pricing: Pricing) -> None:
    """Each type has its own amount and none of the others."""
    amounts = {"LEGACY": "amount", "VARIABLE": "suggestedMaxAmount"}
    given = {"amount": pricing.amount, "suggestedMaxAmount": pricing.suggested_max_amount}
    for name, value in given.items():
        if amounts.get(pricing.type) == name and value is None:
            raise _invalid(f"The pricing type {pricing.type} needs this.", f"pricing.{name}")
        if amounts.get(pricing.type) != name and value is not None:
            raise _invalid(f"The pricing type {pricing.type} has no such thing.", f"pricing.{name}")


def _invalid(message: str, field: str) -> RefusedError:
    return refuse(400, message, code="validation-error", field=field)


def _period(given: TimePeriod) -> Period:
    return Period(given.unit, given.count)


def _campaign(given: AnyCampaign, now: datetime) -> Campaign:
    match given:
        case PriceCampaign():
            return Campaign(given.price, now, read_date_time(given.end), given.type)
        case PeriodCampaign():
            return Campaign(given.price, now, _end(now, given.period), given.type, _period(given.period))
        case EventCampaign():
            end = read_date_time(given.event_date)
            return Campaign(given.price, now, end, given.type, event_text=given.event_text)
        case FullFlexCampaign():
            return Campaign(given.price, now, read_date_time(given.end), given.type, _period(given.interval))


def _end(start: datetime, period: TimePeriod) -> datetime:
    if period.unit in {"DAY", "WEEK"}:
        return start + timedelta(days=period.count * (7 if period.unit == "WEEK" else 1))
    day = rules.add_months(start.date(), period.count * (12 if period.unit == "YEAR" else 1))
    return datetime.combine(day, start.timetz())


def _initial_charge(given: InitialCharge) -> NewInitialCharge:
    return NewInitialCharge(
        amount=given.amount,
        description=given.description,
        reserve_only=given.transaction_type == "RESERVE_CAPTURE",
        order_id=given.order_id,
        external_id=given.external_id,
    )


def agreement_change(request: UpdateAgreement, agreement: Agreement) -> AgreementChange:
    """A type of interval without a period says nothing but for FLEXIBLE, which is pay per use."""
    pricing, interval = request.pricing, request.interval
    if pricing is not None and pricing.amount is not None:
        rules.check_minimum(pricing.amount, agreement.currency, "pricing.amount")
    if request.merchant_agreement_url is not None:
        rules.check_https(request.merchant_agreement_url, "merchantAgreementUrl")
    if interval is not None and (interval.type == "RECURRING") is (interval.period is None):
        raise _invalid("A recurring interval has a period, a flexible one has none.", "interval.period")
    return AgreementChange(
        product_name=request.product_name,
        product_description=request.product_description,
        agreement_url=request.merchant_agreement_url,
        external_id=request.external_id,
        price=pricing.amount if pricing else None,
        suggested_max_amount=pricing.suggested_max_amount if pricing else None,
        changes_interval=interval is not None,
        interval=_period(interval.period) if interval and interval.period else None,
    )


def new_charge(request: CreateCharge) -> NewCharge:
    is_single = request.processing_mode == "SINGLE_ATTEMPT"
    if request.type == "UNSCHEDULED":
        raise _invalid("This sales unit may not make unscheduled charges.", "type")
    if is_single and request.retry_days:
        raise _invalid("A single attempt has no retry days.", "retryDays")
    return NewCharge(
        amount=request.amount,
        currency=None,
        description=request.description,
        due=request.due,
        retry_days=request.retry_days,
        order_id=request.order_id,
        external_id=request.external_id,
        reserve_only=request.transaction_type == "RESERVE_CAPTURE",
        single_attempt=is_single,
    )
