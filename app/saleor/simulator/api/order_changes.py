"""The mutations that change orders which are no drafts any more."""

from typing import Any

from app.saleor.simulator.api.addresses import address_of
from app.saleor.simulator.api.fields import Fields, Request
from app.saleor.simulator.api.inputs import Payload, answering, metadata_of, not_found, require_kind
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Order

Input = dict[str, Any]
FINAL = {"CANCELED", "DRAFT", "EXPIRED", "FULFILLED", "PARTIALLY_FULFILLED"}


def order_of(request: Request, global_id: str | None, reference: str | None = None) -> Order:
    """By exactly one of: id, external reference."""
    if (global_id is None) == (reference is None):
        raise InputError(None, "GRAPHQL_ERROR", "Give exactly one of: id, externalReference.")
    if global_id is None:
        order = request.shop.order_by_reference(reference or "")
    else:
        require_kind(global_id, ["Order"], "id")
        order = request.shop.order(global_id)
    if order is None:
        raise not_found("id" if global_id else "externalReference", global_id or reference)
    return order


def addresses_of(request: Request, given: Input) -> dict[str, Any]:
    """Those that are given, by the names of the record; a null changes nothing."""
    found = {
        "billing_address": address_of(request, given.get("billingAddress"), "BILLING"),
        "shipping_address": address_of(request, given.get("shippingAddress"), "SHIPPING"),
    }
    return {name: address for name, address in found.items() if address}


def merged_metadata(order: Order, given: Input) -> dict[str, Any]:
    return {
        "metadata": order.metadata | metadata_of(given.get("metadata"), "metadata", "REQUIRED"),
        "private_metadata": order.private_metadata
        | metadata_of(given.get("privateMetadata"), "privateMetadata", "REQUIRED"),
    }


@answering("order")
def _cancel(_root: Any, request: Request, id: str) -> Payload:  # noqa: A002 - Saleor's argument name
    request.requestor.require_any("MANAGE_ORDERS")
    order = order_of(request, id)
    if order.status in FINAL:
        raise InputError("order", "CANNOT_CANCEL_ORDER", "This order can't be canceled.")
    request.shop.cancel_order(order, request.requestor.principal)
    return {"order": order}


@answering("order")
def _confirm(_root: Any, request: Request, id: str) -> Payload:  # noqa: A002 - Saleor's argument name
    request.requestor.require_any("MANAGE_ORDERS")
    order = order_of(request, id)
    if order.status != "UNCONFIRMED":
        text = "Provided order id belongs to an order with status different than unconfirmed."
        raise InputError("id", "INVALID", text)
    if not order.lines:
        raise InputError("id", "REQUIRED", "Provided order id belongs to an order without products.")
    request.shop.confirm_order(order, request.requestor.principal)
    return {"order": order}


@answering("order")
def _update(
    _root: Any,
    request: Request,
    input: Input,  # noqa: A002 - Saleor's argument name
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("MANAGE_ORDERS")
    order, by = order_of(request, id, externalReference), request.requestor.principal
    if order.is_draft:
        raise InputError("id", "INVALID", "Provided order id belongs to a draft order. Use `draftOrderUpdate` instead.")
    request.shop.check_reference(input.get("externalReference"), order)
    for attribute, value in (addresses_of(request, input) | merged_metadata(order, input)).items():
        setattr(order, attribute, value)
    order.email = input.get("userEmail", order.email)
    order.language = input.get("languageCode", order.language)
    order.external_reference = input.get("externalReference", order.external_reference)
    if {"metadata", "privateMetadata"} & set(input):
        request.shop.order_metadata_changed(order, by)
    # Shops made before 3.22 tell ORDER_UPDATED for metadata too (useLegacyUpdateWebhookEmission): the noisier one.
    request.shop.touch_order(order, by)
    return {"order": order}


MUTATION: Fields = {"orderCancel": _cancel, "orderConfirm": _confirm, "orderUpdate": _update}
