"""Rows to domain objects and back; a column that the domain does not know stays out of both."""

from collections.abc import Mapping
from typing import Any

from app.domain.account import Account, ApiClient, ApiVersion, Environment, Installation, Scope
from app.domain.agreement import Agreement, AgreementStatus, Campaign, Pricing, TransactionType
from app.domain.charge import Charge, ChargeOrigin, ChargeStatus
from app.domain.dunning import DEFAULT_DUNNING, DunningPolicy, GiveUp
from app.domain.money import Currency, Money
from app.domain.operation import Operation, OperationKind, OperationStatus
from app.domain.plan import IntervalUnit, Plan
from app.storage.secrets import SecretBox

Row = Mapping[Any, Any]


def installation(row: Row, secrets: SecretBox) -> Installation:
    sealed = row["token_sealed"]
    return Installation(
        shop=row["shop"],
        app_id=row["app_id"],
        token=secrets.open(sealed) if sealed else None,
        jwks=row["jwks"],
        saleor_version=row["saleor_version"],
        installed_at=row["installed_at"],
        active=row["active"],
        shop_name=row["shop_name"],
    )


def installation_row(it: Installation, secrets: SecretBox) -> dict[str, Any]:
    return {
        "shop": it.shop,
        "app_id": it.app_id,
        "token_sealed": secrets.seal(it.token) if it.token else None,
        "jwks": it.jwks,
        "saleor_version": it.saleor_version,
        "installed_at": it.installed_at,
        "active": it.active,
        "shop_name": it.shop_name,
    }


def account(row: Row, secrets: SecretBox) -> Account:
    secret, key = row["client_secret_sealed"], row["subscription_key_sealed"]
    return Account(
        id=row["id"],
        shop=row["shop"],
        channel=row["channel"],
        environment=Environment(row["environment"]),
        msn=row["msn"],
        client_id=row["client_id"],
        client_secret=secrets.open(secret) if secret else None,
        subscription_key=secrets.open(key) if key else None,
        api_version=ApiVersion(row["api_version"]),
        retry_days=row["retry_days"],
        lead_days=row["lead_days"],
        agreement_url=row["agreement_url"],
        time_zone=row["time_zone"],
        dunning=_dunning(row["dunning"]),
        reserve_initial=row["reserve_initial"],
        complete_when_paid=row["complete_when_paid"],
        price_notice_days=row["price_notice_days"],
        notify_url=row["notify_url"],
        notify_secret=secrets.open(notify) if (notify := row["notify_secret_sealed"]) else None,
    )


def _dunning(found: Mapping[str, Any] | None) -> DunningPolicy:
    if found is None:
        return DEFAULT_DUNNING
    return DunningPolicy(
        retry_after=tuple(found["retry_after"]),
        then=GiveUp(found["then"]),
        cancel_after=found["cancel_after"],
    )


def account_row(it: Account, secrets: SecretBox) -> dict[str, Any]:
    return {
        "id": it.id,
        "shop": it.shop,
        "channel": it.channel,
        "environment": it.environment.value,
        "msn": it.msn,
        "client_id": it.client_id,
        "client_secret_sealed": secrets.seal(it.client_secret) if it.client_secret else None,
        "subscription_key_sealed": secrets.seal(it.subscription_key) if it.subscription_key else None,
        "api_version": it.api_version.value,
        "retry_days": it.retry_days,
        "lead_days": it.lead_days,
        "agreement_url": it.agreement_url,
        "time_zone": it.time_zone,
        "dunning": {
            "retry_after": list(it.dunning.retry_after),
            "then": it.dunning.then.value,
            "cancel_after": it.dunning.cancel_after,
        },
        "reserve_initial": it.reserve_initial,
        "complete_when_paid": it.complete_when_paid,
        "price_notice_days": it.price_notice_days,
        "notify_url": it.notify_url,
        "notify_secret_sealed": secrets.seal(it.notify_secret) if it.notify_secret else None,
    }


def agreement(row: Row) -> Agreement:
    currency = Currency(row["currency"])
    campaign = None
    if row["campaign_price"] is not None:
        campaign = Campaign(Money(row["campaign_price"], currency), row["campaign_end"], row["campaign_start"])
    return Agreement(
        id=row["id"],
        shop=row["shop"],
        account_id=row["account_id"],
        environment=row["environment"],
        idempotency_key=row["idempotency_key"],
        plan=Plan(IntervalUnit(row["interval_unit"]), row["interval_count"]),
        price=Money(row["price"], currency),
        product_name=row["product_name"],
        product_description=row["product_description"],
        status=AgreementStatus(row["status"]),
        created_at=row["created_at"],
        agreement_id=row["agreement_id"],
        customer=row["customer"],
        initial_order=row["initial_order"],
        slot=row["slot"],
        pricing=Pricing(row["pricing"]),
        campaign=campaign,
        max_amount=None if row["max_amount"] is None else Money(row["max_amount"], currency),
        confirmation_url=row["confirmation_url"],
        start=row["start"],
        stop=row["stop"],
        failure=row["failure"],
        stopped_by=row["stopped_by"],
        checked_at=row["checked_at"],
        link_number=row["link_number"],
        return_url=row["return_url"],
    )


def agreement_row(it: Agreement) -> dict[str, Any]:
    """Without the number of its links: whoever read the row before they were revoked must not bring them back."""
    return {
        "id": it.id,
        "shop": it.shop,
        "account_id": it.account_id,
        "environment": it.environment,
        "agreement_id": it.agreement_id,
        "customer": it.customer,
        "initial_order": it.initial_order,
        "slot": it.slot,
        "idempotency_key": it.idempotency_key,
        "pricing": it.pricing.value,
        "interval_unit": it.plan.unit.value,
        "interval_count": it.plan.count,
        "price": it.price.minor,
        "currency": it.price.currency.value,
        "campaign_price": it.campaign.price.minor if it.campaign else None,
        "campaign_start": it.campaign.start if it.campaign else None,
        "campaign_end": it.campaign.end if it.campaign else None,
        "max_amount": it.max_amount.minor if it.max_amount else None,
        "product_name": it.product_name,
        "product_description": it.product_description,
        "status": it.status.value,
        "confirmation_url": it.confirmation_url,
        "start": it.start,
        "stop": it.stop,
        "failure": it.failure,
        "stopped_by": it.stopped_by,
        "checked_at": it.checked_at,
        "return_url": it.return_url,
        "created_at": it.created_at,
    }


_CHARGE_PLAIN = (
    "id",
    "shop",
    "account_id",
    "agreement_id",
    "order_id",
    "charge_id",
    "idempotency_key",
    "slot",
    "actor",
    "saleor_order",
    "captured",
    "refunded",
    "cancelled",
    "description",
    "due",
    "retry_days",
    "failure_code",
    "failure",
    "transaction_id",
    "api_version",
    "batch_id",
    "accepted_at",
    "sent_at",
    "withdrawn",
    "attempts",
    "failures",
    "next_attempt_at",
    "lease_until",
    "dead",
    "reported",
    "saleor_transaction",
    "happened_at",
    "settled_at",
    "refunded_at",
    "created_at",
)


def charge(row: Row) -> Charge:
    return Charge(
        **{name: row[name] for name in _CHARGE_PLAIN},
        amount=Money(row["amount"], Currency(row["currency"])),
        status=ChargeStatus(row["status"]),
        origin=ChargeOrigin(row["origin"]),
        transaction_type=TransactionType(row["transaction_type"]),
    )


def charge_row(it: Charge) -> dict[str, Any]:
    return {name: getattr(it, name) for name in _CHARGE_PLAIN} | {
        "amount": it.amount.minor,
        "currency": it.amount.currency.value,
        "status": it.status.value,
        "origin": it.origin.value,
        "transaction_type": it.transaction_type.value,
    }


_OPERATION_PLAIN = (
    "id",
    "shop",
    "account_id",
    "agreement_id",
    "charge_id",
    "idempotency_key",
    "slot",
    "lock",
    "actor",
    "api_version",
    "attempts",
    "next_attempt_at",
    "lease_until",
    "dead",
    "failure_code",
    "failure",
    "created_at",
)
# A phone number is kept under lock until its draft is made, and then no more.
_PERSONAL = "phone"


def operation(row: Row, secrets: SecretBox) -> Operation:
    request = dict(row["request"])
    if _PERSONAL in request:
        request[_PERSONAL] = secrets.open(request[_PERSONAL])
    return Operation(
        **{name: row[name] for name in _OPERATION_PLAIN},
        request=request,
        kind=OperationKind(row["kind"]),
        status=OperationStatus(row["status"]),
    )


def operation_row(it: Operation, secrets: SecretBox) -> dict[str, Any]:
    request = dict(it.request)
    if _PERSONAL in request:
        request[_PERSONAL] = secrets.seal(str(request[_PERSONAL]))
    return {name: getattr(it, name) for name in _OPERATION_PLAIN} | {
        "request": request,
        "kind": it.kind.value,
        "status": it.status.value,
    }


def api_client(row: Row) -> ApiClient:
    return ApiClient(
        id=row["id"],
        shop=row["shop"],
        name=row["name"],
        secret_hash=row["secret_hash"],
        scopes=frozenset(Scope(word) for word in row["scopes"].split()),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        used_at=row["used_at"],
    )


def api_client_row(it: ApiClient) -> dict[str, Any]:
    return {
        "id": it.id,
        "shop": it.shop,
        "name": it.name,
        "secret_hash": it.secret_hash,
        "scopes": " ".join(sorted(it.scopes)),
        "created_at": it.created_at,
        "revoked_at": it.revoked_at,
        "used_at": it.used_at,
    }
