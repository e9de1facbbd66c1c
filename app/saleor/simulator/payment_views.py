"""Transactions, stored payment methods and problems as plain JSON values, for the control endpoints."""

from dataclasses import fields

from app.saleor.simulator.problems import AppProblem
from app.saleor.simulator.sessions import Configuration, Outcome
from app.saleor.simulator.stored_methods import StoredMethod
from app.saleor.simulator.transaction_models import Sums, TransactionEvent, TransactionItem
from app.saleor.simulator.views import View


def transaction_view(transaction: TransactionItem) -> View:
    return {
        "id": transaction.id,
        "token": str(transaction.token),
        "source": transaction.source.id,
        "app": transaction.app_identifier,
        "name": transaction.name,
        "pspReference": transaction.psp_reference or "",
        "currency": transaction.currency,
        "actions": transaction.actions,
        "sums": {each.name: float(getattr(transaction.sums, each.name)) for each in fields(Sums)},
        "events": [event_view(event) for event in transaction.newest_first],
        "metadata": transaction.metadata,
        "privateMetadata": transaction.private_metadata,
    }


def event_view(event: TransactionEvent) -> View:
    return {
        "at": event.at.isoformat(),
        "type": event.type,
        "pspReference": event.psp_reference or "",
        "amount": float(event.amount),
        "message": event.message,
        "counts": event.counts,
    }


def outcome_view(outcome: Outcome) -> View:
    return {
        "transaction": transaction_view(outcome.transaction),
        "event": event_view(outcome.event),
        "data": outcome.data,
    }


def configuration_view(configuration: Configuration) -> View:
    error = configuration.error
    return {"id": configuration.id, "data": configuration.data, "error": error and error.message}


def method_view(method: StoredMethod) -> View:
    return {"id": method.id, "paymentMethodId": method.external_id, "type": method.type, "name": method.name}


def problem_view(problem: AppProblem) -> View:
    return {
        "id": problem.id,
        "app": problem.app.id,
        "key": problem.key_text,
        "message": problem.message,
        "count": problem.count,
        "isCritical": problem.is_critical,
        "dismissed": problem.dismissed_by is not None,
    }
