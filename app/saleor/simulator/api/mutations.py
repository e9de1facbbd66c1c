"""The mutations. Each tells the events that Saleor tells, also when the caller is the app that will receive them."""

from collections.abc import Callable
from typing import Any

from app.saleor.simulator.api.fields import Fields, NotServed, Request
from app.saleor.simulator.api.metadata import check_private, check_public_write
from app.saleor.simulator.models import Metadata, Order, Record, User

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
    elif isinstance(record, User) and not record.is_staff:
        request.shop.emit("CUSTOMER_METADATA_UPDATED", record, by)


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


def _order_update(
    _root: Any,
    request: Request,
    input: dict[str, Any],  # noqa: A002 - Saleor's argument name
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("MANAGE_ORDERS")
    order = request.shop.order(id) if id else request.shop.order_by_reference(externalReference or "")
    if order is None:
        return _not_updated(_error("id", "NOT_FOUND", "No such order was found."))
    if unknown := set(input) - {"userEmail", "externalReference", "metadata", "privateMetadata", "languageCode"}:
        raise NotServed(f"The simulator does not serve the fields {sorted(unknown)} of OrderUpdateInput.")
    holder = request.shop.order_by_reference(input.get("externalReference") or "")
    if holder not in (None, order):
        return _not_updated(_error("externalReference", "UNIQUE", "Order with this External reference already exists."))
    _apply(order, input, request)
    return {"order": order, "errors": []}


def _apply(order: Order, changes: dict[str, Any], request: Request) -> None:
    by = request.requestor.principal
    order.metadata.update(_pairs(changes.get("metadata") or []))
    order.private_metadata.update(_pairs(changes.get("privateMetadata") or []))
    order.email = changes.get("userEmail", order.email)
    order.external_reference = changes.get("externalReference", order.external_reference)
    order.language = changes.get("languageCode", order.language)
    touches_metadata = bool({"metadata", "privateMetadata"} & set(changes))
    if touches_metadata:
        request.shop.order_metadata_changed(order, by)
    # Shops made before 3.22 tell ORDER_UPDATED for metadata too (useLegacyUpdateWebhookEmission): the noisier one.
    request.shop.touch_order(order, by)


def _not_updated(error: dict[str, str]) -> Payload:
    return {"order": None, "errors": [error]}


_update_public, _delete_public = _metadata_mutation(private=False)
_update_private, _delete_private = _metadata_mutation(private=True)

MUTATION: Fields = {
    "updateMetadata": _update_public,
    "deleteMetadata": _delete_public,
    "updatePrivateMetadata": _update_private,
    "deletePrivateMetadata": _delete_private,
    "orderNoteAdd": _note_add,
    "orderUpdate": _order_update,
}
