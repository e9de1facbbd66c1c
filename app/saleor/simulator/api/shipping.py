"""Shipping methods as orders and checkouts show them."""

from dataclasses import dataclass
from typing import Any

from app.saleor.simulator.api.fields import Fields, Price, Request, Resolver, always
from app.saleor.simulator.api.metadata import METADATA
from app.saleor.simulator.catalog_models import ShippingMethodType
from app.saleor.simulator.models import Payable
from app.saleor.simulator.obstacles import is_applicable


@dataclass(frozen=True)
class ShippingMethod:
    """Of one order or checkout: another GraphQL type than the method itself, and another id."""

    method: ShippingMethodType
    purchase: Payable


def method_of(purchase: Payable, _request: Request) -> ShippingMethod | None:
    return ShippingMethod(purchase.shipping_method, purchase) if purchase.shipping_method else None


def methods_for(purchase: Payable, request: Request) -> list[ShippingMethod]:
    """Those that go to its address; none before it has one."""
    if purchase.shipping_address is None or not purchase.is_shipped:
        return []
    return [ShippingMethod(m, purchase) for m in request.shop.shipping_methods if is_applicable(m, purchase)]


def _of_method(resolver: Resolver) -> Resolver:
    def resolve(shown: ShippingMethod, request: Request, **arguments: Any) -> Any:
        return resolver(shown.method, request, **arguments)

    return resolve


SHIPPING_METHOD: Fields = {name: _of_method(resolver) for name, resolver in METADATA.items()} | {
    "id": lambda shown, _: shown.method.shown_id,
    "name": lambda shown, _: shown.method.name,
    "price": lambda shown, _: Price(shown.method.price, shown.purchase.channel.currency),
    "active": always(True),  # noqa: FBT003 - the value of a field
    "message": always(""),
}
