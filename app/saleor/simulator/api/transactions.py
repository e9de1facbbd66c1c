"""Transactions in the API: their fields, finding them, making and changing them, and reporting events."""

from decimal import Decimal
from typing import Any

from graphql import GraphQLError

from app.saleor.simulator.api.fields import Fields, NotServed, Price, Request, Resolver, always, moment, plain
from app.saleor.simulator.api.inputs import (
    Payload,
    answering,
    check_url,
    metadata_of,
    moment_of,
    positive,
    source_of,
    transaction_of,
)
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.api.payment_method_details import method_of
from app.saleor.simulator.event_reports import Report
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import App, Order, User
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.transaction_models import TransactionItem
from app.saleor.simulator.transactions import LIMIT, Remark, Statement

Input = dict[str, Any]
PAGE_LIMIT = 100
_AMOUNTS = {
    "amountAuthorized": "authorized",
    "amountCharged": "charged",
    "amountRefunded": "refunded",
    "amountCanceled": "canceled",
}


# Looking


def _sum(name: str) -> Resolver:
    return lambda transaction, _request: Price(getattr(transaction.sums, name), transaction.currency)


def _order(transaction: TransactionItem, _request: Request) -> Order | None:
    return transaction.source if isinstance(transaction.source, Order) else None


def _checkout(transaction: TransactionItem, _request: Request) -> Any:
    return None if isinstance(transaction.source, Order) else transaction.source


def _maker(transaction: TransactionItem, request: Request) -> App | User | None:
    """An app is found by its identifier: a new installation counts as the old one."""
    wanted = transaction.app_identifier
    present = [app for app in request.shop.apps if app.identifier == wanted and app.removed_at is None]
    return present[-1] if present else transaction.app or transaction.user


def _transaction(_root: Any, request: Request, id: str | None = None, token: str | None = None) -> Any:  # noqa: A002
    request.requestor.require_any("HANDLE_PAYMENTS")
    if (id is None) == (token is None):
        raise GraphQLError("Give exactly one of: id, token.")
    return request.shop.transactions.find(id or str(token))


def _transactions(_root: Any, request: Request, **arguments: Any) -> Payload:
    """Newest first. An app that may not manage orders sees its own; those of an earlier installation are not."""
    request.requestor.require_any("HANDLE_PAYMENTS", "MANAGE_ORDERS")
    if unknown := set(arguments) - {"first", "where"}:
        raise NotServed(f"The simulator does not serve the arguments {sorted(unknown)} of transactions.")
    first = arguments.get("first")
    if first is None or not 0 < first <= PAGE_LIMIT:
        raise GraphQLError(f"`first` of the `transactions` connection is {first}; it may be 1 to {PAGE_LIMIT}.")
    found = [t for t in request.shop.transactions.items[::-1] if _may_see(t, request) and _fits(t, arguments)]
    edges = [{"node": transaction, "cursor": str(transaction.token)} for transaction in found[:first]]
    info = {
        "hasNextPage": len(found) > first,
        "hasPreviousPage": False,
        "startCursor": edges[0]["cursor"] if edges else None,
        "endCursor": edges[-1]["cursor"] if edges else None,
    }
    return {"edges": edges, "totalCount": len(found), "pageInfo": info}


def _may_see(transaction: TransactionItem, request: Request) -> bool:
    requestor = request.requestor
    return requestor.app is None or requestor.has_any("MANAGE_ORDERS") or requestor.is_(transaction.app)


def _fits(transaction: TransactionItem, arguments: Input) -> bool:
    where = arguments.get("where") or {}
    if unknown := set(where) - {"ids", "pspReference", "appIdentifier"}:
        raise NotServed(f"The simulator does not serve the fields {sorted(unknown)} of TransactionWhereInput.")
    return (
        ("ids" not in where or transaction.id in where["ids"])
        and _is(transaction.psp_reference, where.get("pspReference"))
        and _is(transaction.app_identifier, where.get("appIdentifier"))
    )


def _is(value: str | None, wanted: Input | None) -> bool:
    if wanted is None:
        return True
    return value == wanted["eq"] if "eq" in wanted else value in (wanted.get("oneOf") or [])


# Writing


@answering("transaction")
def _create(
    _root: Any,
    request: Request,
    id: str,  # noqa: A002 - Saleor's argument name
    transaction: Input,
    transactionEvent: Input | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("HANDLE_PAYMENTS")
    source = source_of(request, id)
    statement = _statement(transaction, source.channel.currency)
    made = request.shop.transactions.create(source, statement, request.requestor.principal, _remark(transactionEvent))
    return {"transaction": made}


@answering("transaction")
def _update(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    token: str | None = None,
    transaction: Input | None = None,
    transactionEvent: Input | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("HANDLE_PAYMENTS")
    found = transaction_of(request, id, token)
    check_owner(found, request)
    statement = _statement(transaction or {}, found.currency)
    request.shop.transactions.update(found, statement, request.requestor.principal, _remark(transactionEvent))
    return {"transaction": found}


@answering("alreadyProcessed", "transaction", "transactionEvent")
def _report(_root: Any, request: Request, **arguments: Any) -> Payload:
    request.requestor.require_any("HANDLE_PAYMENTS")
    transaction = transaction_of(request, arguments.get("id"), arguments.get("token"))
    check_owner(transaction, request)
    reported = request.shop.transactions.report(transaction, _read_report(arguments), request.requestor.principal)
    return {
        "alreadyProcessed": reported.already_processed,
        "transaction": transaction,
        "transactionEvent": reported.event,
    }


def check_owner(transaction: TransactionItem, request: Request) -> None:
    """An app's transactions are the app's alone; those of one user are every user's."""
    app = request.requestor.app
    owned = transaction.app or transaction.app_identifier or transaction.user
    if app and owned and (transaction.app is app or transaction.app_identifier == app.identifier):
        return
    if owned and not (request.requestor.user and transaction.user):
        raise PermissionDenied("OWNER", "HANDLE_PAYMENTS")


def _read_report(given: Input) -> Report:
    if len(given["pspReference"]) > LIMIT:
        raise InputError("pspReference", "INVALID", f"Ensure this value has at most {LIMIT} characters.")
    check_url(given.get("externalUrl"), "externalUrl")
    return Report(
        psp_reference=given["pspReference"],
        type=given["type"],
        amount=positive(given.get("amount")),
        time=moment_of(given.get("time")),
        external_url=given.get("externalUrl") or "",
        message=given.get("message") or "",
        actions=given.get("availableActions"),
        metadata=metadata_of(given.get("transactionMetadata"), "transactionMetadata", "REQUIRED"),
        private_metadata=metadata_of(given.get("transactionPrivateMetadata"), "transactionPrivateMetadata", "REQUIRED"),
        method=method_of(given.get("paymentMethodDetails")),
    )


def _statement(given: Input, currency: str) -> Statement:
    check_url(given.get("externalUrl"), "transaction")
    return Statement(
        name=given.get("name"),
        message=given.get("message"),
        psp_reference=given.get("pspReference"),
        external_url=given.get("externalUrl"),
        actions=given.get("availableActions"),
        amounts=_amounts(given, currency),
        metadata=metadata_of(given.get("metadata"), "transaction", "METADATA_KEY_REQUIRED"),
        private_metadata=metadata_of(given.get("privateMetadata"), "transaction", "METADATA_KEY_REQUIRED"),
        method=method_of(given.get("paymentMethodDetails")),
    )


def _amounts(given: Input, currency: str) -> dict[str, Decimal]:
    amounts = {}
    for field, name in _AMOUNTS.items():
        money = given.get(field)
        if money is None:
            continue
        if money["currency"] != currency:
            raise InputError(field, "INCORRECT_CURRENCY", f"Currency needs to be the same as for order: {currency}")
        amounts[name] = positive(money["amount"]) or Decimal(0)
    return amounts


def _remark(given: Input | None) -> Remark | None:
    return Remark(given.get("pspReference"), given.get("message") or "") if given else None


QUERY: Fields = {"transaction": _transaction, "transactions": _transactions}

MUTATION: Fields = {
    "transactionCreate": _create,
    "transactionUpdate": _update,
    "transactionEventReport": _report,
}

TRANSACTION: Fields = METADATA | {
    "id": plain("id"),
    "token": lambda transaction, _: str(transaction.token),
    "createdAt": moment("created_at"),
    "modifiedAt": moment("modified_at"),
    "name": plain("name"),
    "message": plain("message"),
    "pspReference": lambda transaction, _: transaction.psp_reference or "",
    "externalUrl": plain("external_url"),
    "actions": plain("actions"),
    "authorizedAmount": _sum("authorized"),
    "authorizePendingAmount": _sum("authorize_pending"),
    "chargedAmount": _sum("charged"),
    "chargePendingAmount": _sum("charge_pending"),
    "refundedAmount": _sum("refunded"),
    "refundPendingAmount": _sum("refund_pending"),
    "canceledAmount": _sum("canceled"),
    "cancelPendingAmount": _sum("cancel_pending"),
    "events": plain("newest_first"),
    "createdBy": _maker,
    "order": _order,
    "checkout": _checkout,
    "paymentMethodDetails": plain("method"),
    "reason": plain("reason"),
    "reasonReference": always(None),
}

TRANSACTION_EVENT: Fields = {
    "id": plain("id"),
    "createdAt": moment("at"),
    "type": plain("type"),
    "pspReference": lambda event, _: event.psp_reference or "",
    "message": plain("message"),
    "amount": lambda event, _: Price(event.amount, event.transaction.currency),
    "externalUrl": plain("external_url"),
    "idempotencyKey": plain("idempotency_key"),
    "createdBy": plain("by"),
    "reasonReference": always(None),
}
