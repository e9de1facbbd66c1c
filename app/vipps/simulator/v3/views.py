"""Agreements and charges as v3 shows them."""

from typing import Any

from app.vipps.simulator.models import Agreement, Campaign, Charge, Period
from app.vipps.simulator.views import confirmation_url, moment, userinfo_url


def draft_view(agreement: Agreement, base_url: str) -> dict[str, Any]:
    charge = agreement.initial_charge
    return {
        "agreementId": agreement.id,
        "uuid": agreement.uuid,
        "vippsConfirmationUrl": confirmation_url(agreement, base_url),
        "chargeId": charge.id if charge else None,
    }


def agreement_view(agreement: Agreement, base_url: str) -> dict[str, Any]:
    view = {
        "id": agreement.id,
        "uuid": agreement.uuid,
        "externalId": agreement.external_id,
        "status": agreement.visible_status,
        "created": moment(agreement.created),
        "start": moment(agreement.start),
        "stop": moment(agreement.stop),
        "productName": agreement.product_name,
        "productDescription": agreement.product_description,
        "pricing": _pricing_view(agreement),
        "interval": _interval_view(agreement),
        "campaign": _campaign_view(agreement.campaign, agreement) if agreement.campaign else None,
        "merchantAgreementUrl": agreement.merchant_agreement_url,
        "merchantRedirectUrl": agreement.merchant_redirect_url,
        "vippsConfirmationUrl": confirmation_url(agreement, base_url),
        "countryCode": agreement.country_code,
        "sub": agreement.sub,
        "userinfoUrl": userinfo_url(agreement, base_url),
    }
    if agreement.payment_method is not None:
        view["paymentMethod"] = agreement.payment_method
    return view | agreement.extra_fields


def _pricing_view(agreement: Agreement) -> dict[str, Any]:
    """The user's own limit is absent until the user has chosen one."""
    if agreement.is_flexible:
        return {"type": "FLEXIBLE", "currency": agreement.currency}
    if not agreement.is_variable:
        return {"type": "LEGACY", "currency": agreement.currency, "amount": agreement.price}
    limits = {"suggestedMaxAmount": agreement.suggested_max_amount, "maxAmount": agreement.max_amount}
    chosen = {name: amount for name, amount in limits.items() if amount is not None}
    return {"type": "VARIABLE", "currency": agreement.currency} | chosen


def _interval_view(agreement: Agreement) -> dict[str, Any] | None:
    if agreement.interval is None or agreement.interval_count is None:
        return None
    unit, count = agreement.interval, agreement.interval_count
    text = f"every {unit.lower()}" if count == 1 else f"every {count} {unit.lower()}s"
    return {"unit": unit, "count": count, "text": text}


def _campaign_view(campaign: Campaign, agreement: Agreement) -> dict[str, Any]:
    end = moment(campaign.end)
    view: dict[str, Any] = {"type": campaign.type, "price": campaign.price}
    match campaign.type:
        case "EVENT_CAMPAIGN":
            view |= {"eventDate": end, "eventText": campaign.event_text}
        case "PERIOD_CAMPAIGN":
            view |= {"end": end, "period": _period_view(campaign.period)}
        case "FULL_FLEX_CAMPAIGN":
            view |= {"end": end, "interval": _period_view(campaign.period)}
        case "PRICE_CAMPAIGN":
            view |= {"end": end}
        case "LEGACY_CAMPAIGN":
            return view | {"end": end}
    price = f"{agreement.price / 100:.2f} {agreement.currency}"
    return view | {"explanation": f"{price} from {campaign.end.date()} on"}


def _period_view(period: Period | None) -> dict[str, Any] | None:
    return {"unit": period.unit, "count": period.count} if period else None


def charge_view(agreement: Agreement, charge: Charge) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": charge.id,
        "agreementId": agreement.id,
        "externalId": charge.external_id,
        "externalAgreementId": agreement.external_id,
        "status": charge.visible_status,
        "amount": charge.amount,
        "currency": agreement.currency,
        "description": charge.description,
        "due": f"{charge.due.isoformat()}T00:00:00Z",
        "retryDays": charge.retry_days,
        "transactionId": charge.transaction_id,
        "type": charge.type,
        "transactionType": "RESERVE_CAPTURE" if charge.reserve_only else "DIRECT_CAPTURE",
        "failureReason": charge.failure_reason,
        "summary": {"captured": charge.captured, "refunded": charge.refunded, "cancelled": charge.cancelled},
        "history": [
            {
                "occurred": moment(line.occurred),
                "event": line.event,
                "amount": line.amount,
                "idempotencyKey": line.idempotency_key,
                "success": line.success,
            }
            for line in charge.history
        ],
    }
    if charge.failure_description is not None:
        view["failureDescription"] = charge.failure_description
    return view | charge.extra_fields
