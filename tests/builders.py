"""Valid domain objects with sensible defaults; a test names only what it is about. Ids are fresh in every call."""

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from app.domain.account import Account, ApiClient, ApiVersion, Environment, Installation, Scope
from app.domain.agreement import Agreement, AgreementDraft, AgreementStatus
from app.domain.charge import Charge, ChargeOrigin, ChargeRequest, ChargeStatus, SeenCharge
from app.domain.money import Currency, Money
from app.domain.operation import Operation, OperationKind, OperationStatus, key_for
from app.domain.order import AGREEMENT_KEY, Order
from app.domain.plan import IntervalUnit, Plan
from app.domain.records import AuditEntry, CallEntry, Finding, FindingKind, InboxEntry, Webhook
from app.domain.renewal import Renewal, RenewalStatus, renewal_id
from app.domain.schedule import Schedule
from app.domain.subscription import Subscription, SubscriptionLine, SubscriptionStatus

SHOP = "https://shop.example/graphql/"
OTHER_SHOP = "https://other.example/graphql/"
CUSTOMER = "VXNlcjox"
ACCOUNT_ID = "00000000-0000-4000-8000-00000000acc0"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TODAY = NOW.date()

_numbers = itertools.count(1)


def nok(minor: int) -> Money:
    return Money(minor, Currency.NOK)


def a_row_id() -> str:
    return str(uuid.UUID(int=next(_numbers), version=4))


def an_agreement_id() -> str:
    return f"agr_{next(_numbers):07d}"


def an_installation(**over: Any) -> Installation:
    default = Installation(
        shop=SHOP,
        app_id="QXBwOjE=",
        token="saleor-app-token",
        jwks='{"keys": []}',
        saleor_version="3.22.3",
        installed_at=NOW,
    )
    return replace(default, **over)


def an_account(**over: Any) -> Account:
    default = Account(
        id=a_row_id(),
        shop=SHOP,
        channel="default",
        environment=Environment.TEST,
        msn="123456",
        client_id="5a1b7f0e-0000-4000-8000-000000000001",
        client_secret="simulated-client-secret",
        subscription_key="simulated-subscription-key",
        api_version=ApiVersion.V2,
    )
    return replace(default, **over)


def an_api_client(**over: Any) -> ApiClient:
    default = ApiClient(
        id=f"vrc_{next(_numbers):024d}",
        shop=SHOP,
        name="Drupal",
        secret_hash="0" * 64,
        scopes=frozenset({Scope.AGREEMENTS_READ, Scope.CHARGES_WRITE}),
        created_at=NOW,
    )
    return replace(default, **over)


def an_agreement(**over: Any) -> Agreement:
    row_id = a_row_id()
    default = Agreement(
        id=row_id,
        shop=SHOP,
        account_id=ACCOUNT_ID,
        environment="test",
        idempotency_key=key_for("create-agreement", row_id),
        plan=Plan(IntervalUnit.MONTH, 1),
        price=nok(25_000),
        product_name="Kaffe hver måned",
        product_description="Ferskbrent, 500 g",
        status=AgreementStatus.ACTIVE,
        created_at=NOW,
        agreement_id=an_agreement_id(),
        customer=CUSTOMER,
        start=NOW,
    )
    return replace(default, **over)


def a_subscription(**over: Any) -> Subscription:
    """On the agreement `agr_1`, monthly from 28 March on; its first order was period 0."""
    schedule = Schedule(Plan(IntervalUnit.MONTH, 1), date(2026, 3, 28), 1)
    default = Subscription(
        id=a_row_id(),
        shop=SHOP,
        account_id=ACCOUNT_ID,
        agreement_id="agr_1",
        customer=CUSTOMER,
        channel="default-channel",
        channel_id="Q2hhbm5lbDox",
        currency=Currency.NOK,
        initial_order="T3JkZXI6MQ==",
        lines=(SubscriptionLine("UHJvZHVjdFZhcmlhbnQ6MQ==", 2, "Kaffe", 12_500),),
        schedule=schedule,
        next_period=1,
        next_due=schedule.due(1),
        status=SubscriptionStatus.ACTIVE,
        created_at=NOW,
    )
    return replace(default, **over)


def a_renewal(subscription: Subscription, period: int = 1, **over: Any) -> Renewal:
    default = Renewal(
        id=renewal_id(subscription.shop, subscription.id, period),
        shop=subscription.shop,
        account_id=subscription.account_id,
        subscription_id=subscription.id,
        agreement_id=subscription.agreement_id,
        period=period,
        due=subscription.schedule.due(period),
        status=RenewalStatus.PLANNED,
        created_at=NOW,
    )
    return replace(default, **over)


def a_draft(**over: Any) -> AgreementDraft:
    fields: dict[str, Any] = {
        "price": nok(25_000),
        "plan": Plan(IntervalUnit.MONTH, 1),
        "product_name": "Kaffe hver måned",
        "redirect_url": "https://shop.example/return/1",
        "agreement_url": "https://shop.example/my/1",
        "product_description": "Ferskbrent, 500 g",
    }
    return AgreementDraft(**(fields | over))


def a_charge(**over: Any) -> Charge:
    row_id = a_row_id()
    default = Charge(
        id=row_id,
        shop=SHOP,
        account_id=ACCOUNT_ID,
        agreement_id="agr_5kSeqzFAMkfBbc",
        order_id=f"ORD-{next(_numbers):08d}",
        idempotency_key=key_for("create-charge", row_id),
        amount=nok(25_000),
        description="Kaffe i mars",
        due=date(2026, 3, 4),
        retry_days=5,
        status=ChargeStatus.NEW,
        origin=ChargeOrigin.API,
        created_at=NOW,
        actor="client:vrc_1",
    )
    return replace(default, **over)


def a_charge_request(**over: Any) -> ChargeRequest:
    default = ChargeRequest(
        agreement_id="agr_5kSeqzFAMkfBbc",
        order_id=f"ORD-{next(_numbers):08d}",
        amount=nok(25_000),
        description="Kaffe i mars",
        due=date(2026, 3, 4),
        retry_days=5,
    )
    return replace(default, **over)


def a_seen_charge(**over: Any) -> SeenCharge:
    default = SeenCharge(
        charge_id="chr-5kSeqzF",
        status=ChargeStatus.DUE,
        due=datetime(2026, 3, 4, tzinfo=UTC),
        amount=25_000,
        captured=0,
        refunded=0,
        description="Kaffe i mars",
        kind="RECURRING",
    )
    return replace(default, **over)


def an_operation(**over: Any) -> Operation:
    row_id = a_row_id()
    default = Operation(
        id=row_id,
        shop=SHOP,
        account_id=ACCOUNT_ID,
        kind=OperationKind.REFUND,
        agreement_id="agr_5kSeqzFAMkfBbc",
        idempotency_key=key_for("refund", row_id),
        request={"amount": 5_000, "currency": "NOK", "description": "Damaged"},
        status=OperationStatus.OPEN,
        actor="staff:VXNlcjoy",
        created_at=NOW,
        charge_id="chr-5kSeqzF",
    )
    return replace(default, **over)


def an_inbox_entry(**over: Any) -> InboxEntry:
    default = InboxEntry(
        id=a_row_id(),
        shop=SHOP,
        source="saleor",
        event="order-created",
        event_key=f"event-{next(_numbers)}",
        body='{"order": {"id": "T3JkZXI6MQ==", "note": "blåbær"}}',
        received_at=NOW,
    )
    return replace(default, **over)


def an_audit_entry(**over: Any) -> AuditEntry:
    default = AuditEntry(
        shop=SHOP,
        actor="client:vrc_1",
        action="charge.sent",
        object_id="chr-5kSeqzF",
        at=NOW,
        before="NEW",
        after="PENDING",
        reason="",
    )
    return replace(default, **over)


def a_webhook(**over: Any) -> Webhook:
    default = Webhook(
        id=a_row_id(),
        shop=SHOP,
        account_id=ACCOUNT_ID,
        registration_id=str(uuid.UUID(int=next(_numbers))),
        url=f"https://app.example/api/webhooks/vipps/{ACCOUNT_ID}",
        secret="a-webhook-secret/with+base64==",
        created_at=NOW,
    )
    return replace(default, **over)


def a_call(**over: Any) -> CallEntry:
    default = CallEntry(
        shop=SHOP,
        account_id=ACCOUNT_ID,
        operation="createCharge",
        method="POST",
        path="/recurring/v2/agreements/agr_5kSeqzFAMkfBbc/charges",
        at=NOW,
        milliseconds=120,
        status=201,
        agreement_id="agr_5kSeqzFAMkfBbc",
        charge_id="chr-5kSeqzF",
        idempotency_key=key_for("create-charge", "1"),
        request='{"amount":25000,"description":"Kaffe i mars – blåbær"}',
        answer='{"chargeId":"chr-5kSeqzF"}',
    )
    return replace(default, **over)


def a_finding(**over: Any) -> Finding:
    default = Finding(
        shop=SHOP,
        account_id=ACCOUNT_ID,
        kind=FindingKind.CHARGE_STATUS,
        agreement_id="agr_5kSeqzFAMkfBbc",
        ours="DUE",
        theirs="CHARGED",
        repaired=True,
        found_at=NOW,
        charge_id="chr-5kSeqzF",
    )
    return replace(default, **over)


def an_order(**over: Any) -> Order:
    """An unpaid order of 250.00 NOK that names agreement `agr_1` and belongs to CUSTOMER."""
    default = Order(
        id="T3JkZXI6MQ==",
        number="1001",
        status="UNFULFILLED",
        charge_status="NONE",
        authorize_status="NONE",
        payment_pending=False,
        total=nok(25_000),
        total_text="250.00 NOK",
        customer=CUSTOMER,
        channel="default-channel",
        metadata={AGREEMENT_KEY: "agr_1"},
        private_metadata={},
    )
    return replace(default, **over)
