"""Saleor's transactions: made without amounts, looked at on their order, and told what happened at Vipps."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.domain.account import Installation
from app.domain.order import OrderTransaction
from app.domain.transaction import ActionType, Report
from app.saleor.answers import LONGEST_MESSAGE, METHOD_NAME
from app.saleor.calls import Found, SaleorCalls, object_of, read
from app.saleor.versions import PAYMENT_METHOD_DETAILS_SINCE, version_of

# A second authorisation of one transaction: what it tells stands already (facts: SALEOR 4.5).
_TOLD_ALREADY = frozenset({"ALREADY_EXISTS"})
_ACTIONS = frozenset({ActionType.CHARGE, ActionType.REFUND, ActionType.CANCEL})
_AMOUNTS_WITH_MONEY = (
    "authorizedAmount",
    "authorizePendingAmount",
    "chargedAmount",
    "chargePendingAmount",
    "refundPendingAmount",
    "cancelPendingAmount",
)


class TransactionCalls(SaleorCalls):
    """The part of the Shop port that is about transactions."""

    async def create_transaction(
        self, installation: Installation, source: str, psp_reference: str, name: str, message: str
    ) -> str:
        variables = {
            "source": source,
            "pspReference": psp_reference,
            "name": name[:LONGEST_MESSAGE],
            "message": message[:LONGEST_MESSAGE],
        }
        answer = await self._change(installation, "mutations/create-transaction", "transactionCreate", variables)
        return read(lambda made: str(made["transaction"]["id"]), answer, "Saleor's new transaction")

    async def transactions_of(self, installation: Installation, order: str) -> Sequence[OrderTransaction]:
        data = await self._ask(installation, "queries/order-transactions", {"id": order})
        return read(transactions_in, object_of(data.get("order")), "the order's transactions")

    async def order_of(self, installation: Installation, transaction: str) -> str | None:
        data = await self._ask(installation, "queries/transaction-order", {"id": transaction})
        found = object_of(object_of(data.get("transaction")).get("order")).get("id")
        return found if isinstance(found, str) else None

    async def report_event(self, installation: Installation, report: Report) -> None:
        """What Saleor was told before it takes as done, whether it says so by `alreadyProcessed` or an error."""
        name, variables = "mutations/report-event", _variables(report)
        if version_of(installation.saleor_version) >= PAYMENT_METHOD_DETAILS_SINCE:
            name, variables = "mutations/report-event-with-method", variables | {"method": METHOD_NAME}
        await self._change(installation, name, "transactionEventReport", variables, done=_TOLD_ALREADY)


def _variables(report: Report) -> dict[str, Any]:
    return {
        "transaction": report.transaction,
        "pspReference": report.psp_reference,
        "type": report.type.value,
        "amount": str(report.amount.to_decimal()),
        "time": report.occurred_at.isoformat(),
        "message": report.message[:LONGEST_MESSAGE],
        "actions": [action.value for action in report.actions if action in _ACTIONS],
    }


def exceeds(order: Mapping[str, Any], total: str, part: str) -> bool:
    """More of the order is paid than its transactions say."""
    parts = (Decimal(it[part]["amount"]) for it in order.get("transactions") or [])
    return Decimal(order[total]["amount"]) > sum(parts, Decimal(0))


def transactions_in(order: Mapping[str, Any]) -> tuple[OrderTransaction, ...]:
    """Of an order that was asked for them."""
    return tuple(_transaction(found) for found in order.get("transactions") or [])


def _transaction(found: Found) -> OrderTransaction:
    actor = object_of(found.get("createdBy")).get("id")
    return OrderTransaction(
        id=str(found["id"]),
        psp_reference=str(found["pspReference"]),
        money=any(found[name]["amount"] > 0 for name in _AMOUNTS_WITH_MONEY),
        actor_app=actor if isinstance(actor, str) else None,
        charged=found["chargedAmount"]["amount"] > 0,
    )
