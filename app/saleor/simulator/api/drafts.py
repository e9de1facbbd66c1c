"""The mutations of draft orders."""

from typing import Any

from app.saleor.simulator.api.addresses import address_of
from app.saleor.simulator.api.fields import Fields, Request
from app.saleor.simulator.api.inputs import (
    Payload,
    answering,
    check_served,
    described,
    metadata_of,
    positive,
    shipping_method_of,
    user_of,
    variant_of,
)
from app.saleor.simulator.api.order_changes import addresses_of, merged_metadata, order_of
from app.saleor.simulator.drafts import DraftWish, NotCompletable, WantedLine
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Channel, Order, User

Input = dict[str, Any]
UNSERVED = ("discount", "voucher")


@answering("order")
def _create(_root: Any, request: Request, input: Input) -> Payload:  # noqa: A002 - Saleor's argument name
    request.requestor.require_any("MANAGE_ORDERS")
    check_served(input, UNSERVED, "DraftOrderCreateInput")
    if not input.get("channelId"):
        raise InputError("channel", "REQUIRED", "Channel id is required.")
    wish = DraftWish(
        shipping_method=shipping_method_of(request, input.get("shippingMethod"), "shippingMethod"),
        user=_customer(request, input),
        email=input.get("userEmail") or "",
        channel=_channel(request, input["channelId"]),
        voucher_code=input.get("voucherCode"),
        lines=_lines(request, input.get("lines") or []),
        billing=address_of(request, input.get("billingAddress"), "BILLING"),
        shipping=address_of(request, input.get("shippingAddress"), "SHIPPING"),
        external_reference=input.get("externalReference"),
        language=input.get("languageCode") or "EN",
        customer_note=input.get("customerNote") or "",
        redirect_url=input.get("redirectUrl"),
        metadata=metadata_of(input.get("metadata"), "metadata", "REQUIRED"),
        private_metadata=metadata_of(input.get("privateMetadata"), "privateMetadata", "REQUIRED"),
    )
    return {"order": request.shop.create_draft(wish, request.requestor.principal)}


def _customer(request: Request, given: Input) -> User | None:
    """An e-mail address wins over a user, even if nobody has it."""
    if email := given.get("userEmail"):
        return next((user for user in request.shop.users if user.email == email and user.is_active), None)
    return user_of(request, given.get("user"))


def _channel(request: Request, global_id: str) -> Channel:
    channel = next((channel for channel in request.shop.channels.values() if channel.id == global_id), None)
    if channel is None:
        raise InputError("id", "NOT_FOUND", f"Couldn't resolve to a node: {global_id}")
    return channel


def _lines(request: Request, given: list[Input]) -> list[WantedLine]:
    """Lines of one variant are one line, at the last price, unless they are forced apart."""
    apart, together = [], dict[str, WantedLine]()
    for line in given:
        variant, quantity = variant_of(request, line["variantId"]), line["quantity"]
        wanted = WantedLine(variant, quantity, positive(line.get("price")))
        if line.get("forceNewLine"):
            apart.append(wanted)
        elif before := together.get(variant.id):
            together[variant.id] = WantedLine(variant, before.quantity + quantity, wanted.price)
        else:
            together[variant.id] = wanted
    return [*apart, *together.values()]


@answering("order")
def _update(
    _root: Any,
    request: Request,
    input: Input,  # noqa: A002 - Saleor's argument name
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("MANAGE_ORDERS")
    check_served(input, UNSERVED, "DraftOrderInput")
    order = order_of(request, id, externalReference)
    if not order.is_draft:
        text = "Provided order id belongs to non-draft order. Use `orderUpdate` mutation instead."
        raise InputError("id", "INVALID", text)
    if input.get("channelId"):
        raise InputError("channelId", "NOT_EDITABLE", "Can't update existing order channel id.")
    _apply(request, order, _changes(request, order, input))
    return {"order": order}


def _changes(request: Request, order: Order, given: Input) -> Input:
    """By the names of the record; whatever is wrong is said before anything is changed."""
    changes: Input = addresses_of(request, given)
    if "shippingMethod" in given:
        changes["shipping_method"] = shipping_method_of(request, given["shippingMethod"], "shippingMethod")
    if "user" in given or given.get("userEmail"):
        changes["user"] = _customer(request, given)
    if "voucherCode" in given:
        changes["voucher"] = request.shop.voucher_for(order.channel, given["voucherCode"])
        changes["voucher_code"] = given["voucherCode"]
    if "externalReference" in given:
        request.shop.check_reference(given["externalReference"], order)
        changes["external_reference"] = given["externalReference"]
    for name, attribute in (("userEmail", "email"), ("languageCode", "language"), ("customerNote", "customer_note")):
        if given.get(name):
            changes[attribute] = given[name]
    return changes | merged_metadata(order, given)


def _apply(request: Request, order: Order, changes: Input) -> None:
    for attribute, value in changes.items():
        setattr(order, attribute, value)
    request.shop.draft_changed(order, request.requestor.principal)


@answering("order")
def _complete(_root: Any, request: Request, id: str) -> Payload:  # noqa: A002 - Saleor's argument name
    request.requestor.require_any("MANAGE_ORDERS")
    order = order_of(request, id)
    try:
        return {"order": request.shop.complete_draft(order, request.requestor.principal)}
    except NotCompletable as error:
        return {"order": None, "errors": [described(obstacle) for obstacle in error.obstacles]}


@answering("order")
def _delete(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("MANAGE_ORDERS")
    order = order_of(request, id, externalReference)
    request.shop.delete_draft(order, request.requestor.principal)
    return {"order": order}


MUTATION: Fields = {
    "draftOrderCreate": _create,
    "draftOrderUpdate": _update,
    "draftOrderComplete": _complete,
    "draftOrderDelete": _delete,
}
