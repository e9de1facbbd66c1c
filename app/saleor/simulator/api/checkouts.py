"""Checkouts in the API, as a storefront uses them: whoever knows the id of one may change and complete it."""

from typing import Any

from graphql import GraphQLError

from app.saleor.simulator.api.addresses import address_of
from app.saleor.simulator.api.fields import Fields, Request, always, moment, plain
from app.saleor.simulator.api.inputs import (
    Payload,
    answering,
    check_served,
    metadata_of,
    not_found,
    require_kind,
    shipping_method_of,
    variant_of,
)
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.api.payment_methods import gateways_of, methods_of
from app.saleor.simulator.api.prices import LINE_PRICES, TOTALS, money
from app.saleor.simulator.api.shipping import method_of, methods_for
from app.saleor.simulator.checkout_models import Checkout
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import User
from app.saleor.simulator.permissions import PermissionDenied
from app.saleor.simulator.transaction_models import TransactionItem

Input = dict[str, Any]
UNSERVED = ("saveShippingAddress", "saveBillingAddress", "validationRules", "privateMetadata")


# Making and changing


@answering("checkout")
def _create(_root: Any, request: Request, input: Input) -> Payload:  # noqa: A002 - Saleor's argument name
    check_served(input, UNSERVED, "CheckoutCreateInput")
    lines = input.get("lines") or []
    for line in lines:
        check_served(line, ("price", "priceOverrideReason", "forceNewLine"), "CheckoutLineInput")
    if not input.get("channel"):
        raise InputError("channel", "MISSING_CHANNEL_SLUG", "You need to provide channel slug.")
    notes = [metadata_of(line.get("metadata"), "metadata", "REQUIRED") for line in lines]
    checkout = request.shop.create_checkout(
        request.requestor.user,
        [(variant_of(request, line["variantId"]), line["quantity"]) for line in lines],
        email=input.get("email"),
        channel=input["channel"],
        billing=address_of(request, input.get("billingAddress"), "BILLING"),
        shipping=address_of(request, input.get("shippingAddress"), "SHIPPING"),
        metadata=metadata_of(input.get("metadata"), "metadata", "REQUIRED"),
        language=input.get("languageCode") or "EN",
    )
    for line, metadata in zip(checkout.lines, notes, strict=True):
        line.metadata.update(metadata)
    return {"checkout": checkout}


@answering("checkout")
def _delivery(_root: Any, request: Request, deliveryMethodId: str | None = None, **by: Any) -> Payload:  # noqa: N803
    checkout = _found(request, by)
    if deliveryMethodId:
        require_kind(deliveryMethodId, ["ShippingMethod"], "deliveryMethodId")
    method = shipping_method_of(request, deliveryMethodId, "deliveryMethodId")
    request.shop.deliver_by(checkout, method, request.requestor.principal)
    return {"checkout": checkout}


@answering("checkout")
def _shipping_address(_root: Any, request: Request, shippingAddress: Input, **by: Any) -> Payload:  # noqa: N803
    check_served(by, ("saveAddress", "validationRules"), "checkoutShippingAddressUpdate")
    checkout = _found(request, by)
    if not checkout.is_shipped:
        raise InputError("shippingAddress", "SHIPPING_NOT_REQUIRED", "This checkout doesn't need shipping")
    checkout.shipping_address = address_of(request, shippingAddress, "SHIPPING")
    return _changed(request, checkout)


@answering("checkout")
def _billing_address(_root: Any, request: Request, billingAddress: Input, **by: Any) -> Payload:  # noqa: N803
    check_served(by, ("saveAddress", "validationRules"), "checkoutBillingAddressUpdate")
    checkout = _found(request, by)
    checkout.billing_address = address_of(request, billingAddress, "BILLING")
    return _changed(request, checkout)


@answering("checkout")
def _email(_root: Any, request: Request, email: str, **by: Any) -> Payload:
    checkout = _found(request, by)
    checkout.email = email
    return _changed(request, checkout)


@answering("checkout")
def _promo_code(_root: Any, request: Request, promoCode: str, **by: Any) -> Payload:  # noqa: N803
    checkout = _found(request, by)
    request.shop.add_promo_code(checkout, promoCode, request.requestor.principal)
    return {"checkout": checkout}


@answering("checkout")
def _attach_customer(
    _root: Any,
    request: Request,
    customerId: str | None = None,  # noqa: N803 - Saleor's argument name
    **by: Any,
) -> Payload:
    """Customers attach themselves, an app that may impersonate them anybody; nobody takes a checkout over."""
    checkout, requestor = _found(request, by), request.requestor
    if checkout.user:
        raise PermissionDenied
    if requestor.user is None and requestor.app is None:
        raise PermissionDenied("AUTHENTICATED_USER", "AUTHENTICATED_APP")
    if requestor.app and not customerId:
        raise InputError("customerId", "REQUIRED", "You must provide ID of the customer to attach.")
    customer = next((user for user in request.shop.users if user.id == customerId), None)
    if customerId and customer is None:
        raise not_found("customerId", customerId)
    if customer and customer is not requestor.user:
        requestor.require_any("IMPERSONATE_USER")
    checkout.user = customer or requestor.user
    checkout.email = checkout.user.email if checkout.user else checkout.email
    return _changed(request, checkout)


def _complete(_root: Any, request: Request, **arguments: Any) -> Payload:
    payload: Payload = _place_order(_root, request, **arguments)
    return payload | {"confirmationNeeded": False, "confirmationData": "{}" if payload["order"] else None}


@answering("order")
def _place_order(
    _root: Any,
    request: Request,
    redirectUrl: str | None = None,  # noqa: N803 - Saleor's argument name
    metadata: list[Input] | None = None,
    **by: Any,
) -> Payload:
    """A checkout that is an order already gives that order again."""
    check_served(by, ("paymentData",), "checkoutComplete")
    if done := request.shop.order_of_checkout(_wanted(by)):
        return {"order": done}
    order = request.shop.complete_checkout(
        _found(request, by),
        request.requestor.principal,
        metadata=metadata_of(metadata, "metadata", "REQUIRED"),
        redirect_url=redirectUrl,
    )
    return {"order": order}


def _wanted(by: Input) -> str:
    given = [by[name] for name in ("id", "token", "checkoutId") if by.get(name)]
    if len(given) != 1:
        raise InputError(None, "GRAPHQL_ERROR", "Give exactly one of: id, token, checkoutId.")
    return str(given[0])


def _found(request: Request, by: Input) -> Checkout:
    wanted = _wanted(by)
    if not by.get("token"):
        require_kind(wanted, ["Checkout"], "id")
    checkout = request.shop.checkout(wanted)
    if checkout is None:
        raise not_found("token" if by.get("token") else "id", wanted)
    return checkout


def _changed(request: Request, checkout: Checkout) -> Payload:
    request.shop.checkout_changed(checkout, request.requestor.principal)
    return {"checkout": checkout}


MUTATION: Fields = {
    "checkoutCreate": _create,
    "checkoutDeliveryMethodUpdate": _delivery,
    "checkoutShippingAddressUpdate": _shipping_address,
    "checkoutBillingAddressUpdate": _billing_address,
    "checkoutEmailUpdate": _email,
    "checkoutAddPromoCode": _promo_code,
    "checkoutCustomerAttach": _attach_customer,
    "checkoutComplete": _complete,
}


# Looking


def _checkout(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    token: str | None = None,
) -> Checkout | None:
    if (id is None) == (token is None):
        raise GraphQLError("Give exactly one of: id, token.")
    return request.shop.checkout(id or str(token))


def _user(checkout: Checkout, request: Request) -> User | None:
    if checkout.user and not request.requestor.is_(checkout.user):
        request.requestor.require_any("MANAGE_USERS", "HANDLE_PAYMENTS")
    return checkout.user


def _transactions(checkout: Checkout, request: Request) -> list[TransactionItem]:
    request.requestor.require_any("MANAGE_CHECKOUTS", "HANDLE_PAYMENTS")
    return checkout.transactions


def _stored_methods(checkout: Checkout, request: Request, **_arguments: Any) -> Any:
    return methods_of(checkout.user, checkout.channel, request)


QUERY: Fields = {"checkout": _checkout}

CHECKOUT: Fields = METADATA | {
    "id": plain("id"),
    "token": lambda checkout, _: str(checkout.token),
    "created": moment("created_at"),
    "updatedAt": moment("updated_at"),
    "channel": plain("channel"),
    "user": _user,
    "email": lambda checkout, _: checkout.email or None,
    "languageCode": plain("language"),
    "billingAddress": plain("billing_address"),
    "shippingAddress": plain("shipping_address"),
    "deliveryMethod": method_of,
    "shippingMethod": method_of,
    "shippingMethods": methods_for,
    "isShippingRequired": plain("is_shipped"),
    "voucherCode": plain("voucher_code"),
    "lines": plain("lines"),
    "quantity": lambda checkout, _: sum(line.quantity for line in checkout.lines),
    "totalPrice": TOTALS["total"],
    "subtotalPrice": TOTALS["subtotal"],
    "shippingPrice": TOTALS["shippingPrice"],
    "totalBalance": TOTALS["totalBalance"],
    "chargeStatus": plain("charge_status"),
    "authorizeStatus": plain("authorize_status"),
    "transactions": _transactions,
    "availablePaymentGateways": lambda checkout, request: gateways_of(checkout.channel, request),
    "storedPaymentMethods": _stored_methods,
}

LINE: Fields = METADATA | {
    "id": plain("id"),
    "quantity": plain("quantity"),
    "variant": plain("variant"),
    "unitPrice": LINE_PRICES["unitPrice"],
    "totalPrice": LINE_PRICES["totalPrice"],
    "undiscountedUnitPrice": money(lambda line: line.price),
    "undiscountedTotalPrice": money(lambda line: line.undiscounted_total),
    "requiresShipping": plain("is_shipped"),
    "isGift": always(False),  # noqa: FBT003 - the value of a field
}
