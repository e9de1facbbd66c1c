"""The mutations. Each tells the events that Saleor tells, also when the caller is the app that will receive them."""

from collections.abc import Callable
from typing import Any

from app.saleor.simulator.api.checkouts import MUTATION as CHECKOUTS
from app.saleor.simulator.api.customers import MUTATION as CUSTOMERS
from app.saleor.simulator.api.drafts import MUTATION as DRAFTS
from app.saleor.simulator.api.fields import Fields, Request
from app.saleor.simulator.api.metadata import check_private, check_public_write
from app.saleor.simulator.api.order_changes import MUTATION as ORDERS
from app.saleor.simulator.api.payment_methods import MUTATION as PAYMENT_METHODS
from app.saleor.simulator.api.problems import MUTATION as PROBLEMS
from app.saleor.simulator.api.sessions import MUTATION as SESSIONS
from app.saleor.simulator.api.transactions import MUTATION as TRANSACTIONS
from app.saleor.simulator.base import Metadata, Record
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.models import Order, User
from app.saleor.simulator.transaction_models import TransactionItem

Payload = dict[str, Any]
Change = Callable[[Metadata], None]


def _error(field: str, code: str, message: str) -> dict[str, str]:
    return {"field": field, "code": code, "message": message}


def _metadata_mutation(*, private: bool) -> tuple[Callable[..., Payload], Callable[..., Payload]]:
    def update(_root: Any, request: Request, id: str, input: list[dict[str, str]]) -> Payload:  # noqa: A002
        if any(not item["key"].strip() for item in input):
            return _failed(_error("input", "REQUIRED", "Metadata key cannot be empty."))
        return _change(request, id, lambda metadata: metadata.update(_pairs(input)), private=private)

    def delete(_root: Any, request: Request, id: str, keys: list[str]) -> Payload:  # noqa: A002
        return _change(request, id, lambda metadata: _remove(metadata, keys), private=private)

    return update, delete


def _change(request: Request, global_id: str, change: Change, *, private: bool) -> Payload:
    record = request.shop.find(global_id) or request.shop.order(global_id)
    if record is None:
        return _failed(_error("id", "NOT_FOUND", f"Nothing with the id {global_id} was found."))
    if private:
        check_private(record, request)
        change(record.private_metadata)
    else:
        check_public_write(record, request)
        change(record.metadata)
    _tell(record, request)
    return {"item": record, "errors": []}


def _tell(record: Record, request: Request) -> None:
    by = request.requestor.principal
    if isinstance(record, Order):
        request.shop.order_metadata_changed(record, by)
    elif isinstance(record, Checkout):
        request.shop.checkout_metadata_changed(record, by)
    elif isinstance(record, User) and not record.is_staff:
        request.shop.emit("CUSTOMER_METADATA_UPDATED", record, by)
    elif isinstance(record, TransactionItem):
        request.shop.emit("TRANSACTION_ITEM_METADATA_UPDATED", record, by)


def _failed(error: dict[str, str]) -> Payload:
    return {"item": None, "errors": [error]}


def _pairs(items: list[dict[str, str]]) -> Metadata:
    return {item["key"]: item["value"] for item in items}


def _remove(metadata: Metadata, keys: list[str]) -> None:
    for key in keys:
        metadata.pop(key, None)


def _note_add(_root: Any, request: Request, order: str, input: dict[str, str]) -> Payload:  # noqa: A002
    request.requestor.require_any("MANAGE_ORDERS")
    found = request.shop.order(order)
    message = input["message"].strip()
    if found is None:
        return _no_note(_error("order", "GRAPHQL_ERROR", f"No order with the id {order} was found."))
    if not message:
        return _no_note(_error("message", "REQUIRED", "Message can't be empty."))
    note = request.shop.add_note(found, message, request.requestor.principal)
    return {"order": found, "event": note, "errors": []}


def _no_note(error: dict[str, str]) -> Payload:
    return {"order": None, "event": None, "errors": [error]}


_update_public, _delete_public = _metadata_mutation(private=False)
_update_private, _delete_private = _metadata_mutation(private=True)

MUTATION: Fields = {
    **TRANSACTIONS,
    **SESSIONS,
    **PAYMENT_METHODS,
    **PROBLEMS,
    **CUSTOMERS,
    **DRAFTS,
    **ORDERS,
    **CHECKOUTS,
    "updateMetadata": _update_public,
    "deleteMetadata": _delete_public,
    "updatePrivateMetadata": _update_private,
    "deletePrivateMetadata": _delete_private,
    "orderNoteAdd": _note_add,
}
