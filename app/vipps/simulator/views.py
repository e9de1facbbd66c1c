"""Agreements and charges as v2 shows them."""

from datetime import UTC, datetime
from typing import Any

from app.vipps.simulator.models import Agreement, Campaign, Charge

APPROVAL_PATH = "/dwo-api-application/v1/deeplink/vippsgateway"


def moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def approval_url(agreement: Agreement, base_url: str) -> str:
    return f"{base_url}{APPROVAL_PATH}?v=2&token={agreement.approval_token}"


def confirmation_url(agreement: Agreement, base_url: str) -> str:
    """In an app there is no landing page: the test app's own scheme takes the place of the address."""
    web_address = approval_url(agreement, base_url)
    return "vippsMT://?" + web_address.partition("?")[2] if agreement.is_app else web_address


def userinfo_url(agreement: Agreement, base_url: str) -> str | None:
    return f"{base_url}/vipps-userinfo-api/userinfo/{agreement.sub}" if agreement.sub else None


def draft_view(agreement: Agreement, base_url: str) -> dict[str, Any]:
    charge = agreement.initial_charge
    return {
        "agreementResource": f"{base_url}/recurring/v2/agreements/{agreement.id}",
        "agreementId": agreement.id,
        "vippsConfirmationUrl": confirmation_url(agreement, base_url),
        "chargeId": charge.id if charge else None,
    }


def agreement_view(agreement: Agreement, base_url: str) -> dict[str, Any]:
    """Flexible pricing and pay per use are beyond v2: no price and no interval are shown then."""
    view = {
        "id": agreement.id,
        "start": moment(agreement.start),
        "stop": moment(agreement.stop),
        "status": agreement.visible_status,
        "productName": agreement.product_name,
        "productDescription": agreement.product_description,
        "price": agreement.price,
        "interval": agreement.interval,
        "intervalCount": agreement.interval_count,
        "currency": agreement.currency,
        "campaign": _campaign_view(agreement.campaign),
        "merchantAgreementUrl": agreement.merchant_agreement_url,
        "sub": agreement.sub,
        "userinfoUrl": userinfo_url(agreement, base_url),
    }
    if agreement.suggested_max_amount is not None:
        view["variableAmount"] = _variable_view(agreement)
    return view | agreement.extra_fields


def _campaign_view(campaign: Campaign | None) -> dict[str, Any] | None:
    if campaign is None:
        return None
    return {"campaignPrice": campaign.price, "start": moment(campaign.start), "end": moment(campaign.end)}


def _variable_view(agreement: Agreement) -> dict[str, int]:
    """The user's own limit is absent until the user has chosen one."""
    limits = {"suggestedMaxAmount": agreement.suggested_max_amount, "maxAmount": agreement.max_amount}
    return {name: amount for name, amount in limits.items() if amount is not None}


def charge_view(charge: Charge) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": charge.id,
        "status": charge.visible_status,
        "due": f"{charge.due.isoformat()}T00:00:00Z",
        "amount": charge.amount,
        "amountRefunded": charge.refunded,
        "transactionId": charge.transaction_id,
        "description": charge.description,
        "type": charge.type,
    }
    if charge.failure_reason is not None:
        view["failureReason"] = charge.failure_reason
        view["failureDescription"] = charge.failure_description
    return view | charge.extra_fields
