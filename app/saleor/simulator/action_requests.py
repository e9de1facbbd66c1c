"""Staff ask for a charge, refund or cancellation; the app that owns the transaction is told and answers."""

import uuid
from decimal import Decimal
from typing import Any

from app.saleor.simulator.answers import BadAnswer, Version, read_action
from app.saleor.simulator.app_calls import AppCalls
from app.saleor.simulator.consequences import settle
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App
from app.saleor.simulator.records import Event, Principal, Records
from app.saleor.simulator.transaction_models import TransactionEvent, TransactionItem
from app.saleor.simulator.transactions import Transactions

EVENTS = {
    "CHARGE": "TRANSACTION_CHARGE_REQUESTED",
    "REFUND": "TRANSACTION_REFUND_REQUESTED",
    "CANCEL": "TRANSACTION_CANCELATION_REQUESTED",
}
NO_OWNER = "Cannot process the action as the given transaction is not attached to any app."
NO_WEBHOOK = "Cannot find a webhook that can process the action."
NO_PAYLOAD = "Cannot generate a payload for the action."


class ActionRequests:
    """Asking returns at once; the answer arrives when deliveries are sent."""

    def __init__(self, shop: Records, transactions: Transactions, calls: AppCalls, version: Version) -> None:
        self._shop = shop
        self._transactions = transactions
        self._calls = calls
        self._version = version

    def request(
        self,
        transaction: TransactionItem,
        action: str,
        amount: Decimal | None = None,
        *,
        by: Principal | None = None,
        reason: str | None = None,
    ) -> TransactionEvent:
        """No more than what is charged can be refunded, nor more than what is authorized charged or cancelled."""
        most = transaction.sums.charged if action == "REFUND" else transaction.sums.authorized
        request = self._transactions.write_event(
            transaction,
            f"{action}_REQUEST",
            min(amount or most, most),
            message=reason or "",
            by=by,
            counts=False,
            idempotency_key=str(uuid.uuid4()),
        )
        transaction.reason = reason or transaction.reason
        self._send(request, action)
        return request

    def _send(self, request: TransactionEvent, action: str) -> None:
        name = EVENTS[action]
        if not any(self._calls.first(app, name) for app in self._shop.apps):
            text = f"No app or plugin is configured to handle {action.lower()} action request."
            self._fail(request, text)
            raise InputError(None, "MISSING_TRANSACTION_ACTION_REQUEST_WEBHOOK", text)
        app = self._owner(request.transaction)
        if app is None:
            self._fail(request, NO_OWNER)
            return
        webhook = self._calls.first(app, name)
        if webhook is None:
            self._fail(request, NO_WEBHOOK)
            return
        wanted = {
            "amount": float(request.amount),
            "currency": request.transaction.currency,
            "actionType": action,
        }
        event = Event(name, request.transaction, None, self._shop.clock.now(), {"action": wanted})
        if not self._calls.request(webhook, event, lambda answer: self._conclude(request, action, app, answer)):
            self._fail(request, NO_PAYLOAD)

    def _owner(self, transaction: TransactionItem) -> App | None:
        present = [app for app in self._shop.apps if app.is_active and app.removed_at is None]
        wanted = transaction.app_identifier
        return next((app for app in present if app.identifier == wanted or app is transaction.app), None)

    def _conclude(self, request: TransactionEvent, action: str, app: App, content: Any) -> None:
        transaction = request.transaction
        try:
            answer = read_action(content, action, self._version)
            request.psp_reference, request.counts = answer.psp_reference, True
            if answer.result and not self._transactions.existing(
                transaction, answer.result, answer.psp_reference, answer.amount or request.amount
            ):
                self._transactions.write_event(
                    transaction,
                    answer.result,
                    answer.amount or request.amount,
                    psp_reference=answer.psp_reference,
                    at=answer.time,
                    message=answer.message,
                    external_url=answer.external_url,
                    by=app,
                )
        except (BadAnswer, InputError) as error:
            self._fail(request, str(error))
            return
        transaction.actions = transaction.actions if answer.actions is None else answer.actions
        settle(self._shop, transaction, app)

    def _fail(self, request: TransactionEvent, cause: str) -> None:
        self._transactions.write_failure(
            request.transaction, request.type, request.amount, request.psp_reference, cause
        )
