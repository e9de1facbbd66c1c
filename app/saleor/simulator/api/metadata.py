"""Metadata of every object: who may read it and who may write it."""

from typing import Any

from app.saleor.simulator.api.fields import Fields, Request
from app.saleor.simulator.base import Metadata, Record
from app.saleor.simulator.catalog_models import Product, ProductType, ProductVariant, ShippingMethodType, Voucher
from app.saleor.simulator.checkout_models import Checkout, CheckoutLine
from app.saleor.simulator.models import Address, App, Channel, Order, OrderLine, User
from app.saleor.simulator.transaction_models import TransactionItem

ANYONE: frozenset[str] = frozenset()

_PRIVATE = {
    Order: {"MANAGE_ORDERS", "HANDLE_TAXES"},
    OrderLine: {"MANAGE_ORDERS", "HANDLE_TAXES"},
    Product: {"MANAGE_PRODUCTS"},
    ProductVariant: {"MANAGE_PRODUCTS"},
    ProductType: {"MANAGE_PRODUCT_TYPES_AND_ATTRIBUTES"},
    Channel: {"MANAGE_CHANNELS"},
    Address: {"MANAGE_USERS"},
    TransactionItem: {"HANDLE_PAYMENTS"},
    Checkout: {"MANAGE_CHECKOUTS", "HANDLE_PAYMENTS"},
    CheckoutLine: {"MANAGE_CHECKOUTS", "HANDLE_PAYMENTS"},
    ShippingMethodType: {"MANAGE_SHIPPING"},
    Voucher: {"MANAGE_DISCOUNTS"},
}
# Whoever knows the id of an order may write its public metadata: Saleor's storefronts rely on it.
_PUBLIC = _PRIVATE | {Order: set(), OrderLine: set(), Checkout: set(), CheckoutLine: set()}


def check_private(record: Record, request: Request) -> None:
    """Reading and writing private metadata need the same."""
    if isinstance(record, App) and request.requestor.is_(record):
        return
    request.requestor.require_any(*sorted(_needed(record, _PRIVATE)))


def check_public_write(record: Record, request: Request) -> None:
    if isinstance(record, App | User) and request.requestor.is_(record):
        return
    if needed := _needed(record, _PUBLIC):
        request.requestor.require_any(*sorted(needed))


def _check_public_read(record: Record, request: Request) -> None:
    """Only an app's public metadata is not for everyone who can see the object."""
    if not isinstance(record, App) or request.requestor.is_(record) or request.requestor.on_behalf_of == record.id:
        return
    request.requestor.require_any("MANAGE_APPS")


def _needed(record: Record, table: dict[Any, Any]) -> set[str]:
    if isinstance(record, User):
        return {"MANAGE_STAFF" if record.is_staff else "MANAGE_USERS"}
    if isinstance(record, App):
        return {"MANAGE_APPS"}
    needed: set[str] = table[type(record)]
    return needed


def _public(record: Record, request: Request) -> Metadata:
    _check_public_read(record, request)
    return record.metadata


def _private(record: Record, request: Request) -> Metadata:
    check_private(record, request)
    return record.private_metadata


def _items(metadata: Metadata) -> list[dict[str, str]]:
    return [{"key": key, "value": metadata[key]} for key in sorted(metadata)]


def _some(metadata: Metadata, keys: list[str] | None) -> Metadata:
    return {key: value for key, value in metadata.items() if keys is None or key in keys}


METADATA: Fields = {
    "metadata": lambda record, request: _items(_public(record, request)),
    "metafield": lambda record, request, key: _public(record, request).get(key),
    "metafields": lambda record, request, keys=None: _some(_public(record, request), keys),
    "privateMetadata": lambda record, request: _items(_private(record, request)),
    "privateMetafield": lambda record, request, key: _private(record, request).get(key),
    "privateMetafields": lambda record, request, keys=None: _some(_private(record, request), keys),
}
