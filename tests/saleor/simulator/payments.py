"""A payment app in a simulated shop, and the requests by which apps, staff and storefronts handle payments."""

from typing import Any

from app.saleor.simulator.api.execution import Answer
from app.saleor.simulator.models import App, Payable, User
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.doubles import AppDouble, manifest, subscription

SUMS = """authorizedAmount { amount } authorizePendingAmount { amount } chargedAmount { amount }
chargePendingAmount { amount } refundedAmount { amount } refundPendingAmount { amount }
canceledAmount { amount } cancelPendingAmount { amount }"""

CREATE = """mutation($id: ID!, $transaction: TransactionCreateInput!, $event: TransactionEventInput) {
  transactionCreate(id: $id, transaction: $transaction, transactionEvent: $event) {
    transaction { id token actions pspReference } errors { field code } } }"""

UPDATE = """mutation($id: ID, $transaction: TransactionUpdateInput, $event: TransactionEventInput) {
  transactionUpdate(id: $id, transaction: $transaction, transactionEvent: $event) {
    transaction { id } errors { field code } } }"""

REPORT = """mutation($id: ID, $token: UUID, $psp: String!, $type: TransactionEventTypeEnum!, $amount: PositiveDecimal,
  $time: DateTime, $actions: [TransactionActionEnum!], $message: String, $url: String, $metadata: [MetadataInput!],
  $private: [MetadataInput!]) {
  transactionEventReport(id: $id, token: $token, pspReference: $psp, type: $type, amount: $amount, time: $time,
    availableActions: $actions, message: $message, externalUrl: $url, transactionMetadata: $metadata,
    transactionPrivateMetadata: $private) {
    alreadyProcessed transaction { id actions } transactionEvent { id type } errors { field code } } }"""


OUTCOME = """transaction { id pspReference actions } transactionEvent { type pspReference message amount { amount } }
data errors { field code message }"""

INITIALIZE = f"""mutation($id: ID!, $gateway: PaymentGatewayToInitialize!, $amount: PositiveDecimal, $key: String,
  $action: TransactionFlowStrategyEnum, $ip: String) {{
  transactionInitialize(id: $id, paymentGateway: $gateway, amount: $amount, idempotencyKey: $key, action: $action,
    customerIpAddress: $ip) {{ {OUTCOME} }} }}"""

PROCESS = f"""mutation($id: ID, $token: UUID, $data: JSON) {{
  transactionProcess(id: $id, token: $token, data: $data) {{ {OUTCOME} }} }}"""

GATEWAYS = """mutation($id: ID!, $amount: PositiveDecimal, $gateways: [PaymentGatewayToInitialize!]) {
  paymentGatewayInitialize(id: $id, amount: $amount, paymentGateways: $gateways) {
    gatewayConfigs { id data errors { field code message } } errors { field code } } }"""

ACTION = """mutation($id: ID!, $action: TransactionActionEnum!, $amount: PositiveDecimal) {
  transactionRequestAction(id: $id, actionType: $action, amount: $amount) {
    transaction { id actions } errors { field code message } } }"""

GATEWAY = {"id": "recurring.example", "data": {"flow": "subscription"}}

SOURCE = "sourceObject { __typename ... on Order { id } }"
ITEM = "transaction { id pspReference actions events { type idempotencyKey } }"
SELECTIONS = {
    "PaymentGatewayInitializeSession": f"{SOURCE} data amount",
    "TransactionInitializeSession": f"{SOURCE} {ITEM} data merchantReference customerIpAddress idempotencyKey "
    "action { amount currency actionType }",
    "TransactionProcessSession": f"{SOURCE} {ITEM} data merchantReference action {{ amount currency actionType }}",
    "TransactionChargeRequested": f"{ITEM} action {{ amount currency actionType }}",
    "TransactionRefundRequested": f"{ITEM} action {{ amount currency actionType }}",
    "TransactionCancelationRequested": f"{ITEM} action {{ amount currency actionType }}",
    "ListStoredPaymentMethods": "user { id } channel { slug }",
    "StoredPaymentMethodDeleteRequested": "user { id } channel { slug } paymentMethodId",
}


def payment_manifest(*extra: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A manifest with every payment webhook."""
    hooks = [
        {
            "name": name,
            "targetUrl": f"https://app.example/webhooks/{name}",
            "query": subscription(name, f"issuingPrincipal {{ __typename }} recipient {{ id }} {fields}"),
        }
        for name, fields in SELECTIONS.items()
    ]
    return manifest(webhooks=[*hooks, *extra], **changes)


async def ask_app(shop: Simulator, query: str, by: App | User | None = None, **variables: Any) -> Answer:
    """A request that may wait for an app."""
    return await shop.answer({"query": query, "variables": variables}, headers_of(shop, by))


def ask(shop: Simulator, query: str, by: App | User | None = None, **variables: Any) -> Answer:
    return shop.execute({"query": query, "variables": variables}, headers_of(shop, by))


def headers_of(shop: Simulator, by: App | User | None) -> dict[str, str]:
    if by is None:
        return {}
    return {"authorization": f"Bearer {by.token if isinstance(by, App) else shop.tokens.access(by)}"}


def payload(answer: Answer) -> Any:
    """The single field of an answer without errors."""
    assert answer.status == 200, answer.content
    assert "errors" not in answer.content, answer.content
    (found,) = answer.content["data"].values()
    return found


def error_codes(answer: Answer) -> list[str]:
    return [error["extensions"]["exception"]["code"] for error in answer.content["errors"]]


def make(shop: Simulator, app: App | User, source: Payable, **transaction: Any) -> TransactionItem:
    made = payload(ask(shop, CREATE, app, id=source.id, transaction=transaction))
    assert made["errors"] == []
    return source.transactions[-1]


def report(shop: Simulator, app: App, transaction: TransactionItem, type_: str, psp: str, **details: Any) -> Any:
    return payload(ask(shop, REPORT, app, id=transaction.id, type=type_, psp=psp, **details))


def sums(transaction: TransactionItem) -> dict[str, int]:
    """The amounts that are not zero, in whole crowns."""
    return {name: int(amount) for name, amount in vars(transaction.sums).items() if amount}


def crowns(amount: float, currency: str = "NOK") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


async def begin(shop: Simulator, order: Payable, **arguments: Any) -> Any:
    """A storefront begins to pay; what Saleor tells it."""
    return payload(await ask_app(shop, INITIALIZE, id=order.id, gateway=GATEWAY, **arguments))


async def begin_with(
    shop: Simulator, double: AppDouble, order: Payable, answer: Any, **arguments: Any
) -> TransactionItem:
    """The same, with this answer of the app."""
    double.answers["transaction_initialize_session"] = answer
    assert (await begin(shop, order, **arguments))["errors"] == []
    return order.transactions[-1]


def events_of(transaction: TransactionItem) -> list[tuple[str, str | None, int, bool]]:
    return [(e.type, e.psp_reference, int(e.amount), e.counts) for e in transaction.events]
