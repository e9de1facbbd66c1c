"""Payment sessions: a storefront asks to pay, Saleor asks the app, and the answer becomes events."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.saleor.simulator.answers import NO_ANSWER, Answer, BadAnswer, Version, read_session
from app.saleor.simulator.app_calls import AppCalls
from app.saleor.simulator.consequences import settle
from app.saleor.simulator.event_reports import NAMES_THE_TRANSACTION
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, Payable
from app.saleor.simulator.records import Event, Principal, Records
from app.saleor.simulator.transaction_models import TransactionEvent, TransactionItem
from app.saleor.simulator.transactions import Transactions

MOST_TRANSACTIONS = 100
REQUESTS = ("AUTHORIZATION_REQUEST", "CHARGE_REQUEST")
FINAL = {*REQUESTS, "AUTHORIZATION_SUCCESS", "AUTHORIZATION_FAILURE", "CHARGE_SUCCESS", "CHARGE_FAILURE"}


@dataclass(frozen=True)
class Gateway:
    """A payment app by its identifier, and what the storefront tells it."""

    id: str
    data: Any = None


@dataclass(frozen=True)
class Configuration:
    """What a gateway says of itself to the storefront, or why it says nothing."""

    id: str
    data: Any = None
    error: InputError | None = None


@dataclass(frozen=True)
class Outcome:
    """What the storefront hears."""

    transaction: TransactionItem
    event: TransactionEvent
    data: Any = None


class Sessions:
    """Every call reaches the app once and at once; whatever is wrong with its answer is a failure event."""

    def __init__(self, shop: Records, transactions: Transactions, calls: AppCalls, version: Version) -> None:
        self._shop = shop
        self._transactions = transactions
        self._calls = calls
        self._version = version

    # Which gateways

    def payment_apps(self) -> list[App]:
        return [app for app in self._shop.apps if self._calls.first(app, "TRANSACTION_INITIALIZE_SESSION")]

    async def configure(
        self,
        source: Payable,
        gateways: Sequence[Gateway] = (),
        amount: Decimal | None = None,
        by: Principal | None = None,
    ) -> list[Configuration]:
        """The given gateways, or every one that there is."""
        self._check_limit(source)
        asked = amount if amount is not None else left_to_pay(source)
        present = [app for app in self._shop.apps if self._calls.first(app, "PAYMENT_GATEWAY_INITIALIZE_SESSION")]
        wanted = gateways or [Gateway(app.identifier) for app in present]
        return [await self._configure(source, gateway, asked, by) for gateway in wanted]

    async def _configure(
        self, source: Payable, gateway: Gateway, amount: Decimal, by: Principal | None
    ) -> Configuration:
        app = self._app(gateway.id)
        webhook = self._calls.first(app, "PAYMENT_GATEWAY_INITIALIZE_SESSION") if app else None
        if webhook is None:
            error = InputError(
                "id", "NOT_FOUND", "Active app with `HANDLE_PAYMENT` permissions or app webhook not found."
            )
            return Configuration(gateway.id, error=error)
        details = {"sourceObject": source, "data": gateway.data, "amount": float(amount)}
        answer = await self._calls.call(webhook, self._event("PAYMENT_GATEWAY_INITIALIZE_SESSION", source, by, details))
        if not isinstance(answer, dict) or "data" not in answer:
            return Configuration(gateway.id, error=InputError("id", "INVALID", NO_ANSWER))
        return Configuration(gateway.id, answer["data"])

    # Beginning and going on

    async def initialize(
        self,
        source: Payable,
        gateway: Gateway,
        *,
        amount: Decimal | None = None,
        action: str | None = None,
        idempotency_key: str | None = None,
        customer_ip: str | None = None,
        by: Principal | None = None,
    ) -> Outcome:
        """The same key and amount ask the app again about the same transaction."""
        self._check_limit(source)
        _check_open(source)
        if idempotency_key == "":
            raise InputError("idempotencyKey", "INVALID", "Cannot be provided as an empty string.")
        action = action or source.channel.flow_strategy
        amount = amount if amount is not None else left_to_pay(source)
        app = self._app(gateway.id)
        if app is None:
            raise InputError("paymentGateway", "NOT_FOUND", "App with provided identifier not found.")
        key = idempotency_key or str(uuid.uuid4())
        transaction, request = self._begin(source, app, key, f"{action}_REQUEST", amount)
        details = self._details(transaction, request, action, gateway.data, customer_ip) | {"idempotencyKey": key}
        return await self._ask("TRANSACTION_INITIALIZE_SESSION", app, request, details, by)

    def _begin(
        self, source: Payable, app: App, key: str, type_: str, amount: Decimal
    ) -> tuple[TransactionItem, TransactionEvent]:
        known = [t for t in self._transactions.items if t.idempotency_key == key]
        transaction = next((t for t in known if t.source is source), None)
        if transaction is None and any(t.app_identifier == app.identifier for t in known):
            raise _different()
        if transaction is None:
            transaction = self._transactions.add(source, app=app, idempotency_key=key)
        request = next((e for e in transaction.events if e.idempotency_key == key), None)
        if request is None:
            request = self._transactions.write_event(transaction, type_, amount, counts=False, idempotency_key=key)
        elif (request.type, request.amount) != (type_, amount):
            raise _different()
        return transaction, request

    async def process(
        self,
        transaction: TransactionItem,
        data: Any = None,
        *,
        customer_ip: str | None = None,
        by: Principal | None = None,
    ) -> Outcome:
        """What is final is not asked again."""
        final = next((e for e in transaction.events if e.type in FINAL and e.counts), None)
        if final:
            return Outcome(transaction, final)
        _check_open(transaction.source)
        request = next((e for e in transaction.events if e.type in REQUESTS and not e.counts), None)
        if request is None:
            raise InputError("id", "INVALID", "Missing call of `transactionInitialize` mutation.")
        if not transaction.app_identifier:
            text = "Transaction doesn't have attached app that could process the request."
            raise InputError("id", "MISSING_PAYMENT_APP_RELATION", text)
        app = self._app(transaction.app_identifier)
        if app is None:
            text = "Payment app attached to the transaction, doesn't exist."
            raise InputError("id", "MISSING_PAYMENT_APP", text)
        action = request.type.removesuffix("_REQUEST")
        details = self._details(transaction, request, action, data, customer_ip)
        return await self._ask("TRANSACTION_PROCESS_SESSION", app, request, details, by)

    # The question and its answer

    async def _ask(
        self, name: str, app: App, request: TransactionEvent, details: dict[str, Any], by: Principal | None
    ) -> Outcome:
        transaction = request.transaction
        webhook = self._calls.first(app, name)
        answer = await self._calls.call(webhook, self._event(name, transaction, by, details)) if webhook else None
        content = answer if isinstance(answer, dict) else None
        event = self._conclude(request, app, content, by)
        return Outcome(transaction, event, content.get("data") if content else None)

    def _conclude(
        self, request: TransactionEvent, app: App, content: dict[str, Any] | None, by: Principal | None
    ) -> TransactionEvent:
        try:
            answer = read_session(content, self._version)
            event = self._write(request, answer, app)
        except (BadAnswer, InputError) as error:
            return self._transactions.write_failure(
                request.transaction, request.type, request.amount, request.psp_reference, str(error)
            )
        transaction = request.transaction
        transaction.method = answer.method or transaction.method
        if event.type in NAMES_THE_TRANSACTION or event.type == "CANCEL_SUCCESS":
            transaction.psp_reference = event.psp_reference
            transaction.actions = transaction.actions if answer.actions is None else answer.actions
            settle(self._shop, transaction, by)
        elif event.psp_reference:
            transaction.psp_reference = event.psp_reference
            transaction.modified_at = self._shop.clock.now()
        return event

    def _write(self, request: TransactionEvent, answer: Answer, app: App) -> TransactionEvent:
        """A *_REQUEST makes the request itself count; anything else is an event of its own."""
        amount, type_ = answer.amount or request.amount, str(answer.result)
        if type_ in REQUESTS:
            request.type, request.amount, request.psp_reference = type_, amount, answer.psp_reference
            request.counts, request.by = True, app
            return request
        transaction = request.transaction
        event = self._transactions.existing(transaction, type_, answer.psp_reference, amount)
        if event is None:
            event = self._transactions.write_event(
                transaction,
                type_,
                amount,
                psp_reference=answer.psp_reference,
                at=answer.time,
                message=answer.message,
                external_url=answer.external_url,
                by=app,
            )
        request.psp_reference = event.psp_reference
        return event

    def _details(
        self, transaction: TransactionItem, request: TransactionEvent, action: str, data: Any, customer_ip: str | None
    ) -> dict[str, Any]:
        return {
            "sourceObject": transaction.source,
            "data": data,
            "merchantReference": transaction.id,
            "customerIpAddress": customer_ip,
            "action": {
                "amount": float(request.amount),
                "currency": transaction.currency,
                "actionType": action,
            },
        }

    def _event(self, name: str, subject: Any, by: Principal | None, details: dict[str, Any]) -> Event:
        return Event(name, subject, by, self._shop.clock.now(), details)

    def _app(self, identifier: str) -> App | None:
        return next(
            (a for a in self._shop.apps if a.identifier == identifier and a.is_active and a.removed_at is None), None
        )

    @staticmethod
    def _check_limit(source: Payable) -> None:
        if len(source.transactions) >= MOST_TRANSACTIONS:
            raise InputError("transactions", "INVALID", f"The limit of {MOST_TRANSACTIONS} transactions is reached.")


def left_to_pay(source: Payable) -> Decimal:
    """The total without what transactions have or expect."""
    taken = sum(
        (
            max(t.sums.authorized, t.sums.charged) + t.sums.authorize_pending + t.sums.charge_pending
            for t in source.transactions
        ),
        Decimal(0),
    )
    return max(source.total - taken, Decimal(0))


def _check_open(source: Payable) -> None:
    if source.is_locked:
        raise InputError("id", "CHECKOUT_COMPLETION_IN_PROGRESS", "The checkout is being completed.")


def _different() -> InputError:
    text = "Different transaction with provided idempotency key already exists."
    return InputError("idempotencyKey", "UNIQUE", text)
