"""Reading what the mutations of payments are given: amounts, moments, metadata, sources and transactions."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from graphql import GraphQLError

from app.saleor.simulator import ids
from app.saleor.simulator.api.fields import NotServed, Request, Resolver
from app.saleor.simulator.base import Metadata
from app.saleor.simulator.catalog_models import ProductVariant, ShippingMethodType
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import CENT, Payable, User
from app.saleor.simulator.transaction_models import TransactionItem

Payload = dict[str, Any]


def answering(*fields: str) -> Callable[[Resolver], Resolver]:
    """A mutation whose mistakes become its `errors`, beside nulls for the given fields."""

    def decorate(resolver: Resolver) -> Resolver:
        def resolve(root: Any, request: Request, **arguments: Any) -> Payload:
            try:
                payload: Payload = resolver(root, request, **arguments)
            except InputError as error:
                return refusal(error, fields)
            return {"errors": []} | payload

        return resolve

    return decorate


def answering_later(*fields: str) -> Callable[[Callable[..., Awaitable[Payload]]], Resolver]:
    """The same for a mutation that waits for an app."""

    def decorate(resolver: Callable[..., Awaitable[Payload]]) -> Resolver:
        def resolve(root: Any, request: Request, **arguments: Any) -> Awaitable[Payload]:
            request.require_waiting()
            return wait(root, request, **arguments)

        async def wait(root: Any, request: Request, **arguments: Any) -> Payload:
            try:
                payload = await resolver(root, request, **arguments)
            except InputError as error:
                return refusal(error, fields)
            return {"errors": []} | payload

        return resolve

    return decorate


def refusal(error: InputError, fields: Sequence[str]) -> Payload:
    return dict.fromkeys(fields) | {"errors": [described(error)]}


def described(error: InputError) -> Payload:
    """With what some error types tell besides."""
    lines = list(error.lines) or None
    return {
        "field": error.field,
        "code": error.code,
        "message": error.message,
        "orderLines": lines,
        "lines": lines,
        "variants": list(error.variants) or None,
        "warehouse": None,
        "addressType": error.address_type,
    }


def positive(value: Any) -> Decimal | None:
    """An amount, to the cent. JSON numbers arrive as floats: what they are written as counts."""
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation as error:
        raise GraphQLError(f"Expected type PositiveDecimal, found {value!r}.") from error
    if not amount.is_finite() or amount < 0:
        raise GraphQLError(f"Value cannot be lower than 0. Unsupported value: {value}")
    return amount.quantize(CENT, ROUND_HALF_UP)


def moment_of(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"Expected type DateTime, found {text!r}.") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def metadata_of(items: list[dict[str, str]] | None, field: str, code: str) -> Metadata:
    if any(not item["key"].strip() for item in items or []):
        raise InputError(field, code, "Metadata key cannot be empty.")
    return {item["key"]: item["value"] for item in items or []}


def check_url(url: str | None, field: str) -> None:
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        raise InputError(field, "INVALID", "Invalid format of `externalUrl`.")


def transaction_of(request: Request, global_id: str | None, token: str | None) -> TransactionItem:
    if (global_id is None) == (token is None):
        raise InputError("id", "GRAPHQL_ERROR", "Give exactly one of: id, token.")
    if global_id is not None and _kind(global_id) != "TransactionItem":
        raise InputError("id", "GRAPHQL_ERROR", f"Invalid ID: {global_id}. Expected: TransactionItem.")
    transaction = request.shop.transactions.find(global_id or str(token))
    if transaction is None:
        raise InputError("id", "NOT_FOUND", f"Couldn't resolve to a node: {global_id or token}")
    return transaction


def source_of(request: Request, global_id: str) -> Payable:
    """The order or checkout with this id."""
    kind = _kind(global_id)
    if kind is None:
        raise GraphQLError(f"Invalid ID: {global_id}. Expected one of: Checkout, Order.")
    if kind not in {"Checkout", "Order"}:
        raise InputError("id", "INVALID", f"Invalid ID: {global_id}. Expected one of: Checkout, Order; found: {kind}.")
    source = request.shop.find(global_id)
    if not isinstance(source, Payable):
        raise InputError("id", "NOT_FOUND", "`Order` or `Checkout` not found.")
    return source


def _kind(global_id: str) -> str | None:
    try:
        return ids.decode(global_id)[0]
    except ids.UnknownId:
        return None


def require_kind(global_id: str, kinds: Sequence[str], field: str) -> None:
    """The id of something else is none."""
    found = _kind(global_id)
    if found not in kinds:
        text = f"Invalid ID: {global_id}. Expected: {' or '.join(kinds)}, received: {found}."
        raise InputError(field, "GRAPHQL_ERROR", text)


def not_found(field: str, global_id: object) -> InputError:
    return InputError(field, "NOT_FOUND", f"Couldn't resolve to a node: {global_id}")


def variant_of(request: Request, global_id: str, field: str = "variantId") -> ProductVariant:
    require_kind(global_id, ["ProductVariant"], field)
    variant = request.shop.variant(global_id)
    if variant is None:
        raise not_found(field, global_id)
    return variant


def shipping_method_of(request: Request, global_id: str | None, field: str) -> ShippingMethodType | None:
    """By the id of the method itself, or by the one that an order shows."""
    if not global_id:
        return None
    if _kind(global_id) not in {"ShippingMethod", "ShippingMethodType"}:
        raise InputError(field, "INVALID", "Must receive a ShippingMethod or ShippingMethodType id.")
    method = next((m for m in request.shop.shipping_methods if global_id in (m.id, m.shown_id)), None)
    if method is None:
        raise not_found(field, global_id)
    return method


def user_of(request: Request, global_id: str | None, field: str = "user") -> User | None:
    if not global_id:
        return None
    require_kind(global_id, ["User"], field)
    user = next((user for user in request.shop.users if user.id == global_id), None)
    if user is None:
        raise not_found(field, global_id)
    return user


def check_served(given: Payload, unserved: Sequence[str], type_name: str) -> None:
    """Nothing that is asked for may be ignored in silence."""
    if unknown := sorted(name for name in unserved if given.get(name)):
        raise NotServed(f"The simulator does not serve the fields {unknown} of {type_name}.")
